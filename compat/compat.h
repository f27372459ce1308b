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

#define COMPAT_SEND_PAGES 16 /* single pages handed to TCP at a time, from 6.5 on */

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
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	struct bio_vec bvec[COMPAT_SEND_PAGES];
	struct msghdr msg = { .msg_flags = flags | MSG_SPLICE_PAGES };
	size_t offset = offset_in_page(data), part, total = 0;
	int n = 0;

	while (n < COMPAT_SEND_PAGES && total < len) {
		part = min_t(u64, len - total, PAGE_SIZE - offset);
		bvec_set_page(&bvec[n++], vmalloc_to_page(data + total), part, offset);
		total += part;
		offset = 0;
	}
	if (total < len)
		msg.msg_flags |= MSG_MORE;
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, bvec, n, total);
	return tcp_sendmsg_locked(sk, &msg, total);
#else
	struct page *page = vmalloc_to_page(data), *head = compound_head(page);
	size_t offset =
		((page_to_pfn(page) - page_to_pfn(head)) << PAGE_SHIFT) + offset_in_page(data);
	size_t part = min_t(u64, len, page_size(head) - offset);

	if (part < len)
		flags |= MSG_MORE | MSG_SENDPAGE_NOTLAST;
	return kernel_sendpage_locked(sk, head, offset, part, flags);
#endif
}

#endif
