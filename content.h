/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The image that is being served, and those that replies still come from. */
#ifndef KHTTPD_CONTENT_H
#define KHTTPD_CONTENT_H

#include <linux/jiffies.h>
#include <linux/percpu-refcount.h>
#include <linux/rcupdate.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "core/site.h"
#include "pages.h"

struct file;
struct khttpd_contents;

/* Slow peers keep no more replaced images than these in memory ... */
#define KHTTPD_RETIRED_MAX 4
/* ... for longer than this. Replies from older ones are cut. */
#define KHTTPD_RETIRED_MS 10000

/**
 * struct khttpd_content - an image in kernel memory
 * @site: the image, checked
 * @since: seconds since 1970-01-01 UTC at which it came to be served
 * @builtin: it is the built-in site
 *
 * The rest belongs to content.c.
 */
struct khttpd_content {
	struct khttpd_site site;
	s64 since;
	bool builtin;
	struct khttpd_contents *owner;
	unsigned int number; /* of the swap that brought it */
	unsigned long retired; /* jiffies of the swap that replaced it */
	struct khttpd_pages image;
	struct percpu_ref users; /* batches of replies; and one for being served */
	struct work_struct release;
};

/**
 * struct khttpd_contents - the images of one server
 * @current_content: what new replies are planned from; never NULL while the server runs
 * @swaps: times that it changed
 * @wq: for what takes a while and shall keep no connection waiting, such as freeing an image
 * @n: images in memory, of this server
 * @gone: woken when @n reaches 0
 */
struct khttpd_contents {
	struct khttpd_content __rcu *current_content;
	unsigned int swaps;
	struct workqueue_struct *wq;
	atomic_t n;
	wait_queue_head_t gone;
};

/**
 * khttpd_content_read() - copy an image from a file and check it
 * @file: open for reading; a regular file or memfd
 * @max: bytes at most
 * @why: set on failure: a sentence without its final dot
 *
 * The memory is charged to the caller's memory cgroup. Nobody else can change what is checked.
 *
 * Context: process, may sleep; ends early when the caller is being killed.
 * Return: the content, to be given to khttpd_content_swap() or khttpd_content_drop(), or ERR_PTR.
 */
struct khttpd_content *khttpd_content_read(struct file *file, u64 max, const char **why);

/**
 * khttpd_content_builtin() - the built-in site
 * @large_len: bytes of its /large.bin, for tests; 0: none
 * @why: set on failure
 *
 * Context: process, may sleep.
 * Return: as for khttpd_content_read().
 */
struct khttpd_content *khttpd_content_builtin(u64 large_len, const char **why);

/* khttpd_content_drop() - free a content that was never served; NULL is allowed */
void khttpd_content_drop(struct khttpd_content *content);

/**
 * khttpd_contents_init() - begin to serve
 * @contents: to be filled in
 * @first: what is served; owned from now on if this succeeds
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM.
 */
int khttpd_contents_init(struct khttpd_contents *contents, struct khttpd_content *first);

/**
 * khttpd_content_swap() - serve something else from now on
 * @contents: of the server
 * @content: what is served; owned from now on
 *
 * Replies that were planned from the old image are sent from it; the last one frees it. See
 * khttpd_content_outdated() for those that take too long.
 *
 * Context: process, may sleep; one caller at a time.
 */
void khttpd_content_swap(struct khttpd_contents *contents, struct khttpd_content *content);

/**
 * khttpd_contents_end() - free all images
 * @contents: of the server; no reply uses one any more
 *
 * Context: process, may sleep.
 */
void khttpd_contents_end(struct khttpd_contents *contents);

/* What to plan replies from; until khttpd_content_put(). Any context. */
static inline struct khttpd_content *khttpd_content_get(struct khttpd_contents *contents)
{
	struct khttpd_content *content;

	/* khttpd_content_swap() gives up its reference only after all readers of the pointer */
	rcu_read_lock();
	content = rcu_dereference(contents->current_content);
	percpu_ref_get(&content->users);
	rcu_read_unlock();
	return content;
}

/*
 * Must a reply from this image be cut? False for what is served, and for the last ones that were
 * replaced, and while there are few. Any context, with a reference.
 *
 * @retired was written before the first of many swaps after it, each of which waited for RCU.
 */
static inline bool khttpd_content_outdated(const struct khttpd_content *content)
{
	return atomic_read(&content->owner->n) > KHTTPD_RETIRED_MAX + 1 &&
	       READ_ONCE(content->owner->swaps) - content->number > KHTTPD_RETIRED_MAX &&
	       time_after(jiffies, content->retired + msecs_to_jiffies(KHTTPD_RETIRED_MS));
}

static inline void khttpd_content_put(struct khttpd_content *content)
{
	percpu_ref_put(&content->users);
}

#endif
