// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * _headers: a path, then "Name: value" or "! Name" lines, as Netlify and Cloudflare Pages have it.
 */
#include <stdio.h>

#include "../core/text.h"
#include "rules.h"
#include "util.h"

/* --- field lines --- */

static bool is_one_of(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (!strcasecmp(name, *list))
			return true;
	return false;
}

/* What must not come twice and is no list: the last one counts. */
static const char *const singles[] = {
	"Access-Control-Allow-Credentials",
	"Access-Control-Allow-Origin",
	"Access-Control-Max-Age",
	"Content-Disposition",
	"Content-Location",
	"Content-Type",
	"Cross-Origin-Embedder-Policy",
	"Cross-Origin-Opener-Policy",
	"Cross-Origin-Resource-Policy",
	"Expires",
	"Refresh",
	"Strict-Transport-Security",
	"X-Content-Type-Options",
	"X-Frame-Options",
	NULL,
};

void fields_set(struct fields *fields, const char *name, const char *value)
{
	/* Set-Cookie is the one that cannot be joined */
	bool joins = strcasecmp(name, "Set-Cookie");
	struct field *f;
	char *joined;
	uint32_t i;

	for (i = 0; joins && i < fields->n; i++) {
		f = &fields->list[i];
		if (strcasecmp(f->name, name))
			continue;
		if (is_one_of(name, singles))
			joined = strdup(value);
		else if (asprintf(&joined, "%s, %s", f->value, value) < 0)
			joined = NULL;
		free(f->value);
		f->value = must(joined);
		return;
	}
	GROW(fields->list, fields->n, fields->cap);
	fields->list[fields->n++] = (struct field){ name, must(strdup(value)) };
}

static void unset(struct fields *fields, const char *name)
{
	uint32_t i, n = 0;

	for (i = 0; i < fields->n; i++) {
		if (strcasecmp(fields->list[i].name, name))
			fields->list[n++] = fields->list[i];
		else
			free(fields->list[i].value);
	}
	fields->n = n;
}

void fields_clear(struct fields *fields)
{
	while (fields->n)
		free(fields->list[--fields->n].value);
}

/*
 * --- reading ---
 */

/*
 * Written by the packer, or between two neighbours on the way only; and what the server writes
 * itself.
 */
static bool is_refused(const char *name)
{
	static const char *const names[] = {
		"Accept-Ranges",
		"Age",
		"Content-Encoding",
		"Last-Modified",
		"Proxy-Authenticate",
		"Status",
		"TE",
		NULL,
	};

	return is_one_of(name, names) ||
	       khttpd_site_reserves((struct khttpd_str){ name, strlen(name) });
}

static bool is_token(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!khttpd_is_class(*s, KHTTPD_TOKEN))
			return false;
	return true;
}

static char *skip_blanks(char *s)
{
	return s + strspn(s, " \t");
}

/* "Name: value" or "! Name" */
static bool parse_line(struct header_line *line, const struct pattern *path, char *s,
		       const char **why)
{
	char *value = NULL;

	if (*s == '!') {
		s = skip_blanks(s + 1);
	} else {
		value = strchr(s, ':');
		if (!value) {
			*why = "it is neither a path nor \"Name: value\" nor \"! Name\"";
			return false;
		}
		*value = 0;
		value = skip_blanks(value + 1);
		if (!*value) {
			*why = "it has no value; \"! Name\" takes a field away";
			return false;
		}
	}
	if (!is_token(s)) {
		*why = "it has a field name with characters that no field name has";
		return false;
	}
	if (!strcasecmp(s, "Basic-Auth")) {
		*why = "passwords (Basic-Auth) are not supported";
		return false;
	}
	if (is_refused(s)) {
		*why = "this field is the server's own";
		return false;
	}
	if (value && !expansion_parse(&line->value, path, value, EXPANSION_VALUE, why))
		return false;
	line->name = must(strdup(s));
	return true;
}

static void free_rule(struct header_rule *rule)
{
	while (rule->n) {
		rule->n--;
		free(rule->lines[rule->n].name);
		free(rule->lines[rule->n].value.text);
	}
	free(rule->lines);
	pattern_free(&rule->path);
}

/* A path that was the @last line must be a mistake. */
static void check_path(const struct lines *lines, unsigned int path, unsigned int last,
		       struct report *r)
{
	if (path && path == last && !lines->bad)
		report(r, PACK_ERROR, lines->file, path, "no field follows this path");
}

void headers_parse(struct headers *headers, char *file, char *text, size_t len, struct report *r)
{
	struct header_rule *rule = NULL; /* lines of a path with an error are not looked at */
	unsigned int path = 0, last = 0; /* numbers of lines */
	struct lines lines;
	const char *why;
	char *s;

	*headers = (struct headers){ .file = file };
	lines_begin(&lines, file, text, len);
	while ((s = lines_next(&lines, r))) {
		if (*s == '/' || !strncasecmp(s, "http://", 7) || !strncasecmp(s, "https://", 8)) {
			check_path(&lines, path, last, r);
			path = lines.number;
			GROW(headers->list, headers->n, headers->cap);
			rule = &headers->list[headers->n];
			*rule = (struct header_rule){ .line = lines.number };
			if (pattern_parse(&rule->path, s, true, &why)) {
				headers->n++;
			} else {
				report(r, PACK_ERROR, file, lines.number, "%s", why);
				rule = NULL;
			}
		} else if (rule) {
			GROW(rule->lines, rule->n, rule->cap);
			rule->lines[rule->n] = (struct header_line){ .line = lines.number };
			if (!parse_line(&rule->lines[rule->n], &rule->path, s, &why))
				report(r, PACK_ERROR, file, lines.number, "%s", why);
			else
				rule->n++;
		} else if (!path) {
			report(r, PACK_ERROR, file, lines.number, "no path comes before it");
		}
		last = lines.number;
	}
	check_path(&lines, path, last, r);
}

void headers_free(struct headers *headers)
{
	while (headers->n)
		free_rule(&headers->list[--headers->n]);
	free(headers->list);
	free(headers->file);
}

/* --- applying --- */

/* A capture can be any bytes: what could end a line, a word or a quotation is percent-encoded. */
static char *expand(const struct expansion *t, const struct khttpd_str *captures)
{
	size_t size = t->len + 1, at = 0;
	const struct khttpd_str *c;
	uint32_t i, j;
	char *out;

	for (i = 0; i < t->len; i++)
		if (!t->text[i])
			size += 3 * (size_t)captures[(unsigned char)t->text[++i]].len;
	out = must(malloc(size));
	for (i = 0; i < t->len; i++) {
		if (t->text[i]) {
			out[at++] = t->text[i];
			continue;
		}
		c = &captures[(unsigned char)t->text[++i]];
		for (j = 0; j < c->len; j++) {
			if (c->p[j] > ' ' && c->p[j] < 0x7f && !strchr("\"%<>\\", c->p[j]))
				out[at++] = c->p[j];
			else
				at += sprintf(out + at, "%%%02X", (unsigned char)c->p[j]);
		}
	}
	/* An empty capture at the end leaves the blank before it */
	while (at && khttpd_is_space(out[at - 1]))
		at--;
	out[at] = 0;
	memmove(out, skip_blanks(out), at - strspn(out, " \t") + 1);
	return out;
}

void headers_apply(struct headers *headers, struct khttpd_str path, struct fields *fields)
{
	struct khttpd_str captures[KHTTPD_IMAGE_MAX_CAPTURES];
	const struct header_line *line;
	struct header_rule *rule;
	char *value;
	uint32_t i, j;

	for (i = 0; i < headers->n; i++) {
		rule = &headers->list[i];
		if (!pattern_match(&rule->path, path, captures))
			continue;
		rule->used = true;
		for (j = 0; j < rule->n; j++) {
			line = &rule->lines[j];
			if (!line->value.text) {
				unset(fields, line->name);
				continue;
			}
			value = expand(&line->value, captures);
			fields_set(fields, line->name, value);
			free(value);
		}
	}
}
