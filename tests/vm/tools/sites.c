// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Make and load site images faster than a command line could:
 *   sites make FILE LETTER [N]  an image with /, /small and /large, or the first N, of that letter
 *   sites show | conns | drop   state; peers of all connections; serve the built-in page
 *   sites swap N FILE FILE...   the files in turn, N times in all
 *   sites broken N SEED FILE    N images that are FILE with something broken
 * The last two print what became of it as one line; status 1 if anything went wrong.
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../core/crc32c.h"
#include "../../../core/image.h"
#include "../../../pack/image.h"
#include "../../../tools/khttpctl/netlink.h"

static char last[512];

/* What the kernel said last; it is only of interest when it is not expected. */
void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(last, sizeof(last), format, args);
	va_end(args);
}

static int swap(struct module *m, long n, char **files, int n_files)
{
	int fd[16];
	long i;

	if (n_files > 16)
		errx(2, "at most 16 files");
	for (i = 0; i < n_files; i++) {
		fd[i] = open(files[i], O_RDONLY);
		if (fd[i] < 0)
			err(2, "%s", files[i]);
	}
	for (i = 0; i < n; i++) {
		if (!module_ask(m, KHTTPD_CMD_SITE_LOAD, false, fd[i % n_files], NULL, NULL)) {
			printf("swap %ld of %ld: %s\n", i, n, last);
			return 1;
		}
	}
	printf("%ld swaps\n", n);
	return 0;
}

/* xorshift64: the same seed breaks the same things everywhere */
static uint64_t state;

static uint64_t any(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

/* Break something; with checksums made right again, so that the checks behind them are reached. */
static size_t damage(unsigned char *image, size_t size)
{
	struct khttpd_image_header *h = (void *)image;
	size_t at, i, n = 1 + any(4);

	if (!any(8))
		return any(size); /* cut short */
	for (i = 0; i < n; i++) {
		/* mostly the tables, where the numbers are */
		at = any(4) ? any(size < 4096 ? size : 4096) : any(size);
		switch (any(3)) {
		case 0:
			image[at] ^= 1 << any(8);
			break;
		case 1:
			image[at] = any(256);
			break;
		default:
			memset(image + at, any(2) ? 0xff : 0, size - at < 4 ? size - at : 4);
		}
	}
	if (any(8)) {
		h->content_crc = htole32(khttpd_crc32c(0, h + 1, size - sizeof(*h)));
		h->header_crc = 0;
		h->header_crc = htole32(khttpd_crc32c(0, h, sizeof(*h)));
	}
	return size;
}

static int broken(struct module *m, long n, const char *file)
{
	int fd = open(file, O_RDONLY), broken_fd = memfd_create("broken", 0);
	unsigned char *good, *image;
	long i, taken = 0;
	struct stat st;
	size_t size;

	if (fd < 0 || fstat(fd, &st) || broken_fd < 0)
		err(2, "%s", file);
	good = malloc(st.st_size);
	image = malloc(st.st_size);
	if (!good || !image || read(fd, good, st.st_size) != st.st_size)
		err(2, "%s", file);
	for (i = 0; i < n; i++) {
		memcpy(image, good, st.st_size);
		size = damage(image, st.st_size);
		if (ftruncate(broken_fd, 0) || pwrite(broken_fd, image, size, 0) != (ssize_t)size)
			err(2, "memfd");
		if (!module_ask(m, KHTTPD_CMD_SITE_LOAD, false, broken_fd, NULL, NULL))
			continue;
		/*
		 * What was broken is content, and with its checksum right it is content like any
		 * other
		 */
		taken++;
		if (!module_ask(m, KHTTPD_CMD_SITE_LOAD, false, fd, NULL, NULL)) {
			printf("the good image is refused: %s\n", last);
			return 1;
		}
	}
	printf("%ld broken images, %ld of them served for a moment, last refusal: %s\n", n, taken,
	       last);
	return 0;
}

static int make(const char *file, char letter, size_t n)
{
	static const struct {
		const char *path;
		size_t len;
	} entries[] = { { "/", 700 }, { "/small", 12 }, { "/large", 100000 } };
	struct image *img = image_new((char[]){ letter, 0 });
	const char *why = "";
	size_t i, size;
	char etag[64];
	FILE *f;
	void *p;

	for (i = 0; i < n && i < sizeof(entries) / sizeof(*entries); i++) {
		/* of different lengths: no reply can be half from one and half from another */
		size_t len = entries[i].len + letter;

		p = malloc(len);
		if (!p)
			err(2, "memory");
		memset(p, letter, len);
		snprintf(etag, sizeof(etag), "ETag: \"%c%zu\"\r\n", letter, i);
		image_entry(img, 0, (struct khttpd_str){ entries[i].path, strlen(entries[i].path) },
			    i);
		image_variant(img, KHTTPD_IDENTITY,
			      (struct khttpd_str[4]){ KHTTPD_STR("Content-Type: text/plain\r\n"),
						      { "", 0 },
						      { etag, strlen(etag) },
						      KHTTPD_STR("Accept-Ranges: bytes\r\n") },
			      image_body(img, p, len, true));
	}
	size = image_layout(img, &why);
	p = size ? calloc(1, size) : NULL;
	if (!p)
		errx(2, "%s", why);
	image_write(img, p);
	f = fopen(file, "w");
	if (!f || fwrite(p, size, 1, f) != 1 || fclose(f))
		err(2, "%s", file);
	return 0;
}

static void show(const struct nlmsghdr *nlh, void *context)
{
	const struct nlattr *attrs[KHTTPD_A_MAX + 1], *site[KHTTPD_A_SITE_MAX + 1];

	(void)context;
	attrs_of_reply(nlh, attrs, KHTTPD_A_MAX);
	if (!attrs[KHTTPD_A_SITE])
		errx(1, "the state has no site");
	attrs_of_nest(attrs[KHTTPD_A_SITE], site, KHTTPD_A_SITE_MAX);
	printf("version=%s\nport=%u\nconns=%u\nimages=%u\nsite=%s\nbytes=%u\n",
	       attr_text(attrs[KHTTPD_A_VERSION]), (unsigned int)attr_number(attrs[KHTTPD_A_PORT]),
	       (unsigned int)attr_number(attrs[KHTTPD_A_CONNS]),
	       (unsigned int)attr_number(attrs[KHTTPD_A_IMAGES]),
	       attr_text(site[KHTTPD_A_SITE_NAME]),
	       (unsigned int)attr_number(site[KHTTPD_A_SITE_BYTES]));
}

static void show_conn(const struct nlmsghdr *nlh, void *context)
{
	const struct nlattr *attrs[KHTTPD_A_MAX + 1], *conn[KHTTPD_A_CONN_MAX + 1];
	char text[INET6_ADDRSTRLEN] = "";

	(void)context;
	attrs_of_reply(nlh, attrs, KHTTPD_A_MAX);
	if (!attrs[KHTTPD_A_CONN])
		errx(1, "a connection is empty");
	attrs_of_nest(attrs[KHTTPD_A_CONN], conn, KHTTPD_A_CONN_MAX);
	if (!conn[KHTTPD_A_CONN_ADDRESS])
		errx(1, "a connection has no address");
	inet_ntop(mnl_attr_get_payload_len(conn[KHTTPD_A_CONN_ADDRESS]) == 4 ? AF_INET : AF_INET6,
		  mnl_attr_get_payload(conn[KHTTPD_A_CONN_ADDRESS]), text, sizeof(text));
	printf("%s %u\n", text, (unsigned int)attr_number(conn[KHTTPD_A_CONN_PORT]));
}

/* One command that prints what it gets. */
static int ask(struct module *m, enum khttpd_cmd cmd, bool dump,
	       void (*reply)(const struct nlmsghdr *nlh, void *context))
{
	if (module_ask(m, cmd, dump, -1, reply, NULL))
		return 0;
	printf("%s\n", last);
	return 1;
}

int main(int argc, char **argv)
{
	struct module *m;

	if (argc >= 4 && !strcmp(argv[1], "make"))
		return make(argv[2], *argv[3], argc > 4 ? atol(argv[4]) : 3);
	m = module_open();
	if (!m)
		errx(1, "%s", last);
	if (argc == 2 && !strcmp(argv[1], "show"))
		return ask(m, KHTTPD_CMD_STATE_GET, false, show);
	if (argc == 2 && !strcmp(argv[1], "conns"))
		return ask(m, KHTTPD_CMD_CONN_GET, true, show_conn);
	if (argc == 2 && !strcmp(argv[1], "drop"))
		return ask(m, KHTTPD_CMD_SITE_DROP, false, NULL);
	if (argc < 4)
		errx(2, "usage: sites make|show|conns|drop|swap|broken ...");
	if (!strcmp(argv[1], "swap"))
		return swap(m, atol(argv[2]), argv + 3, argc - 3);
	if (argc != 5)
		errx(2, "usage: sites broken N SEED FILE");
	state = strtoull(argv[3], NULL, 0) | 1;
	return broken(m, atol(argv[2]), argv[4]);
}
