// SPDX-License-Identifier: MIT OR GPL-2.0
/* _redirects: "path target [status][!]", in the syntax of Netlify and Cloudflare Pages. */
#include <ctype.h>
#include <stdio.h>

#include "rules.h"
#include "util.h"

#define DEFAULT_STATUS 301
#define MAX_WORDS 32

static bool is_absolute(const char *s)
{
	return !strncasecmp(s, "http://", 7) || !strncasecmp(s, "https://", 8);
}

/* Words up to a comment. More than MAX_WORDS would be an error in any case. */
static uint32_t split(char *line, char *words[MAX_WORDS])
{
	char *rest, *word;
	uint32_t n = 0;

	for (word = strtok_r(line, " \t", &rest); word && *word != '#' && n < MAX_WORDS;
	     word = strtok_r(NULL, " \t", &rest))
		words[n++] = word;
	return n;
}

/* "301", "200!" ...: the status, or 0 if it is none that we have; -1 if it is no status at all. */
static int parse_status(const char *s, bool *force)
{
	static const int known[] = { 200, 301, 302, 303, 307, 308, 404 };
	int status = 0, digits;
	uint32_t i;

	for (digits = 0; isdigit((unsigned char)s[digits]); digits++)
		status = status < 1000 ? status * 10 + s[digits] - '0' : status;
	*force = digits && s[digits] == '!';
	if (digits != 3 || s[digits + *force])
		return digits && !s[digits + *force] ? 0 : -1;
	for (i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i] == status)
			return status;
	return 0;
}

/* What comes behind the target. */
static bool parse_options(struct redirect *rule, char **words, uint32_t n, const char **why)
{
	int status = DEFAULT_STATUS;
	uint32_t i = 0;

	if (n) {
		status = parse_status(words[0], &rule->force);
		i = status >= 0;
	}
	if (i < n) {
		*why = strchr(words[i], '=') ?
			       "conditions (Country=, Language=, Role=, Cookie=) are not supported: a site image answers everybody alike" :
			       "what follows its target is no status";
		return false;
	}
	if (!status) {
		*why = "its status is not supported; there are 301, 302, 303, 307, 308, 200 and 404";
		return false;
	}
	rule->status = status;
	return true;
}

/* No client may choose the server that a redirect leads to. */
static bool chooses_server(const struct expansion *to)
{
	uint32_t i;

	if (to->text[0] == '/')
		return false;
	for (i = strchr(to->text, ':') - to->text + 3; i < to->len; i++) {
		if (!to->text[i])
			return true;
		if (strchr("/?#", to->text[i]))
			return false;
	}
	return false;
}

static bool parse_target(struct redirect *rule, const char *s, const char **why)
{
	enum expansion_kind kind = EXPANSION_LOCATION;

	if (redirect_is_rewrite(rule)) {
		if (is_absolute(s)) {
			*why = "its target is on another host; only redirects can lead there";
			return false;
		}
		if (strpbrk(s, "?#")) {
			*why = "its target has a \"?\" or \"#\"; a rewrite leads to a path";
			return false;
		}
		kind = EXPANSION_PATH;
	}
	if (s[0] == '/' && s[1] == '/') {
		*why = "its target begins with \"//\"; write https:// if it is another host";
		return false;
	}
	if (!expansion_parse(&rule->to, &rule->from, s, kind, why))
		return false;
	if (chooses_server(&rule->to)) {
		*why = "its target has a placeholder before the path";
		return false;
	}
	if (rule->to.len > KHTTPD_IMAGE_MAX_PATH) {
		*why = "its target is longer than 4096 bytes";
		return false;
	}
	if (!redirect_is_rewrite(rule) && redirect_is_exact(rule) &&
	    rule->to.len == rule->from.len &&
	    !memcmp(rule->to.text, rule->from.text, rule->to.len)) {
		*why = "it leads to itself";
		return false;
	}
	return true;
}

static bool parse_rule(struct redirect *rule, char *line, const char **why)
{
	char *words[MAX_WORDS] = { line };
	uint32_t n = split(line, words);

	if (!pattern_parse(&rule->from, words[0], false, why))
		return false;
	if (n < 2) {
		*why = "it has no target";
		return false;
	}
	if (words[1][0] != '/' && !is_absolute(words[1])) {
		*why = strchr(words[1], '=') ?
			       "conditions on the query are not supported" :
			       "its target begins with neither \"/\" nor http:// nor https://";
		return false;
	}
	return parse_options(rule, words + 2, n - 2, why) && parse_target(rule, words[1], why);
}

static void free_rule(struct redirect *rule)
{
	pattern_free(&rule->from);
	free(rule->to.text);
}

void redirects_parse(struct redirects *redirects, char *file, char *text, size_t len,
		     struct report *r)
{
	struct redirect *rule;
	struct lines lines;
	const char *why;
	char *line;

	*redirects = (struct redirects){ .file = file };
	lines_begin(&lines, file, text, len);
	while ((line = lines_next(&lines, r))) {
		GROW(redirects->list, redirects->n, redirects->cap);
		rule = &redirects->list[redirects->n];
		*rule = (struct redirect){ .line = lines.number };
		if (parse_rule(rule, line, &why)) {
			redirects->forced |= rule->force;
			redirects->n++;
			continue;
		}
		report(r, PACK_ERROR, file, lines.number, "%s", why);
		free_rule(rule);
	}
}

void redirects_free(struct redirects *redirects)
{
	while (redirects->n)
		free_rule(&redirects->list[--redirects->n]);
	free(redirects->list);
	free(redirects->file);
}

const struct redirect *redirects_find(const struct redirects *redirects, struct khttpd_str path,
				      struct khttpd_str captures[KHTTPD_IMAGE_MAX_CAPTURES])
{
	uint32_t i;

	for (i = 0; i < redirects->n; i++)
		if (pattern_match(&redirects->list[i].from, path, captures))
			return &redirects->list[i];
	return NULL;
}
