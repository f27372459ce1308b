// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * What a look-up costs: "make N FILE" writes the image of a site with N pages, "run FILE" looks
 * pages up in it, for callgrind to count. See lookup.sh.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#include "../../core/response.h"
#include "../../pack/image.h"

#define LOOKUPS 20000

static struct khttpd_str str(const char *s)
{
	return (struct khttpd_str){ s, strlen(s) };
}

/* Paths of one length, or their hashes would not cost the same. Even numbers exist. */
static struct khttpd_str path_of(char path[64], u32 i)
{
	return (struct khttpd_str){ path, snprintf(path, 64, "/folder-%02u/some-page-%08u.html",
						   i / 2 % 100, i) };
}

static void make(u32 n, const char *file)
{
	static const struct khttpd_str groups[4] = {
		KHTTPD_STR("Content-Type: text/html\r\n"),
		KHTTPD_STR("Cache-Control: no-cache\r\n"),
		KHTTPD_STR("ETag: \"0123456789abcdef\"\r\n"),
		KHTTPD_STR("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
			   "Accept-Ranges: bytes\r\n"),
	};
	struct image *img = image_new("lookup");
	char path[64];
	const char *why;
	u32 body, i;
	void *image;
	u64 size;
	FILE *f;

	body = image_body(img, "<p>A page\n", 10, false);
	for (i = 0; i < n; i++) {
		image_entry(img, 0, path_of(path, 2 * i), 784111777);
		image_variant(img, KHTTPD_IDENTITY, groups, body);
	}
	size = image_layout(img, &why);
	if (!size)
		errx(1, "%s", why);
	image = calloc(1, size);
	if (!image)
		err(1, "%s", file);
	image_write(img, image);
	f = fopen(file, "wb");
	if (!f || fwrite(image, 1, size, f) != size || fclose(f))
		err(1, "%s", file);
	free(image);
	image_free(img);
}

/* What callgrind counts: functions of their own, and not left by a jump. */
#define COUNTED static __attribute__((noipa))

COUNTED bool count_hit(const struct khttpd_site *site, struct khttpd_str path)
{
	return khttpd_site_find(site, 0, path);
}

COUNTED bool count_miss(const struct khttpd_site *site, struct khttpd_str path)
{
	return khttpd_site_find(site, 0, path);
}

COUNTED bool count_reply(const struct khttpd_site *site, const struct khttpd_request *req,
			 const struct khttpd_clock *clock, char *head, struct khttpd_reply *reply)
{
	return khttpd_reply_plan(site, req, clock, head, KHTTPD_MAX_REPLY_HEAD, reply) &&
	       reply->status == 200;
}

static void run(const char *file)
{
	struct khttpd_request req = { .method = KHTTPD_GET, .minor = 1, .host = str("localhost") };
	static char head[KHTTPD_MAX_REPLY_HEAD];
	struct khttpd_clock clock = { .seconds = 1795165200 };
	struct khttpd_reply reply;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct khttpd_site site;
	struct khttpd_str path;
	u32 longest = 0, i, n;
	struct stat st;
	char buf[64];
	const char *why;
	void *image;

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", file);
	image = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (image == MAP_FAILED)
		err(1, "%s", file);
	if (!khttpd_site_open(&site, image, st.st_size, &why))
		errx(1, "%s: %s", file, why);
	for (i = 0; i <= site.mask; i++) {
		n = le32_to_cpu(site.buckets[i + 1]) - le32_to_cpu(site.buckets[i]);
		longest = n > longest ? n : longest;
	}
	khttpd_date_format(clock.date, clock.seconds);

	CALLGRIND_START_INSTRUMENTATION;
	for (i = 0; i < LOOKUPS; i++) {
		/* steps that are prime to any number of pages visit all parts of the tables */
		path = path_of(buf, (u64)i * 7368787 % site.n_entries * 2 + 1);
		if (count_miss(&site, path))
			errx(1, "%s: found %s", file, buf);
		path = path_of(buf, (u64)i * 7368791 % site.n_entries * 2);
		if (!count_hit(&site, path))
			errx(1, "%s: did not find %s", file, buf);
		req.path = path_of(buf, (u64)i * 7368793 % site.n_entries * 2);
		req.target = req.path;
		if (!count_reply(&site, &req, &clock, head, &reply))
			errx(1, "%s: no 200 for %s", file, buf);
	}
	CALLGRIND_STOP_INSTRUMENTATION;
	printf("%u %u %u %u\n", site.n_entries, (u32)(st.st_size >> 10), longest, (u32)LOOKUPS);
	munmap(image, st.st_size);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "make")) {
		make(strtoul(argv[2], NULL, 10), argv[3]);
	} else if (argc == 3 && !strcmp(argv[1], "run")) {
		run(argv[2]);
	} else {
		fputs("usage: lookup make N FILE | lookup run FILE\n", stderr);
		return 2;
	}
	return 0;
}
