/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What the engine counts: per CPU, so that counting costs one instruction. */
#ifndef KHTTPD_STATS_H
#define KHTTPD_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>

#include "khttpd_netlink.h"

/* Status codes of 200 to 599 whose last two digits are below 32: all that core/ sends. */
#define KHTTPD_STATUSES 128

/* Modules share 8 KiB of static per-CPU memory, so these are few. */
static inline unsigned int khttpd_status_index(u16 status)
{
	return (status / 100 - 2) * 32 + status % 100;
}

static inline u16 khttpd_status_of_index(unsigned int i)
{
	return (i / 32 + 2) * 100 + i % 32;
}

/**
 * struct khttpd_stats - counters of one CPU, since the module was loaded
 * @counter: by enum khttpd_stat
 * @replies: planned replies by khttpd_status_index()
 */
struct khttpd_stats {
	u64 counter[KHTTPD_STAT_MAX + 1];
	u64 replies[KHTTPD_STATUSES];
};

DECLARE_PER_CPU(struct khttpd_stats, khttpd_stats);

/* Count @n of @id, one of enum khttpd_stat. Any context. */
#define khttpd_count(id, n) this_cpu_add(khttpd_stats.counter[id], n)

/* Count a reply with @status. Any context. */
static inline void khttpd_count_reply(u16 status)
{
	if (status >= 200 && status < 600 && status % 100 < 32)
		this_cpu_inc(khttpd_stats.replies[khttpd_status_index(status)]);
}

#endif
