// SPDX-License-Identifier: MIT OR GPL-2.0
/* Memory for images, in compound pages where sending is cheaper from them. */
#include "pages.h"

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat/compat.h"

/* Bytes after which larger pages are asked for again, when there was none */
#define PAGES_AGAIN SZ_1M

/* Only what lies ready, if it is not a single page; and never by killing somebody. */
static struct page *pages_get(unsigned int order)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN;

	if (!order)
		return alloc_page(gfp | __GFP_RETRY_MAYFAIL);
	return alloc_pages((gfp & ~__GFP_DIRECT_RECLAIM) | __GFP_COMP | __GFP_NORETRY, order);
}

/* Fill @pages->page up to @n. */
static bool pages_fill(struct khttpd_pages *pages, unsigned long n)
{
	unsigned int order = COMPAT_SEND_ORDER, i;
	struct page *page;

	while (pages->n < n && !fatal_signal_pending(current)) {
		order = min_t(unsigned int, order, ilog2(n - pages->n));
		page = pages_get(order);
		if (page) {
			for (i = 0; i < 1U << order; i++)
				pages->page[pages->n++] = page + i;
			/* Here, and not above: what fails at the boundary must get smaller, too */
			if (pages->n % (PAGES_AGAIN >> PAGE_SHIFT) == 0)
				order = COMPAT_SEND_ORDER;
		} else if (order) {
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
	pages->page = kvmalloc_array(n, sizeof(*pages->page),
				     GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
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
