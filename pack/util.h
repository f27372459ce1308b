/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Memory that is there, arrays that grow, and messages: what all of pack/ uses. */
#ifndef KHTTPD_PACK_UTIL_H
#define KHTTPD_PACK_UTIL_H

#include <err.h>
#include <stdlib.h>

/* Memory or the end: a packer that is short of it has nothing else to do. */
static inline void *must(void *p)
{
	if (!p)
		err(1, "out of memory");
	return p;
}

/* Room for one more element in an array that grows. */
#define GROW(array, n, cap)                                                                 \
	do {                                                                                \
		if ((n) == (cap)) {                                                         \
			(cap) = (cap) ? 2 * (cap) : 16;                                     \
			(array) = must(realloc((array), (size_t)(cap) * sizeof(*(array)))); \
		}                                                                           \
	} while (0)

#endif
