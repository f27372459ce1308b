/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Memory for images: large, and sent by page reference. */
#ifndef KHTTPD_PAGES_H
#define KHTTPD_PAGES_H

#include <linux/types.h>

struct page;

/**
 * struct khttpd_pages - memory in one piece, in the vmalloc area
 * @data: the first byte
 *
 * The rest belongs to pages.c.
 */
struct khttpd_pages {
	void *data;
	struct page **page;
	unsigned long n;
};

/**
 * khttpd_pages_alloc() - get memory, zeroed
 * @pages: to be filled in
 * @size: bytes; not 0
 *
 * It is charged to the caller's memory cgroup. Made for compat_send_pages().
 *
 * Context: process, may sleep; fails early when the caller is being killed.
 * Return: whether there was enough.
 */
bool khttpd_pages_alloc(struct khttpd_pages *pages, u64 size);

/**
 * khttpd_pages_free() - give it back
 * @pages: as khttpd_pages_alloc() left it
 *
 * What TCP still refers to stays until it is done with it.
 *
 * Context: process, may sleep.
 */
void khttpd_pages_free(struct khttpd_pages *pages);

#endif
