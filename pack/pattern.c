// SPDX-License-Identifier: MIT OR GPL-2.0
/* Patterns of paths, and texts that use what a pattern captured. */
#include "pattern.h"

#include "../core/text.h"
#include "util.h"

static bool is_name(char c)
{
	return khttpd_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

/* Length of the name behind the ':' at @s; 0: it is just a colon. */
static size_t name_length(const char *s)
{
	size_t n = 1;

	if (khttpd_is_digit(s[1]) || !is_name(s[1]))
		return 0;
	while (is_name(s[n]))
		n++;
	return n - 1;
}

/* The byte that the escape at @s stands for, or -1. */
static int unescape(const char *s)
{
	int high = khttpd_hex_value(s[1]);
	int low = high < 0 ? -1 : khttpd_hex_value(s[2]);

	return low < 0 || !(high | low) ? -1 : high << 4 | low;
}

/* --- patterns --- */

static int find_capture(const struct pattern *pattern, const char *name, size_t len)
{
	uint32_t i;

	for (i = 0; i < pattern->n; i++)
		if (strlen(pattern->names[i]) == len && !memcmp(pattern->names[i], name, len))
			return i;
	return -1;
}

static bool add_capture(struct pattern *pattern, char kind, const char *name, size_t len,
			const char **why)
{
	if (find_capture(pattern, name, len) >= 0) {
		*why = kind == KHTTPD_RULE_SPLAT ? "its path has more than one \"*\"" :
						   "its path has a placeholder twice";
		return false;
	}
	if (pattern->n == KHTTPD_IMAGE_MAX_CAPTURES) {
		*why = "its path has more than 16 placeholders";
		return false;
	}
	pattern->names[pattern->n++] = must(strndup(name, len));
	pattern->text[pattern->len++] = 0;
	pattern->text[pattern->len++] = kind;
	return true;
}

/* The placeholder at *@s, which it skips. */
static bool parse_placeholder(struct pattern *pattern, const char **s, const char **why)
{
	size_t len = name_length(*s);

	if (len == 5 && !memcmp(*s + 1, "splat", 5)) {
		*why = "its path has \":splat\", which is the name of what a \"*\" stands for";
		return false;
	}
	if ((*s)[1 + len] && (*s)[1 + len] != '/') {
		*why = "its path has a placeholder that is only part of a segment";
		return false;
	}
	if (!add_capture(pattern, KHTTPD_RULE_SEGMENT, *s + 1, len, why))
		return false;
	*s += 1 + len;
	return true;
}

static bool parse(struct pattern *pattern, const char *s, bool anywhere, const char **why)
{
	const char *begin = s;
	int c;

	if (*s != '/') {
		*why = !strncasecmp(s, "http://", 7) || !strncasecmp(s, "https://", 8) ?
			       "its path has a host; rules of a host stand in that host's folder" :
			       "its path does not begin with \"/\"";
		return false;
	}
	if (strlen(s) > KHTTPD_IMAGE_MAX_PATH) {
		*why = "its path is longer than 4096 bytes";
		return false;
	}
	while (*s) {
		if (*s == '*') {
			if (s[1] && !anywhere) {
				*why = "its path has a \"*\" that is not at the end";
				return false;
			}
			if (!add_capture(pattern, KHTTPD_RULE_SPLAT, "splat", 5, why))
				return false;
			s++;
			continue;
		}
		if (*s == ':' && s[-1] == '/' && name_length(s)) {
			if (!parse_placeholder(pattern, &s, why))
				return false;
			continue;
		}
		if (*s == '?' || *s == '#') {
			*why = "its path has a \"?\" or \"#\"; only paths can be matched";
			return false;
		}
		if (*s == '/' && s > begin && s[-1] == '.' &&
		    (s[-2] == '/' || (s[-2] == '.' && s[-3] == '/'))) {
			*why = "its path has a dot segment, which no request has";
			return false;
		}
		c = (unsigned char)*s;
		if (c == '%') {
			c = unescape(s);
			if (c < 0) {
				*why = "its path has a bad percent-encoding";
				return false;
			}
			s += 2;
		}
		pattern->text[pattern->len++] = c;
		s++;
	}
	return true;
}

bool pattern_parse(struct pattern *pattern, const char *s, bool anywhere, const char **why)
{
	memset(pattern, 0, sizeof(*pattern));
	/* A "*" becomes two bytes, and there is at most one */
	pattern->text = must(malloc(strlen(s) + 2));
	if (parse(pattern, s, anywhere, why))
		return true;
	pattern_free(pattern);
	return false;
}

void pattern_free(struct pattern *pattern)
{
	while (pattern->n)
		free(pattern->names[--pattern->n]);
	free(pattern->text);
	pattern->text = NULL;
}

/*
 * What is left of a pattern against what is left of a path. There is one splat: no deep recursion.
 */
static bool match(const char *p, const char *p_end, const char *s, const char *end,
		  struct khttpd_str *capture)
{
	const char *begin;

	while (p < p_end) {
		if (*p) {
			if (s == end || *s++ != *p++)
				return false;
			continue;
		}
		begin = s;
		if (p[1] == KHTTPD_RULE_SPLAT) {
			/* As much as possible */
			for (s = end; s >= begin; s--) {
				*capture = (struct khttpd_str){ begin, s - begin };
				if (match(p + 2, p_end, s, end, capture + 1))
					return true;
			}
			return false;
		}
		while (s < end && *s != '/')
			s++;
		if (s == begin)
			return false;
		*capture++ = (struct khttpd_str){ begin, s - begin };
		p += 2;
	}
	return s == end;
}

bool pattern_match(const struct pattern *pattern, struct khttpd_str path,
		   struct khttpd_str captures[KHTTPD_IMAGE_MAX_CAPTURES])
{
	return match(pattern->text, pattern->text + pattern->len, path.p, path.p + path.len,
		     captures);
}

/* --- templates --- */

/* Writes one literal byte, of which there is at least one at @s; gives how many were read, or 0. */
static size_t put_literal(struct expansion *t, const char *s, enum expansion_kind kind)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char c = *s;
	int decoded;

	if (c == '%' && kind != EXPANSION_VALUE) {
		decoded = unescape(s);
		if (decoded < 0)
			return 0;
		if (kind == EXPANSION_PATH) {
			t->text[t->len++] = decoded;
			return 3;
		}
	}
	if (c >= 0x7f && kind == EXPANSION_LOCATION) {
		t->text[t->len++] = '%';
		t->text[t->len++] = digits[c >> 4];
		c = digits[c & 15];
	}
	t->text[t->len++] = c;
	return 1;
}

bool expansion_parse(struct expansion *expansion, const struct pattern *pattern, const char *s,
		     enum expansion_kind kind, const char **why)
{
	const char *begin = s;
	size_t n;
	int i;

	expansion->text = must(malloc(3 * strlen(s) + 1));
	expansion->len = 0;
	while (*s) {
		n = *s == ':' ? name_length(s) : 0;
		i = n ? find_capture(pattern, s + 1, n) : -1;
		if (i >= 0) {
			expansion->text[expansion->len++] = 0;
			expansion->text[expansion->len++] = i;
			s += 1 + n;
			continue;
		}
		/* Where no port or time of day could be meant */
		if (n && kind != EXPANSION_VALUE && s > begin &&
		    (s[-1] == '/' || s[-1] == '=' || (n == 5 && !memcmp(s, ":splat", 6)))) {
			*why = "its target has a placeholder that its path does not have";
			goto fail;
		}
		n = put_literal(expansion, s, kind);
		if (!n) {
			*why = "its target has a bad percent-encoding";
			goto fail;
		}
		s += n;
	}
	return true;
fail:
	free(expansion->text);
	expansion->text = NULL;
	return false;
}
