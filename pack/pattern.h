/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Patterns of paths, and texts that use what a pattern captured: the grammar of _redirects and
 * _headers.
 */
#ifndef KHTTPD_PACK_PATTERN_H
#define KHTTPD_PACK_PATTERN_H

#include "../core/site.h"

/**
 * struct pattern - a path with placeholders and at most one splat
 * @text: as in a site image: NUL and what it stands for, else the bytes of a decoded path
 * @len: bytes at @text
 * @names: of the captures, in their order
 * @n: captures
 */
struct pattern {
	char *text;
	uint32_t len;
	char *names[KHTTPD_IMAGE_MAX_CAPTURES];
	uint32_t n;
};

/**
 * struct expansion - a text with captures
 * @text: as the target of a rule in a site image: NUL and a capture's number, else literal
 * @len: bytes at @text
 */
struct expansion {
	char *text;
	uint32_t len;
};

/* How the literal parts of a expansion are read. */
enum expansion_kind {
	EXPANSION_PATH, /* percent-encoded; captures that the pattern does not have are errors */
	EXPANSION_LOCATION, /* the same, but the encoding stays and becomes complete */
	EXPANSION_VALUE, /* as it is; what is no capture stays too */
};

/**
 * pattern_parse() - read a pattern
 * @pattern: set on success
 * @s: the text
 * @anywhere: the splat may stand anywhere, not only at the end
 * @why: set on failure
 */
bool pattern_parse(struct pattern *pattern, const char *s, bool anywhere, const char **why);
void pattern_free(struct pattern *pattern);

/* Does the whole of @path match? The captures are slices of it. */
bool pattern_match(const struct pattern *pattern, struct khttpd_str path,
		   struct khttpd_str captures[KHTTPD_IMAGE_MAX_CAPTURES]);

/* expansion_parse() - read a text with the captures of @pattern; @why is set on failure */
bool expansion_parse(struct expansion *expansion, const struct pattern *pattern, const char *s,
		     enum expansion_kind kind, const char **why);

#endif
