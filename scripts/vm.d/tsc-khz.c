// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The rate of this machine's time stamp counter in kHz, which an emulated machine's has too.
 *
 * When the machine is busy, a guest that measures it against its own emulated timers finds far
 * too little, and its clock then runs many times too fast. Here both are read one right after the
 * other, so that only their distance counts, not how long a sleep took.
 */
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static unsigned long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Both clocks at one moment: of some attempts the one that nothing came in between. */
static void read_both(unsigned long long *ns, unsigned long long *ticks)
{
	unsigned long long best = ~0ULL;

	for (int i = 0; i < 20; i++) {
		unsigned long long before = __rdtsc(), t = now_ns(), after = __rdtsc();

		if (after - before < best) {
			best = after - before;
			*ns = t;
			*ticks = before + best / 2;
		}
	}
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 30000000 };
	unsigned long long ns[2], ticks[2];

	read_both(&ns[0], &ticks[0]);
	nanosleep(&pause, NULL);
	read_both(&ns[1], &ticks[1]);
	printf("%.0f\n", 1e6 * (ticks[1] - ticks[0]) / (ns[1] - ns[0]));
	return 0;
}
