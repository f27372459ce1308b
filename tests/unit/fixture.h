/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* A site built by hand, with what negotiation, conditions and ranges need. */
#ifndef KHTTPD_TESTS_FIXTURE_H
#define KHTTPD_TESTS_FIXTURE_H

#include "../../core/site.h"

/*
 * "/"       identity only, ALPHABET
 * "/multi"  br, zstd, gzip, identity: in this order of preference
 * "/two"    identity preferred to gzip
 * "/coded"  gzip only
 * "/empty"  no content
 * "/long"   field group of KHTTPD_MAX_FIELD_GROUP bytes
 * All were modified at FIXTURE_MODIFIED; the entity tags are "<path>-<coding>".
 */
#define FIXTURE_MODIFIED 784111777
#define FIXTURE_MODIFIED_TEXT "Sun, 06 Nov 1994 08:49:37 GMT"
#define ALPHABET "abcdefghijklmnopqrstuvwxyz"

const struct khttpd_site *fixture_site(void);

#endif
