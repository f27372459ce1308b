// SPDX-License-Identifier: MIT OR GPL-2.0
/* A site for the tests, with what negotiation, conditions, ranges, hosts and rules need. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../pack/image.h"

#define TYPE "Content-Type: text/plain\r\n"
#define CACHE "Cache-Control: max-age=60\r\n"
#define VARY "Vary: Accept-Encoding\r\n"
#define MODIFIED "Last-Modified: " FIXTURE_MODIFIED_TEXT "\r\nAccept-Ranges: bytes\r\n"

static struct khttpd_str str(const char *s)
{
	return (struct khttpd_str){ s, strlen(s) };
}

static const char *const coding_names[] = { "identity", "gzip", "br", "zstd" };

/* One coding of the entry that was made last; @more are lines of the first group. */
static void variant(struct image *img, enum khttpd_coding coding, const char *tag, const char *more,
		    bool vary, const char *body)
{
	char first[256 + KHTTPD_MAX_FIELD_GROUP], etag[64];

	snprintf(first, sizeof(first), TYPE "%s%s%s%s", coding ? "Content-Encoding: " : "",
		 coding ? coding_names[coding] : "", coding ? "\r\n" : "", more);
	snprintf(etag, sizeof(etag), "ETag: \"%s-%s\"\r\n", tag, coding_names[coding]);
	image_variant(img, coding,
		      (struct khttpd_str[4]){ str(first), str(vary ? CACHE VARY : CACHE), str(etag),
					      str(MODIFIED) },
		      image_body(img, body, strlen(body), false));
}

/* A path with identity only. */
static uint32_t plain(struct image *img, uint32_t host, const char *path, const char *tag,
		      const char *body)
{
	uint32_t entry = image_entry(img, host, str(path), FIXTURE_MODIFIED);

	variant(img, KHTTPD_IDENTITY, tag, "", false, body);
	return entry;
}

#define RULE(img, host, status, pattern, target)                              \
	image_rule(img, host, status, (struct khttpd_str)KHTTPD_STR(pattern), \
		   (struct khttpd_str)KHTTPD_STR(target))

static void fill(struct image *img)
{
	static char large[3 * KHTTPD_IMAGE_PAGES_MIN];
	char longest[KHTTPD_MAX_FIELD_GROUP + 1];
	uint32_t other, i;
	size_t len;

	plain(img, 0, "/", "root", ALPHABET);
	image_entry(img, 0, str("/multi"), FIXTURE_MODIFIED);
	variant(img, KHTTPD_BR, "multi", "", true, "not really brotli");
	variant(img, KHTTPD_ZSTD, "multi", "", true, "not really zstandard");
	variant(img, KHTTPD_GZIP, "multi", "", true, "not really compressed");
	variant(img, KHTTPD_IDENTITY, "multi", "", true, ALPHABET ALPHABET);
	image_entry(img, 0, str("/two"), FIXTURE_MODIFIED);
	variant(img, KHTTPD_IDENTITY, "two", "", true, ALPHABET);
	variant(img, KHTTPD_GZIP, "two", "", true, "not really compressed");
	image_entry(img, 0, str("/coded"), FIXTURE_MODIFIED);
	variant(img, KHTTPD_GZIP, "coded", "", true, "not really compressed");
	plain(img, 0, "/empty", "empty", "");

	/* What the other lines leave of KHTTPD_MAX_FIELD_GROUP */
	len = KHTTPD_MAX_FIELD_GROUP -
	      strlen(TYPE CACHE "ETag: \"long-identity\"\r\n" MODIFIED "X: \r\n");
	memcpy(longest, "X: ", 3);
	memset(longest + 3, 'x', len);
	memcpy(longest + 3 + len, "\r\n", 3);
	image_entry(img, 0, str("/long"), FIXTURE_MODIFIED);
	variant(img, KHTTPD_IDENTITY, "long", longest, false, ALPHABET);

	for (i = 0; i < sizeof(large) - 1; i++)
		large[i] = 'a' + i % 23;
	plain(img, 0, "/large", "large", large);
	image_redirect(img, 0, str("/dir"), 301, str("/dir/"));
	image_redirect(img, 0, str("/gone"), 308, str("https://example.net/x"));
	plain(img, 0, "/page/404", "lost", "a page of our own\n");
	image_entry(img, 0, str("/lost"), FIXTURE_MODIFIED);
	variant(img, KHTTPD_GZIP, "lost", "", true, "not really compressed");
	variant(img, KHTTPD_IDENTITY, "lost", "", true, "lost\n");
	RULE(img, 0, 301, "/old/\0p/\0s", "/new/\0\1?from=\0\0");
	RULE(img, 0, 302, "/exact", "/to#there");
	RULE(img, 0, 307, "/r/\0s", "/\0\0");
	RULE(img, 0, 303, "/a/\0p/b/\0p", "https://example.com/\0\1/\0\0");
	RULE(img, 0, 200, "/app/\0s", "/");
	RULE(img, 0, 200, "/any/\0p", "/\0\0");
	RULE(img, 0, 404, "/lost/\0s", "/lost");

	other = image_host(img, "other.example");
	plain(img, other, "/", "other", "the other host");
	image_not_found(img, other, plain(img, other, "/404.html", "missing", "nothing here\n"));
	plain(img, image_host(img, "a.example"), "/", "a", "host a");
}

static void *image;
static uint64_t size;

const void *fixture_image(uint64_t *len)
{
	struct image *img;
	const char *why;

	if (!image) {
		img = image_new("fixture");
		fill(img);
		size = image_layout(img, &why);
		if (size)
			image = aligned_alloc(64, (size + 63) / 64 * 64);
		if (!image)
			abort();
		memset(image, 0, size);
		image_write(img, image);
		image_free(img);
	}
	*len = size;
	return image;
}

const struct khttpd_site *fixture_site(void)
{
	static struct khttpd_site site;
	const char *why;
	uint64_t len;

	fixture_image(&len);
	if (!site.image && !khttpd_site_open(&site, image, len, &why)) {
		fprintf(stderr, "fixture: %s\n", why);
		abort();
	}
	return &site;
}

const struct khttpd_image_variant *fixture_variant(const char *path, uint32_t i)
{
	const struct khttpd_site *site = fixture_site();
	const struct khttpd_image_entry *e = khttpd_site_find(site, 0, str(path));

	return e && i < le16_to_cpu(e->n_variants) ?
		       site->variants + le32_to_cpu(e->first_variant) + i :
		       NULL;
}
