/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* A site for the tests, with what negotiation, conditions, ranges, hosts and rules need. */
#ifndef KHTTPD_TESTS_FIXTURE_H
#define KHTTPD_TESTS_FIXTURE_H

#include "../../core/site.h"

/*
 * "/"       identity only, ALPHABET
 * "/multi"  br, zstd, gzip, identity: in this order of preference
 * "/two"    identity preferred to gzip
 * "/coded"  gzip only
 * "/empty"  no content
 * "/long"   field groups of KHTTPD_MAX_FIELD_GROUP bytes together
 * "/large"  48 KiB, page-aligned
 * "/dir", "/gone": redirects; for the rules see fill() in fixture.c
 * Hosts: the default one, "a.example" with "/", "other.example" with "/" and a page for 404
 * All were modified at FIXTURE_MODIFIED; the entity tags are "<path>-<coding>".
 */
#define FIXTURE_MODIFIED 784111777
#define FIXTURE_MODIFIED_TEXT "Sun, 06 Nov 1994 08:49:37 GMT"
#define ALPHABET "abcdefghijklmnopqrstuvwxyz"

const struct khttpd_site *fixture_site(void);

/* The image that the site lies in. */
const void *fixture_image(uint64_t *len);

/* Variant @i of a path of the default host, or NULL. */
const struct khttpd_image_variant *fixture_variant(const char *path, uint32_t i);

#endif
