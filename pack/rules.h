/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The files _redirects and _headers of a host. */
#ifndef KHTTPD_PACK_RULES_H
#define KHTTPD_PACK_RULES_H

#include "pattern.h"
#include "report.h"

/**
 * struct lines - a text that is read line by line
 * @file: its name, for messages
 * @number: of the line that was read last
 * @bad: a line was left out because it has control characters
 * @p: what comes next
 * @end: the text's end
 */
struct lines {
	const char *file;
	unsigned int number;
	bool bad;
	char *p;
	char *end;
};

/* lines_begin() - @text is changed on the way; @len bytes and one that can become NUL */
void lines_begin(struct lines *lines, const char *file, char *text, size_t len);

/* The next line that is neither empty nor a comment, without white space at its ends; or NULL. */
char *lines_next(struct lines *lines, struct report *r);

/**
 * struct redirect - a line of _redirects
 * @line: its number
 * @status: 200, 404 or a redirect
 * @force: also for paths that exist
 * @from: what it is for
 * @to: where it leads
 */
struct redirect {
	unsigned int line;
	uint16_t status;
	bool force;
	struct pattern from;
	struct expansion to;
};

/**
 * struct redirects - the rules of a host, in their order
 * @file: their file's name; NULL if there is none
 * @list: the rules
 * @n: how many
 * @forced: at least one of them is forced
 */
struct redirects {
	char *file;
	struct redirect *list;
	uint32_t n, cap;
	bool forced;
};

/* redirects_parse() - read a _redirects; @file is kept. Errors go to @r, and reading goes on. */
void redirects_parse(struct redirects *redirects, char *file, char *text, size_t len,
		     struct report *r);
void redirects_free(struct redirects *redirects);

/* The first rule for a path, or NULL. */
const struct redirect *redirects_find(const struct redirects *redirects, struct khttpd_str path,
				      struct khttpd_str captures[KHTTPD_IMAGE_MAX_CAPTURES]);

/* Is it for one path only? */
static inline bool redirect_is_exact(const struct redirect *rule)
{
	return !rule->from.n;
}

static inline bool redirect_is_rewrite(const struct redirect *rule)
{
	return rule->status == 200 || rule->status == 404;
}

/**
 * struct header_line - a line that a rule of _headers adds or takes away
 * @line: its number
 * @name: of the field
 * @value: of the field; .text is NULL: the field is taken away
 */
struct header_line {
	unsigned int line;
	char *name;
	struct expansion value;
};

/**
 * struct header_rule - a path of _headers and its lines
 * @line: number of the path's line
 * @path: what it is for
 * @lines: what it does
 * @n: entries of @lines
 * @used: it matched something
 */
struct header_rule {
	unsigned int line;
	struct pattern path;
	struct header_line *lines;
	uint32_t n, cap;
	bool used;
};

/**
 * struct headers - the rules of a host, in their order
 * @file: their file's name; NULL if there is none
 * @list: the rules
 * @n: how many
 */
struct headers {
	char *file;
	struct header_rule *list;
	uint32_t n, cap;
};

/* headers_parse() - read a _headers; @file is kept. Errors go to @r, and reading goes on. */
void headers_parse(struct headers *headers, char *file, char *text, size_t len, struct report *r);
void headers_free(struct headers *headers);

/**
 * struct field - a field line that is being put together
 * @name: not owned
 * @value: owned
 */
struct field {
	const char *name;
	char *value;
};

/* Field lines in their order. */
struct fields {
	struct field *list;
	uint32_t n, cap;
};

/* fields_set() - add a field, or to the value of the one that is there; as RFC 9110, 5.3, has it */
void fields_set(struct fields *fields, const char *name, const char *value);
void fields_clear(struct fields *fields);

/* What the rules for @path make of @fields. */
void headers_apply(struct headers *headers, struct khttpd_str path, struct fields *fields);

#endif
