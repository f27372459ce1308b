// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Memory for images, in compound pages as far as there are some.
 *
 * TCP does its book-keeping for each piece of a page that it is given, and a compound page is one
 * piece: sending from them takes half the instructions of sending from single pages.
 */
#include "pages.h"

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

/*
 * As much as one segment of TCP's carries (GSO). A page that is being sent keeps its whole
 * compound page from being freed, so larger ones would cost more than they save.
 */
#define PAGES_ORDER_MAX 4

/* Only what needs no effort, if it is not a single page; and never by killing somebody. */
static struct page *pages_get(unsigned int order)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN;

	return order ? alloc_pages(gfp | __GFP_COMP | __GFP_NORETRY, order) :
		       alloc_page(gfp | __GFP_RETRY_MAYFAIL);
}

/* Fill @pages->page up to @n. */
static bool pages_fill(struct khttpd_pages *pages, unsigned long n)
{
	unsigned int order = PAGES_ORDER_MAX, i;
	struct page *page;

	while (pages->n < n && !fatal_signal_pending(current)) {
		order = min_t(unsigned int, order, ilog2(n - pages->n));
		page = pages_get(order);
		if (page) {
			for (i = 0; i < 1U << order; i++)
				pages->page[pages->n++] = page + i;
		} else if (order) {
			/* For the rest, too: where memory is in pieces, asking takes time */
			order--;
		} else {
			break;
		}
		cond_resched();
	}
	return pages->n == n;
}

bool khttpd_pages_alloc(struct khttpd_pages *pages, u64 size)
{
	u64 n = DIV_ROUND_UP_ULL(size, PAGE_SIZE);

	pages->data = NULL;
	pages->n = 0;
	pages->page = NULL;
	if (n > totalram_pages())
		return false;
	pages->page = kvmalloc_array(n, sizeof(*pages->page), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!pages->page)
		return false;
	if (pages_fill(pages, n))
		pages->data = vmap(pages->page, n, VM_MAP, PAGE_KERNEL);
	if (pages->data)
		return true;
	khttpd_pages_free(pages);
	return false;
}

void khttpd_pages_free(struct khttpd_pages *pages)
{
	unsigned long i, step;

	if (pages->data)
		vunmap(pages->data);
	for (i = 0; i < pages->n; i += step) {
		step = compound_nr(pages->page[i]);
		put_page(pages->page[i]);
		cond_resched();
	}
	kvfree(pages->page);
}
