/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The rules of a site: redirects and rewrites for paths that it does not have. */
#ifndef KHTTPD_CORE_ROUTE_H
#define KHTTPD_CORE_ROUTE_H

#include "site.h"

/**
 * struct khttpd_route - a rule that matched
 * @rule: the rule
 * @captures: what its pattern's placeholders stand for; slices of the path
 */
struct khttpd_route {
	const struct khttpd_image_rule *rule;
	struct khttpd_str captures[KHTTPD_IMAGE_MAX_CAPTURES];
};

/**
 * khttpd_route_find() - the first rule of a host that matches a path
 * @site: the site
 * @host: index of the host
 * @path: decoded, normalised path
 * @route: set on success; lives as long as @path
 *
 * At most KHTTPD_IMAGE_MAX_RULES patterns are tried, each in one pass over the path.
 *
 * Return: true if there is one.
 */
bool khttpd_route_find(const struct khttpd_site *site, u32 host, struct khttpd_str path,
		       struct khttpd_route *route);

/**
 * khttpd_route_match() - does a rule match a path?
 * @site: the site
 * @rule: the rule
 * @path: decoded, normalised path
 * @route: set on success; lives as long as @path
 *
 * Return: true if it does.
 */
bool khttpd_route_match(const struct khttpd_site *site, const struct khttpd_image_rule *rule,
			struct khttpd_str path, struct khttpd_route *route);

/**
 * khttpd_route_path() - the path that a rewrite leads to
 * @site: the site
 * @route: from khttpd_route_find()
 * @out: where it goes
 * @size: bytes at @out
 *
 * Return: its length, more than @size if it did not fit; anything above KHTTPD_IMAGE_MAX_PATH if
 * it is longer than that.
 */
u64 khttpd_route_path(const struct khttpd_site *site, const struct khttpd_route *route, char *out,
		      size_t size);

/**
 * khttpd_route_location() - the value of Location that a redirect rule leads to
 * @site: the site
 * @route: from khttpd_route_find()
 * @query: of the request; .p is NULL if it has none
 * @out: where it goes
 * @size: bytes at @out
 *
 * Return: its length, more than @size if it did not fit; anything above KHTTPD_MAX_FIELD_GROUP if
 * it is longer than that.
 */
u64 khttpd_route_location(const struct khttpd_site *site, const struct khttpd_route *route,
			  struct khttpd_str query, char *out, size_t size);

/**
 * khttpd_entry_location() - the same for an entry that is a redirect
 * @site: the site
 * @entry: the entry
 * @query: of the request; .p is NULL if it has none
 * @out: where it goes
 * @size: bytes at @out
 *
 * Return: its length; more than @size if it did not fit.
 */
u64 khttpd_entry_location(const struct khttpd_site *site, const struct khttpd_image_entry *entry,
			  struct khttpd_str query, char *out, size_t size);

#endif
