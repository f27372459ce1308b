/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What the engine counts: per CPU, so that counting costs one instruction. */
#ifndef KHTTPD_STATS_H
#define KHTTPD_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>

#include "khttpd_netlink.h"

#define KHTTPD_STATUS_MIN 200
#define KHTTPD_STATUS_MAX 599

/**
 * struct khttpd_stats - counters of one CPU, since the module was loaded
 * @counter: by enum khttpd_stat
 * @replies: planned replies by status code
 */
struct khttpd_stats {
	u64 counter[KHTTPD_STAT_MAX + 1];
	u64 replies[KHTTPD_STATUS_MAX - KHTTPD_STATUS_MIN + 1];
};

DECLARE_PER_CPU(struct khttpd_stats, khttpd_stats);

/* Count @n of @id, one of enum khttpd_stat. Any context. */
#define khttpd_count(id, n) this_cpu_add(khttpd_stats.counter[id], n)

/* Count a reply with @status. Any context. */
static inline void khttpd_count_reply(u16 status)
{
	if (status >= KHTTPD_STATUS_MIN && status <= KHTTPD_STATUS_MAX)
		this_cpu_inc(khttpd_stats.replies[status - KHTTPD_STATUS_MIN]);
}

#endif
