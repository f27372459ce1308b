// SPDX-License-Identifier: MIT OR GPL-2.0
/* The rules of a site: matching a path, and building what a rule makes of it. */
#include "route.h"

#include "text.h"

/* Text that grows; what does not fit is counted, not written. */
struct out {
	char *p;
	u64 size;
	u64 len;
	bool local; /* a location on the same server */
};

static void add(struct out *o, char c)
{
	/* "//host" would be another server's: an open redirect, if a client chose the host */
	if (o->local && o->len == 1 && c == '/')
		return;
	if (o->len < o->size)
		o->p[o->len] = c;
	o->len++;
}

static void add_text(struct out *o, struct khttpd_str s)
{
	u32 i;

	for (i = 0; i < s.len; i++)
		add(o, s.p[i]);
}

/* --- matching --- */

#define ENDS 32

/*
 * Where the segments of a path end, by the number of slashes before them; 0: not looked at yet.
 * Without it a client's segment of several KB would be gone through for each of thousands of
 * rules. What lies behind more slashes than this is looked at each time: only a site whose rules
 * have as many comes there.
 */
struct ends {
	u32 of[ENDS];
};

static u32 segment_end(struct ends *ends, struct khttpd_str path, u32 at, u32 slashes)
{
	if (slashes < ENDS && ends->of[slashes])
		return ends->of[slashes];
	while (at < path.len && path.p[at] != '/')
		at++;
	if (slashes < ENDS)
		ends->of[slashes] = at;
	return at;
}

static bool matches(struct khttpd_str pattern, struct khttpd_str path, struct khttpd_str *capture,
		    struct ends *ends)
{
	u32 i, at = 0, begin, slashes = 0;

	for (i = 0; i < pattern.len; i++) {
		if (pattern.p[i]) {
			if (at == path.len || path.p[at++] != pattern.p[i])
				return false;
			slashes += pattern.p[i] == '/';
			continue;
		}
		begin = at;
		if (pattern.p[++i] == KHTTPD_RULE_SPLAT) {
			at = path.len;
		} else {
			at = segment_end(ends, path, begin, slashes);
			if (at == begin)
				return false;
		}
		*capture++ = (struct khttpd_str){ path.p + begin, at - begin };
	}
	return at == path.len;
}

bool khttpd_route_match(const struct khttpd_site *site, const struct khttpd_image_rule *rule,
			struct khttpd_str path, struct khttpd_route *route)
{
	struct ends ends = { { 0 } };

	route->rule = rule;
	return matches(khttpd_site_text(site, &rule->pattern), path, route->captures, &ends);
}

bool khttpd_route_find(const struct khttpd_site *site, u32 host, struct khttpd_str path,
		       struct khttpd_route *route)
{
	const struct khttpd_image_host *h = &site->hosts[host];
	const struct khttpd_image_rule *r = site->rules + le32_to_cpu(h->first_rule);
	const struct khttpd_image_rule *end = r + le32_to_cpu(h->n_rules);
	struct ends ends = { { 0 } };

	for (; r < end; r++) {
		route->rule = r;
		if (matches(khttpd_site_text(site, &r->pattern), path, route->captures, &ends))
			return true;
	}
	return false;
}

/* --- building --- */

u64 khttpd_route_path(const struct khttpd_site *site, const struct khttpd_route *route, char *out,
		      size_t size)
{
	struct khttpd_str target = khttpd_site_text(site, &route->rule->target);
	struct out o = { .p = out, .size = size };
	u32 i;

	/* A target can name one long capture a thousand times: stop where no entry can be */
	for (i = 0; i < target.len && o.len <= KHTTPD_IMAGE_MAX_PATH; i++) {
		if (target.p[i])
			add(&o, target.p[i]);
		else
			add_text(&o, route->captures[(u8)target.p[++i]]);
	}
	return o.len;
}

static bool is_unreserved(u8 c)
{
	return khttpd_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
	       c == '.' || c == '_' || c == '~';
}

/* May @c stand for itself in a path (RFC 3986, 3.3)? */
static bool is_path_char(u8 c)
{
	return is_unreserved(c) || (c && strchr("!$&'()*+,;=:@/", c));
}

/*
 * Percent-encode a capture. The path was decoded, so its encoding may differ from what the client
 * sent ("%41" comes back as "A"), but it names the same. Behind '?' or '#', a '&' or '+' would mean
 * something else.
 */
static void add_encoded(struct out *o, struct khttpd_str s, bool in_path)
{
	u32 i;
	u8 c;

	for (i = 0; i < s.len; i++) {
		c = s.p[i];
		if (in_path ? is_path_char(c) : is_unreserved(c)) {
			add(o, c);
		} else {
			add(o, '%');
			add(o, "0123456789ABCDEF"[c >> 4]);
			add(o, "0123456789ABCDEF"[c & 15]);
		}
	}
}

static void add_query(struct out *o, struct khttpd_str query)
{
	if (!query.p)
		return;
	add(o, '?');
	add_text(o, query);
}

/* The request's query goes before a fragment, and only where the target has none of its own. */
static u64 add_target(struct out *o, struct khttpd_str target, const struct khttpd_str *captures,
		      struct khttpd_str query)
{
	bool in_path = true;
	u32 i;

	o->local = khttpd_is_local(target);
	for (i = 0; i < target.len && o->len <= KHTTPD_MAX_FIELD_GROUP; i++) {
		if (!target.p[i]) {
			add_encoded(o, captures[(u8)target.p[++i]], in_path);
			continue;
		}
		if (target.p[i] == '?' && in_path)
			query.p = NULL;
		if (target.p[i] == '#') {
			add_query(o, query);
			query.p = NULL;
		}
		if (target.p[i] == '?' || target.p[i] == '#')
			in_path = false;
		add(o, target.p[i]);
	}
	add_query(o, query);
	return o->len;
}

u64 khttpd_route_location(const struct khttpd_site *site, const struct khttpd_route *route,
			  struct khttpd_str query, char *out, size_t size)
{
	struct out o = { .p = out, .size = size };

	return add_target(&o, khttpd_site_text(site, &route->rule->target), route->captures, query);
}

u64 khttpd_entry_location(const struct khttpd_site *site, const struct khttpd_image_entry *entry,
			  struct khttpd_str query, char *out, size_t size)
{
	struct out o = { .p = out, .size = size };

	return add_target(&o, khttpd_site_text(site, &entry->location), NULL, query);
}
