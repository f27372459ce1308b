/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Small helpers on header text, shared by core/request and core/response. */
#ifndef KHTTPD_CORE_TEXT_H
#define KHTTPD_CORE_TEXT_H

#include "types.h"

/* Character classes. */
#define KHTTPD_TOKEN 1 /* tchar, RFC 9110, 5.6.2 */
#define KHTTPD_HOST 2 /* unreserved and sub-delims, RFC 3986, 2: the bytes of a reg-name */
#define KHTTPD_STOP 4 /* '%', '?', '#', '.': where the path of a target is looked at closely */

extern const u8 khttpd_class_of[256];

static inline bool khttpd_is_class(char c, u8 class)
{
	return khttpd_class_of[(u8)c] & class;
}

static inline bool khttpd_is_space(char c)
{
	return c == ' ' || c == '\t';
}

static inline bool khttpd_is_digit(char c)
{
	return (u8)(c - '0') <= 9;
}

/* The value of a hexadecimal digit, or -1. */
static inline int khttpd_hex_value(char c)
{
	if (khttpd_is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Without optional white space (RFC 9110, 5.6.3) at both ends. */
static inline struct khttpd_str khttpd_trim(struct khttpd_str s)
{
	while (s.len && khttpd_is_space(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len && khttpd_is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

/*
 * Do @len bytes at @p equal @lower, letters without case? @lower is made of lower case letters,
 * digits and marks that have bit 5 set. Setting it maps only a letter to its lower case and
 * control characters, which header text does not have, to digits and marks.
 */
static inline bool khttpd_same(const char *p, const char *lower, u32 len)
{
	u64 a, b;

	for (; len >= 8; p += 8, lower += 8, len -= 8) {
		memcpy(&a, p, 8);
		memcpy(&b, lower, 8);
		if ((a | 0x2020202020202020) != b)
			return false;
	}
	for (; len; p++, lower++, len--)
		if ((*p | 0x20) != *lower)
			return false;
	return true;
}

static inline bool khttpd_is_lower(struct khttpd_str s, const char *lower, u32 len)
{
	return s.len == len && khttpd_same(s.p, lower, len);
}

/* Does @s equal the lower case literal @lit, letters without case? */
#define khttpd_is(s, lit) khttpd_is_lower(s, lit, sizeof(lit) - 1)

/* Take the next element, trimmed and perhaps empty, off a comma-separated list that is not. */
static inline struct khttpd_str khttpd_list_take(struct khttpd_str *list)
{
	struct khttpd_str item;
	u32 i = 0;

	while (i < list->len && list->p[i] != ',')
		i++;
	item = khttpd_trim((struct khttpd_str){ list->p, i });
	if (i < list->len)
		i++;
	list->p += i;
	list->len -= i;
	return item;
}

/*
 * Take the next element off a comma-separated list, trimmed; empty ones are skipped, as RFC
 * 9110, 5.6.1.2 asks for. Not for lists whose elements may hold a comma in quotes.
 */
static inline bool khttpd_list_next(struct khttpd_str *list, struct khttpd_str *item)
{
	while (list->len) {
		*item = khttpd_list_take(list);
		if (item->len)
			return true;
	}
	return false;
}

#endif
