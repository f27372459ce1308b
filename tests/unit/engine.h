/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What an engine does with core/, for tests: feed bytes, give buffers, plan and check replies. */
#ifndef KHTTPD_TESTS_ENGINE_H
#define KHTTPD_TESTS_ENGINE_H

#include "../../core/response.h"

/**
 * struct engine_event - one request that the reader found, with its reply
 * @req: a copy that lives as long as the engine
 * @strings: memory of @req's strings
 * @end: bytes of the connection taken when the request was found
 * @reply: only with a site
 * @head: the reply's head, @reply.head_len bytes
 */
struct engine_event {
	struct khttpd_request req;
	char *strings;
	size_t end;
	struct khttpd_reply reply;
	char *head;
};

/**
 * struct engine - one connection
 * @reader: its reader
 * @limits: given to each feed
 * @site: what is served, or NULL: no replies are planned
 * @now: the time of every reply
 * @largest_head: the largest max_head so far
 * @keep_buffer: do not free the reader's buffer when the reader permits it
 * @taken: bytes taken so far
 * @draining: a request with close or error was seen
 * @events: what was found, @n_events of it
 */
struct engine {
	struct khttpd_reader reader;
	struct khttpd_limits limits;
	const struct khttpd_site *site;
	s64 now;
	u32 largest_head;
	bool keep_buffer;
	size_t taken;
	bool draining;
	struct engine_event *events;
	u32 n_events;
};

/* A reply's head, taken apart. Lines past the table are an error. */
#define HEAD_MAX_LINES 128

struct head {
	u16 status;
	u32 n_lines;
	struct {
		struct khttpd_str name;
		struct khttpd_str value;
	} lines[HEAD_MAX_LINES];
};

/* Defined by who uses this file: the end of a test or of a fuzzer. */
void engine_failed(const char *message) __attribute__((noreturn));

/* Ends the test with a message when a promise is broken. */
void engine_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define engine_check(cond, ...)                   \
	do {                                      \
		if (!(cond))                      \
			engine_fail(__VA_ARGS__); \
	} while (0)

void engine_init(struct engine *e, const struct khttpd_limits *limits,
		 const struct khttpd_site *site);
void engine_free(struct engine *e);

/* Feeds one received piece from an exact-size heap copy, so that ASan sees any over-read. */
void engine_feed(struct engine *e, const void *data, size_t len);

/* Feeds everything in pieces of random length, 0 now and then. */
void engine_feed_split(struct engine *e, const void *data, size_t len, u64 *seed);

/* Ends the request that is being read with 408 or 503 and plans its reply. */
void engine_time_out(struct engine *e, u16 status);

/* Both engines must have found the same, at the same bytes. */
void engine_compare(const struct engine *a, const struct engine *b);

/* Checks what holds for every request without an error, wherever it came from. */
void request_check(const struct khttpd_request *req);

/* Plans a reply into a heap buffer of @size bytes and checks it; NULL if it did not fit. */
char *reply_plan(const struct khttpd_site *site, const struct khttpd_request *given, s64 now,
		 size_t size, struct khttpd_reply *reply);

/* Takes a head apart and checks its form. */
void head_parse(struct head *h, const char *p, size_t len);

/* The value of the field @name; .p is NULL if there is none. More than one is an error. */
struct khttpd_str head_get(const struct head *h, const char *name);

bool str_is(struct khttpd_str s, const char *expected);
u64 random_next(u64 *seed);

#endif
