/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* A site image as it lies in a file and in memory; docs/site-image.md explains it. */
#ifndef KHTTPD_CORE_IMAGE_H
#define KHTTPD_CORE_IMAGE_H

#include "types.h"

#define KHTTPD_IMAGE_MAGIC "\x89khttpd\n" /* 8 bytes; the NUL behind them does not count */
#define KHTTPD_IMAGE_VERSION 1
#define KHTTPD_IMAGE_MAX_HOSTS 65536
#define KHTTPD_IMAGE_MAX_HOST_NAME 255
#define KHTTPD_IMAGE_MAX_CHAIN 16 /* entries of one bucket */
#define KHTTPD_IMAGE_MAX_BUCKET_BITS 26
#define KHTTPD_IMAGE_MAX_PATH 4096
#define KHTTPD_IMAGE_MAX_RULES 2000 /* of one host */
#define KHTTPD_IMAGE_MAX_CAPTURES 16 /* of one rule */
#define KHTTPD_IMAGE_PAGE 4096
#define KHTTPD_IMAGE_PAGES_MIN 16384 /* bodies from this size on begin at a page */
#define KHTTPD_IMAGE_NONE 0xffffffff

/* What follows a NUL in the pattern of a rule. */
#define KHTTPD_RULE_SEGMENT 'p'
#define KHTTPD_RULE_SPLAT 's'

/* Where some bytes lie. */
struct khttpd_image_ref {
	le32 at;
	le32 len;
};

struct khttpd_image_header {
	u8 magic[8];
	le32 version;
	le32 header_crc; /* CRC-32C of the header with 0 in this place */
	le32 content_crc; /* CRC-32C of everything behind the header */
	le32 size;
	le32 seed;
	le32 bucket_bits;
	le32 n_hosts;
	le32 hosts;
	le32 buckets;
	le32 n_entries;
	le32 entries;
	le32 n_variants;
	le32 variants;
	le32 n_rules;
	le32 rules;
	le32 reserved[3];
	u8 digest[16];
	char name[32];
};

struct khttpd_image_host {
	struct khttpd_image_ref name;
	le32 not_found; /* an entry, or KHTTPD_IMAGE_NONE */
	le32 first_rule;
	le32 n_rules;
	le32 reserved;
};

struct khttpd_image_entry {
	le32 hash;
	le32 host;
	struct khttpd_image_ref path;
	union {
		le64 last_modified; /* status 200: seconds since 1970-01-01 UTC, signed */
		struct khttpd_image_ref location; /* 3xx */
	};
	le32 first_variant;
	le16 status;
	le16 n_variants;
};

struct khttpd_image_variant {
	le32 head; /* where it begins */
	le16 head_len;
	le16 group[4]; /* where each group begins, from the head's beginning */
	le16 coding; /* enum khttpd_coding */
	struct khttpd_image_ref body;
};

struct khttpd_image_rule {
	le16 status;
	le16 n_captures;
	struct khttpd_image_ref pattern;
	struct khttpd_image_ref target;
	le32 reserved;
};

#endif
