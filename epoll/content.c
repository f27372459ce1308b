// SPDX-License-Identifier: MIT OR GPL-2.0
/* A site image in memory that nobody can change, counted by those who serve from it. */
#include "content.h"

#include <err.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/builtin.h"
#include "../pack/coding.h"
#include "../pack/pack.h"
#include "../tools/khttpctl/khttpctl.h"

void content_put(struct content *content)
{
	if (atomic_fetch_sub_explicit(&content->users, 1, memory_order_acq_rel) != 1)
		return;
	munmap((void *)content->site.image, content->site.size);
	close(content->fd);
	free(content);
}

static int builtin(uint64_t large_len)
{
	uint64_t size = khttpd_builtin_size(large_len);
	void *image = calloc(1, size);
	int fd;

	if (!image) {
		warnx("memory for the built-in site");
		return -1;
	}
	khttpd_builtin_write(image, large_len);
	fd = image_hold(image, size);
	if (fd < 0)
		warn("memory for the site");
	free(image);
	return fd;
}

static void message(void *context, enum pack_severity severity, const char *text)
{
	(void)context;
	warnx("%s%s", severity == PACK_WARNING ? "warning: " : "", text);
}

static int pack_folder(const char *name)
{
	char *path = realpath(name, NULL);
	struct pack_host host = { "", name };
	struct packed packed;
	struct pack_options options = {
		.name = path ? basename(path) : "site",
		.hosts = &host,
		.n_hosts = 1,
		.level = PACK_LEVEL,
		.codings = 1 << KHTTPD_BR | 1 << KHTTPD_ZSTD | 1 << KHTTPD_GZIP,
		.jobs = pack_processors(),
		.mime_types = PACK_MIME_TYPES,
		.message = message,
	};
	int fd = -1;

	if (pack_site(&options, &packed)) {
		fd = image_hold(packed.image, packed.size);
		if (fd < 0)
			warn("memory for the site");
		packed_free(&packed);
	}
	free(path);
	return fd;
}

struct content *content_read(const char *name, uint64_t large_len)
{
	struct content *content = calloc(1, sizeof(*content));
	struct stat st;

	if (!content) {
		warnx("out of memory");
		return NULL;
	}
	atomic_init(&content->users, 1);
	if (name && (stat(name, &st) || !S_ISDIR(st.st_mode))) {
		content->fd = image_load(name, &content->site);
		if (content->fd >= 0)
			return content;
	} else {
		content->fd = name ? pack_folder(name) : builtin(large_len);
		if (content->fd >= 0 &&
		    image_open(content->fd, name ? name : "the built-in site", &content->site))
			return content;
		if (content->fd >= 0)
			close(content->fd);
	}
	free(content);
	return NULL;
}
