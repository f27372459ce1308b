/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* A site image in memory that nobody can change, counted by those who serve from it. */
#ifndef KHTTPD_EPOLL_CONTENT_H
#define KHTTPD_EPOLL_CONTENT_H

#include <stdatomic.h>

#include "../core/site.h"

/**
 * struct content - an image
 * @site: it, checked
 * @fd: the sealed memory that holds it; sendfile() takes large bodies from it
 * @number: how many the server has served before it; server_swap() sets it
 * @replaced: milliseconds at which another one took its place; 0: none has
 *
 * The rest belongs to content.c.
 */
struct content {
	struct khttpd_site site;
	int fd;
	unsigned int number;
	atomic_ullong replaced;
	atomic_uint users;
};

/**
 * content_read() - copy an image from a file, or pack a folder
 * @name: the file or folder; NULL: the built-in site
 * @large_len: bytes of the built-in site's /large.bin, for tests; 0: none
 *
 * Return: the content with one user; NULL after a message.
 */
struct content *content_read(const char *name, uint64_t large_len);

/**
 * content_make() - what content_read() does, for another process
 * @name, @large_len: as there
 *
 * Return: a descriptor of the sealed memory that holds the image; -1 after a message.
 */
int content_make(const char *name, uint64_t large_len);

/**
 * content_open() - map an image and check it
 * @fd: from content_make(); belongs to the content, or is closed
 * @name: as there, for messages
 *
 * Return: the content with one user; NULL after a message.
 */
struct content *content_open(int fd, const char *name);

/* One user more; any thread that has the content from a user. */
static inline struct content *content_get(struct content *content)
{
	atomic_fetch_add_explicit(&content->users, 1, memory_order_relaxed);
	return content;
}

/* content_count() - how many there are: all but one are kept by clients that began before a swap */
unsigned int content_count(void);

/* content_put() - one user less; the last one frees it */
void content_put(struct content *content);

#endif
