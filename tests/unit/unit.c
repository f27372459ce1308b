// SPDX-License-Identifier: MIT OR GPL-2.0
/* The test engine's failures as test failures, and the seed of random tests. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "unit.h"

void engine_failed(const char *message)
{
	fail_msg("%s", message);
	abort(); /* not reached: fail_msg() leaves the test, but is not marked so */
}

u64 unit_seed(void)
{
	const char *given = getenv("KHTTPD_SEED");
	u64 seed = given ? strtoull(given, NULL, 0) : (u64)time(NULL);

	printf("# KHTTPD_SEED=%llu\n", (unsigned long long)seed);
	/* a seed of 0 would give nothing but zeros */
	return seed ? seed : 1;
}
