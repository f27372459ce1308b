// SPDX-License-Identifier: MIT OR GPL-2.0
/* A site image in memory that nobody can change, counted by those who serve from it. */
#include "content.h"

#include <err.h>
#include <libgen.h>
#include <sched.h>
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

/* Give @size bytes at @image to a sealed descriptor: -1 after a message. */
static int seal(const void *image, uint64_t size)
{
	int fd = image_memory();
	const char *p = image;
	ssize_t n = 1;

	while (fd >= 0 && size && n > 0) {
		n = write(fd, p, size < 1 << 30 ? size : 1 << 30);
		p += n;
		size -= n;
	}
	if (fd >= 0 && n > 0 && image_seal(fd))
		return fd;
	warn("memory for the site");
	if (fd >= 0)
		close(fd);
	return -1;
}

static int builtin(uint64_t large_len)
{
	uint64_t size = khttpd_builtin_size(large_len);
	void *image = calloc(1, size);
	int fd = -1;

	if (!image) {
		warnx("memory for the built-in site");
		return -1;
	}
	khttpd_builtin_write(image, large_len);
	fd = seal(image, size);
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
	cpu_set_t set;
	struct pack_options options = {
		.name = path ? basename(path) : "site",
		.hosts = &host,
		.n_hosts = 1,
		.level = PACK_LEVEL,
		.codings = 1 << KHTTPD_BR | 1 << KHTTPD_ZSTD | 1 << KHTTPD_GZIP,
		.jobs = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set),
		.mime_types = PACK_MIME_TYPES,
		.message = message,
	};
	int fd = -1;

	if (pack_site(&options, &packed)) {
		fd = seal(packed.image, packed.size);
		packed_free(&packed);
	}
	free(path);
	return fd;
}

struct content *content_read(const char *name, uint64_t large_len)
{
	struct content *content = calloc(1, sizeof(*content));
	const char *why = "out of memory";
	struct stat st;
	void *data;

	if (!content) {
		warnx("%s", why);
		return NULL;
	}
	atomic_init(&content->users, 1);
	if (name && (stat(name, &st) || !S_ISDIR(st.st_mode))) {
		content->fd = image_load(name, &content->site);
		if (content->fd >= 0)
			return content;
		free(content);
		return NULL;
	}
	content->fd = name ? pack_folder(name) : builtin(large_len);
	if (content->fd < 0) {
		free(content);
		return NULL;
	}
	data = fstat(content->fd, &st) ?
		       MAP_FAILED :
		       mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, content->fd, 0);
	if (data != MAP_FAILED && khttpd_site_open(&content->site, data, st.st_size, &why))
		return content;
	warnx("%s: cannot be used: %s", name ? name : "the built-in site", why);
	if (data != MAP_FAILED)
		munmap(data, st.st_size);
	close(content->fd);
	free(content);
	return NULL;
}
