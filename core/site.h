/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What is served: a site image, checked once, then looked up in without checks. */
#ifndef KHTTPD_CORE_SITE_H
#define KHTTPD_CORE_SITE_H

#include "image.h"
#include "types.h"

/* Longest group of ready field lines that a reply may have. */
#define KHTTPD_MAX_FIELD_GROUP 4096

/* Content codings, RFC 9110 8.4.1 and the IANA registry. */
enum khttpd_coding {
	KHTTPD_IDENTITY,
	KHTTPD_GZIP,
	KHTTPD_BR,
	KHTTPD_ZSTD,
	KHTTPD_CODINGS,
};

/**
 * struct khttpd_site - an image that was checked
 * @image: its first byte
 * @size: its bytes
 * @hosts: sorted by name; the first is the default host
 * @buckets: where the entries of each bucket begin and end
 * @entries: in the order of their buckets
 * @variants: in the order of their entries
 * @rules: in the order of their hosts
 * @seed: of the hash
 * @mask: of the hash: the number of buckets - 1
 * @n_hosts: entries of @hosts
 * @n_entries: entries of @entries
 * @longest_head: any head of a reply from this site is at most so long
 */
struct khttpd_site {
	const u8 *image;
	u32 size;
	const struct khttpd_image_host *hosts;
	const le32 *buckets;
	const struct khttpd_image_entry *entries;
	const struct khttpd_image_variant *variants;
	const struct khttpd_image_rule *rules;
	u32 seed;
	u32 mask;
	u32 n_hosts;
	u32 n_entries;
	u32 longest_head;
};

/**
 * khttpd_site_open() - check an image
 * @site: set on success
 * @image: the image, aligned to 8 bytes; must stay and not change as long as @site is used
 * @size: bytes at @image
 * @why: set on failure: one sentence without its final dot
 *
 * Takes time linear in @size. See docs/site-image.md for the rules.
 *
 * Context: process; for an image of 1 GiB it takes seconds.
 * Return: true if everything that a look-up or a reply may touch lies in the image.
 */
bool khttpd_site_open(struct khttpd_site *site, const void *image, u64 size, const char **why);

/**
 * khttpd_site_hash() - the hash of an entry
 * @seed: of the image
 * @host: index of the host
 * @path: the path
 */
u32 khttpd_site_hash(u32 seed, u32 host, struct khttpd_str path);

/**
 * khttpd_site_host() - the host that a request means
 * @site: the site
 * @name: host of the request, without port, in any case; may be empty
 *
 * Return: its index; 0, the default host, if the site does not know it.
 */
u32 khttpd_site_host(const struct khttpd_site *site, struct khttpd_str name);

/**
 * khttpd_site_find() - look up a path
 * @site: the site
 * @host: index of the host
 * @path: decoded, normalised path
 *
 * Return: the entry, or NULL.
 */
const struct khttpd_image_entry *khttpd_site_find(const struct khttpd_site *site, u32 host,
						  struct khttpd_str path);

/**
 * khttpd_site_reserves() - is a field not for an image to set?
 * @field: its name, in any case
 *
 * Return: true if only the server writes it: what frames a message or speaks for the connection,
 * and what it computes.
 */
bool khttpd_site_reserves(struct khttpd_str field);

/* Does the target of a redirect begin with one '/': a path on the same server? */
static inline bool khttpd_is_local(struct khttpd_str target)
{
	return target.len && target.p[0] == '/' && (target.len == 1 || target.p[1] != '/');
}

/* The bytes of @ref. */
static inline struct khttpd_str khttpd_site_text(const struct khttpd_site *site,
						 const struct khttpd_image_ref *ref)
{
	return (struct khttpd_str){ (const char *)site->image + le32_to_cpu(ref->at),
				    le32_to_cpu(ref->len) };
}

/* The whole head of a variant. */
static inline struct khttpd_str khttpd_site_head(const struct khttpd_site *site,
						 const struct khttpd_image_variant *v)
{
	return (struct khttpd_str){ (const char *)site->image + le32_to_cpu(v->head),
				    le16_to_cpu(v->head_len) };
}

/* The field lines of groups @first up to, but not including, @end (0 to 4). */
static inline struct khttpd_str khttpd_site_fields(const struct khttpd_site *site,
						   const struct khttpd_image_variant *v, u32 first,
						   u32 end)
{
	const char *head = (const char *)site->image + le32_to_cpu(v->head);
	u32 from = le16_to_cpu(v->group[first]);
	u32 to = end < 4 ? le16_to_cpu(v->group[end]) : le16_to_cpu(v->head_len) - 2u;

	return (struct khttpd_str){ head + from, to - from };
}

/* The entity tag with its quotes: group 3 without "ETag: " and CRLF. */
static inline struct khttpd_str khttpd_site_etag(const struct khttpd_site *site,
						 const struct khttpd_image_variant *v)
{
	struct khttpd_str line = khttpd_site_fields(site, v, 2, 3);

	return (struct khttpd_str){ line.p + 6, line.len - 8 };
}

#endif
