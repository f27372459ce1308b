// SPDX-License-Identifier: MIT OR GPL-2.0
/* A site image in memory that nobody can change, counted by those who serve from it. */
#include "content.h"

#include <err.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../core/builtin.h"
#include "../pack/pack.h"
#include "../tools/khttpctl/khttpctl.h"

static atomic_uint count;

unsigned int content_count(void)
{
	return atomic_load_explicit(&count, memory_order_relaxed);
}

void content_put(struct content *content)
{
	if (atomic_fetch_sub_explicit(&content->users, 1, memory_order_acq_rel) != 1)
		return;
	munmap((void *)content->site.image, content->site.size);
	close(content->fd);
	free(content);
	atomic_fetch_sub_explicit(&count, 1, memory_order_relaxed);
}

static int builtin(uint64_t large_len, struct khttpd_site *site)
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
	free(image);
	if (fd < 0)
		warn("memory for the site");
	if (fd < 0 || image_open(fd, "the built-in site", site))
		return fd;
	close(fd);
	return -1;
}

static int make(const char *name, uint64_t large_len, struct khttpd_site *site)
{
	struct packed packed;
	int fd;

	if (!name)
		return builtin(large_len, site);
	fd = image_make(name, NULL, site, &packed);
	packed_free(&packed);
	return fd;
}

int content_make(const char *name, uint64_t large_len)
{
	struct khttpd_site site;

	return make(name, large_len, &site);
}

static struct content *content_of(int fd, const struct khttpd_site *site)
{
	struct content *content = calloc(1, sizeof(*content));

	if (!content) {
		warnx("out of memory");
		munmap((void *)site->image, site->size);
		close(fd);
		return NULL;
	}
	content->site = *site;
	content->fd = fd;
	atomic_init(&content->users, 1);
	atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
	return content;
}

struct content *content_read(const char *name, uint64_t large_len)
{
	struct khttpd_site site;
	int fd = make(name, large_len, &site);

	return fd < 0 ? NULL : content_of(fd, &site);
}

struct content *content_open(int fd, const char *name)
{
	struct khttpd_site site;

	if (image_open(fd, name ? name : "the built-in site", &site))
		return content_of(fd, &site);
	close(fd);
	return NULL;
}
