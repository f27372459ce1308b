/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What is served: resources with their variants, found by path. */
#ifndef KHTTPD_CORE_SITE_H
#define KHTTPD_CORE_SITE_H

#include "types.h"

/* Longest group of ready field lines that a variant may have. */
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
 * struct khttpd_variant - one representation of a resource
 * @coding: enum khttpd_coding
 * @etag: strong entity tag with its quotes
 * @fields: ready lines, each with CRLF, of a 200 or 206: Content-Type, ETag, Last-Modified,
 *	Accept-Ranges, Content-Encoding, Vary, Cache-Control, ...; not Date, Server, Content-Length,
 *	Content-Range, Connection. At most KHTTPD_MAX_FIELD_GROUP bytes
 * @fields_304: the ready lines of a 304 (RFC 9110, 15.4.5)
 * @ready: the whole head of a plain 200 to HTTP/1.1, from khttpd_reply_ready(): all that most
 *	replies need is today's date. Empty: every head is written line by line
 * @body: the content; NULL only if @body_len is 0
 * @body_len: bytes
 */
struct khttpd_variant {
	enum khttpd_coding coding;
	struct khttpd_str etag;
	struct khttpd_str fields;
	struct khttpd_str fields_304;
	struct khttpd_str ready;
	const u8 *body;
	u64 body_len;
};

/**
 * struct khttpd_resource - what one path of the site names
 * @path: decoded, normalised, begins with '/'
 * @last_modified: seconds since 1970-01-01 UTC, the time that Last-Modified shows
 * @n_variants: at least 1
 * @variants: in the server's order of preference, used where the client has none
 */
struct khttpd_resource {
	struct khttpd_str path;
	s64 last_modified;
	u32 n_variants;
	const struct khttpd_variant *variants;
};

/**
 * struct khttpd_site - one immutable site
 * @resources: array of resources
 * @n_resources: entries
 */
struct khttpd_site {
	const struct khttpd_resource *resources;
	u32 n_resources;
};

/**
 * khttpd_site_find() - the resource that a request names
 * @site: the site
 * @host: host of the request, without port; may be empty
 * @path: decoded, normalised path
 *
 * Return: the resource, or NULL.
 */
const struct khttpd_resource *khttpd_site_find(const struct khttpd_site *site,
					       struct khttpd_str host, struct khttpd_str path);

/**
 * struct khttpd_builtin - the site that is served while no image is loaded
 * @site: what the engines look things up in; points into this struct
 *
 * One page at "/" that says what khttpd is and, for tests, one large object at "/large.bin".
 */
struct khttpd_builtin {
	struct khttpd_site site;
	struct khttpd_resource resources[2];
	struct khttpd_variant variants[2];
	char etag[2][32];
	char fields[2][256];
	char fields_304[2][64];
	char ready[2][512];
};

/**
 * khttpd_builtin_init() - make the built-in site
 * @b: to be filled in; must not move afterwards
 * @large: content of /large.bin, owned by the caller and alive as long as @b, or NULL: no such path
 * @large_len: bytes at @large
 */
void khttpd_builtin_init(struct khttpd_builtin *b, const u8 *large, u64 large_len);

#endif
