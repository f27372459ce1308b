/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What differs between Linux 6.1, 6.12 and 7.2; the only place that tests a kernel version. */
#ifndef KHTTPD_COMPAT_H
#define KHTTPD_COMPAT_H

#include <linux/bvec.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/uio.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <net/sock.h>
#include <net/tcp.h>

/* Since 6.3 every data_ready callback fires this event; before, the core did not have it. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#include <trace/events/sock.h>
#define compat_trace_data_ready(sk) trace_sk_data_ready(sk)
#else
#define compat_trace_data_ready(sk) \
	do {                        \
	} while (0)
#endif

/*
 * Since 6.18 a workqueue says whether it is per CPU. WQ_PERCPU is an enumerator that stable
 * kernels have got without the meaning, so #ifdef cannot tell.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
#define COMPAT_WQ_PERCPU WQ_PERCPU
#else
#define COMPAT_WQ_PERCPU 0
#endif

/*
 * Of what compound pages memory that is sent is best made. Through 6.4 TCP takes a compound page
 * as one piece, up to what a segment carries (GSO): it needs half the instructions that single
 * pages take. From 6.5 on it takes each by single pages again, and a page that is being sent
 * would only keep its neighbours from being freed.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define COMPAT_SEND_ORDER 0
#else
#define COMPAT_SEND_ORDER get_order(SZ_64K)
#endif

/* The page, single or the whole compound page, in which @data in the vmalloc area is. */
static inline struct page *compat_page_of(const u8 *data, size_t *offset)
{
	struct page *page = vmalloc_to_page(data), *head = compound_head(page);

	*offset = ((page_to_pfn(page) - page_to_pfn(head)) << PAGE_SHIFT) + offset_in_page(data);
	return head;
}

#define COMPAT_SEND_PAGES 16 /* pages, single or compound, handed to TCP at a time */

/**
 * compat_send_pages() - queue memory of khttpd_pages_alloc() on a TCP socket by page reference
 * @sk: the socket, locked by the caller
 * @data: first byte; its pages stay referenced until the peer has them
 * @len: bytes; not 0
 * @flags: MSG_* for the send
 *
 * MSG_SPLICE_PAGES means this from 6.5 on; 6.1 defines it and copies (net/ipv4/tcp.c), and has
 * sendpage instead.
 *
 * Return: bytes queued, at least 1, or a negative errno.
 */
static inline int compat_send_pages(struct sock *sk, const u8 *data, u64 len, int flags)
{
	size_t offset, part;
	struct page *page;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	struct bio_vec bvec[COMPAT_SEND_PAGES];
	struct msghdr msg = { .msg_flags = flags | MSG_SPLICE_PAGES };
	size_t total = 0;
	int n = 0;

	while (n < COMPAT_SEND_PAGES && total < len) {
		page = compat_page_of(data + total, &offset);
		part = min_t(u64, len - total, page_size(page) - offset);
		bvec_set_page(&bvec[n++], page, part, offset);
		total += part;
	}
	if (total < len)
		msg.msg_flags |= MSG_MORE;
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, bvec, n, total);
	return tcp_sendmsg_locked(sk, &msg, total);
#else
	page = compat_page_of(data, &offset);
	part = min_t(u64, len, page_size(page) - offset);
	if (part < len)
		flags |= MSG_MORE | MSG_SENDPAGE_NOTLAST;
	return kernel_sendpage_locked(sk, page, offset, part, flags);
#endif
}

#endif
