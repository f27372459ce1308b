// SPDX-License-Identifier: MIT OR GPL-2.0
/* A site built by hand, with what negotiation, conditions and ranges need. */
#include "fixture.h"

#define MODIFIED "Last-Modified: " FIXTURE_MODIFIED_TEXT "\r\n"
#define TYPE "Content-Type: text/plain\r\nAccept-Ranges: bytes\r\n"
#define CACHE "Cache-Control: max-age=60\r\n"
#define VARY "Vary: Accept-Encoding\r\n"
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X512 X64 X64 X64 X64 X64 X64 X64 X64

#define VARIANT(id, tag, more, text)                                                    \
	{                                                                               \
		.coding = (id), .etag = KHTTPD_STR("\"" tag "\""),                      \
		.fields = KHTTPD_STR(TYPE "ETag: \"" tag "\"\r\n" MODIFIED CACHE more), \
		.fields_304 = KHTTPD_STR("ETag: \"" tag "\"\r\n" CACHE more),           \
		.body = (const u8 *)(text), .body_len = sizeof(text) - 1,               \
	}

static const struct khttpd_variant root[] = {
	VARIANT(KHTTPD_IDENTITY, "root-identity", "", ALPHABET),
};

/* A 304 needs Vary but not Content-Encoding (RFC 9110, 15.4.5). */
#define CODED(id, tag, name, text)                                                    \
	{                                                                             \
		.coding = (id), .etag = KHTTPD_STR("\"" tag "\""),                    \
		.fields = KHTTPD_STR(TYPE "ETag: \"" tag "\"\r\n" MODIFIED CACHE VARY \
					  "Content-Encoding: " name "\r\n"),          \
		.fields_304 = KHTTPD_STR("ETag: \"" tag "\"\r\n" CACHE VARY),         \
		.body = (const u8 *)(text), .body_len = sizeof(text) - 1,             \
	}

static const struct khttpd_variant multi[] = {
	CODED(KHTTPD_BR, "multi-br", "br", "not really brotli"),
	CODED(KHTTPD_ZSTD, "multi-zstd", "zstd", "not really zstandard"),
	CODED(KHTTPD_GZIP, "multi-gzip", "gzip", "not really compressed"),
	VARIANT(KHTTPD_IDENTITY, "multi-identity", VARY, ALPHABET ALPHABET),
};

static const struct khttpd_variant two[] = {
	VARIANT(KHTTPD_IDENTITY, "two-identity", VARY, ALPHABET),
	CODED(KHTTPD_GZIP, "two-gzip", "gzip", "not really compressed"),
};

static const struct khttpd_variant coded[] = {
	CODED(KHTTPD_GZIP, "coded-gzip", "gzip", "not really compressed"),
};

static const struct khttpd_variant empty[] = {
	{
		.coding = KHTTPD_IDENTITY,
		.etag = KHTTPD_STR("\"empty-identity\""),
		.fields = KHTTPD_STR(TYPE "ETag: \"empty-identity\"\r\n" MODIFIED),
		.fields_304 = KHTTPD_STR("ETag: \"empty-identity\"\r\n"),
	},
};

/* 7 * 512 + 7 * 64 + 64: the last part takes what "X: " and CRLF leave of KHTTPD_MAX_FIELD_GROUP */
static const char long_fields[] =
	"X: " X512 X512 X512 X512 X512 X512 X512 X64 X64 X64 X64 X64 X64 X64
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";

_Static_assert(sizeof(long_fields) - 1 == KHTTPD_MAX_FIELD_GROUP, "not the longest field group");

static const struct khttpd_variant with_long[] = {
	{
		.coding = KHTTPD_IDENTITY,
		.etag = KHTTPD_STR("\"long-identity\""),
		.fields = { long_fields, KHTTPD_MAX_FIELD_GROUP },
		.fields_304 = { long_fields, KHTTPD_MAX_FIELD_GROUP },
		.body = (const u8 *)ALPHABET,
		.body_len = sizeof(ALPHABET) - 1,
	},
};

#define RESOURCE(name, array)                                                        \
	{                                                                            \
		.path = KHTTPD_STR(name), .last_modified = FIXTURE_MODIFIED,         \
		.n_variants = sizeof(array) / sizeof(*(array)), .variants = (array), \
	}

static const struct khttpd_resource resources[] = {
	RESOURCE("/", root),	   RESOURCE("/multi", multi), RESOURCE("/two", two),
	RESOURCE("/coded", coded), RESOURCE("/empty", empty), RESOURCE("/long", with_long),
};

static const struct khttpd_site site = {
	.resources = resources,
	.n_resources = sizeof(resources) / sizeof(*resources),
};

const struct khttpd_site *fixture_site(void)
{
	return &site;
}
