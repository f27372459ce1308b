// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The image that is being served, and those that replies still come from.
 *
 * A content is reachable through contents->current_content, under RCU, and counted by its users:
 * one for being current, one for each batch of replies. A swap publishes the new one, waits until
 * nobody can be between reading the old pointer and counting himself, and gives up the old one's
 * own count. The last user frees it, wherever that is; pages that TCP still refers to stay until
 * it is done with them, because the page allocator counts those.
 */
#include "content.h"

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "core/builtin.h"

#define READ_SIZE 1048576 /* bytes read of a file between two looks at signals */

static void content_free(struct khttpd_content *content)
{
	percpu_ref_exit(&content->users);
	khttpd_pages_free(&content->image);
	kfree(content);
}

static void content_release_work(struct work_struct *work)
{
	struct khttpd_content *content = container_of(work, struct khttpd_content, release);
	struct khttpd_contents *owner = content->owner;

	content_free(content);
	/* @owner stays: khttpd_contents_end() waits, and then destroys the workqueue. */
	if (atomic_dec_and_test(&owner->n))
		wake_up(&owner->gone);
}

/* The last user has gone: any context, but freeing may sleep. */
static void content_release(struct percpu_ref *users)
{
	struct khttpd_content *content = container_of(users, struct khttpd_content, users);

	queue_work(content->owner->wq, &content->release);
}

/* Room for an image of @size bytes. */
static struct khttpd_content *content_alloc(u64 size, const char **why)
{
	struct khttpd_content *content = kzalloc(sizeof(*content), GFP_KERNEL);

	*why = "there is not enough memory";
	if (!content)
		return ERR_PTR(-ENOMEM);
	INIT_WORK(&content->release, content_release_work);
	if (!khttpd_pages_alloc(&content->image, size))
		goto free_content;
	if (percpu_ref_init(&content->users, content_release, 0, GFP_KERNEL))
		goto free_image;
	return content;

free_image:
	khttpd_pages_free(&content->image);
free_content:
	kfree(content);
	return ERR_PTR(-ENOMEM);
}

static struct khttpd_content *content_open(struct khttpd_content *content, u64 size,
					   const char **why)
{
	if (khttpd_site_open(&content->site, content->image.data, size, why))
		return content;
	content_free(content);
	return ERR_PTR(-EINVAL);
}

static int read_all(struct file *file, u8 *to, u64 size, const char **why)
{
	loff_t at = 0;
	ssize_t n;

	while (at < size) {
		*why = "interrupted";
		if (fatal_signal_pending(current))
			return -EINTR;
		n = kernel_read(file, to + at, min_t(u64, size - at, READ_SIZE), &at);
		*why = "reading the file failed";
		if (n < 0)
			return n;
		*why = "the file became shorter while it was read";
		if (!n)
			return -EIO;
		cond_resched();
	}
	return 0;
}

struct khttpd_content *khttpd_content_read(struct file *file, u64 max, const char **why)
{
	struct khttpd_content *content;
	loff_t size;
	int err;

	*why = "it is not a regular file that is open for reading";
	if (!S_ISREG(file_inode(file)->i_mode) || !(file->f_mode & FMODE_READ))
		return ERR_PTR(-EINVAL);
	size = i_size_read(file_inode(file));
	*why = "the file is empty";
	if (size <= 0)
		return ERR_PTR(-EINVAL);
	*why = "the file is larger than max_site_bytes";
	if (size > max)
		return ERR_PTR(-EFBIG);
	content = content_alloc(size, why);
	if (IS_ERR(content))
		return content;
	err = read_all(file, content->image.data, size, why);
	if (err) {
		content_free(content);
		return ERR_PTR(err);
	}
	return content_open(content, size, why);
}

struct khttpd_content *khttpd_content_builtin(u64 large_len, const char **why)
{
	u64 size = khttpd_builtin_size(large_len);
	struct khttpd_content *content = content_alloc(size, why);

	if (IS_ERR(content))
		return content;
	khttpd_builtin_write(content->image.data, large_len);
	content->builtin = true;
	return content_open(content, size, why);
}

void khttpd_content_drop(struct khttpd_content *content)
{
	if (content)
		content_free(content);
}

static void content_publish(struct khttpd_contents *contents, struct khttpd_content *content)
{
	content->owner = contents;
	content->number = contents->swaps;
	content->since = ktime_get_real_seconds();
	atomic_inc(&contents->n);
	rcu_assign_pointer(contents->current_content, content);
}

int khttpd_contents_init(struct khttpd_contents *contents, struct khttpd_content *first)
{
	contents->wq = alloc_workqueue("khttpd_free", WQ_UNBOUND, 1);
	if (!contents->wq)
		return -ENOMEM;
	contents->swaps = 0;
	atomic_set(&contents->n, 0);
	init_waitqueue_head(&contents->gone);
	content_publish(contents, first);
	return 0;
}

void khttpd_content_swap(struct khttpd_contents *contents, struct khttpd_content *content)
{
	struct khttpd_content *old = rcu_dereference_protected(contents->current_content, true);

	old->retired = jiffies;
	WRITE_ONCE(contents->swaps, contents->swaps + 1);
	content_publish(contents, content);
	synchronize_rcu();
	percpu_ref_kill(&old->users);
}

void khttpd_contents_end(struct khttpd_contents *contents)
{
	struct khttpd_content *last = rcu_dereference_protected(contents->current_content, true);

	RCU_INIT_POINTER(contents->current_content, NULL);
	percpu_ref_kill(&last->users);
	wait_event(contents->gone, !atomic_read(&contents->n));
	destroy_workqueue(contents->wq);
}
