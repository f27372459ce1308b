// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Fuzz core/request: any bytes, fed whole, byte by byte and in splits, must give the same requests.
 *
 * Input: one byte that selects the limits, one that seeds the splits, then the connection's bytes.
 */
#include "fuzz.h"
#include "../unit/fixture.h"

/* Byte by byte is slow under sanitizers, and adds nothing for long inputs. */
#define MAX_BYTE_BY_BYTE 512

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u32 heads[] = { 1024, KHTTPD_MIN_HEAD, 300, KHTTPD_MAX_HEAD };
	static const u32 targets[] = { 512, 16, KHTTPD_MAX_HEAD, 100 };
	static const u64 bodies[] = { 100, 0, 1 << 20, UINT64_MAX };
	struct khttpd_limits limits;
	struct engine whole, other;
	u64 seed;

	if (size < 2)
		return 0;
	limits.max_head = heads[data[0] & 3];
	limits.max_target = targets[data[0] >> 2 & 3];
	limits.max_body = bodies[data[0] >> 4 & 3];
	seed = data[1] + 1;
	data += 2;
	size -= 2;

	engine_init(&whole, &limits, fixture_site());
	engine_feed(&whole, data, size);

	engine_init(&other, &limits, NULL);
	other.keep_buffer = seed & 1;
	engine_feed_split(&other, data, size, &seed);
	engine_compare(&whole, &other);
	engine_free(&other);

	if (size <= MAX_BYTE_BY_BYTE) {
		engine_init(&other, &limits, NULL);
		other.keep_buffer = true;
		for (size_t i = 0; i < size; i++)
			engine_feed(&other, data + i, 1);
		engine_compare(&whole, &other);
		engine_free(&other);
	}

	/* time is up somewhere: its error is the last thing that is found */
	engine_init(&other, &limits, fixture_site());
	if (size) {
		size_t cut = random_next(&seed) % size;

		engine_feed(&other, data, cut);
		if (!other.draining && !khttpd_reader_idle(&other.reader)) {
			engine_time_out(&other, 408);
			engine_feed(&other, data + cut, size - cut);
			engine_check(other.events[other.n_events - 1].req.error == 408,
				     "something after the time-out");
		}
	}
	engine_free(&other);
	engine_free(&whole);

	/* an administrator changes the limits all the time: anything may come of it but harm */
	engine_init(&other, &limits, fixture_site());
	while (size) {
		size_t n = random_next(&seed) % (size < 100 ? size + 1 : 100);
		u64 chosen = random_next(&seed);

		other.limits.max_head = heads[chosen & 3];
		other.limits.max_target = targets[chosen >> 2 & 3];
		other.limits.max_body = bodies[chosen >> 4 & 3];
		engine_feed(&other, data, n);
		data += n;
		size -= n;
	}
	engine_free(&other);
	return 0;
}
