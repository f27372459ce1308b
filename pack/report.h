/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Messages about what is packed. */
#ifndef KHTTPD_PACK_REPORT_H
#define KHTTPD_PACK_REPORT_H

#include <pthread.h>

#include "pack.h"

/**
 * struct report - where messages go
 * @options: who takes them
 * @lock: one at a time
 * @errors: how many were errors
 */
struct report {
	const struct pack_options *options;
	pthread_mutex_t lock;
	unsigned int errors;
};

/* A message about a file, or about a line of it unless @line is 0. Any thread. */
void report(struct report *r, enum pack_severity severity, const char *file, unsigned int line,
	    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Has there been an error? Any thread. */
static inline bool report_failed(const struct report *r)
{
	return __atomic_load_n(&r->errors, __ATOMIC_RELAXED);
}

#endif
