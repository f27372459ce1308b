/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The corpus of requests: bytes of one connection and what must come of them. */
#ifndef KHTTPD_TESTS_CORPUS_H
#define KHTTPD_TESTS_CORPUS_H

#include "../../core/request.h"

#define CORPUS_MAX_STEPS 6

/* Limits that the corpus is read with. */
#define CORPUS_MAX_HEAD 1024
#define CORPUS_MAX_TARGET 512
#define CORPUS_MAX_BODY 100

/**
 * struct corpus_step - some bytes and what is found when they have come
 * @bytes: what is received, @len bytes
 * @error: expected error; it may be found before the last byte of the step
 * @method: expected request, found exactly at the last byte of the step;
 *	KHTTPD_METHOD_NONE without @error: nothing is found in this step
 * @http10: of version HTTP/1.0
 * @close, @any_server: of the request
 * @host: NULL is the default host
 * @path: NULL is not checked
 * @query: NULL is no query
 */
struct corpus_step {
	const char *bytes;
	u32 len;
	u16 error;
	u8 method;
	bool http10;
	bool close;
	bool any_server;
	const char *host;
	const char *path;
	const char *query;
};

/**
 * struct corpus_case - one connection
 * @name: the rule that it tests
 * @steps: up to the first one without bytes
 */
struct corpus_case {
	const char *name;
	struct corpus_step steps[CORPUS_MAX_STEPS];
};

extern const struct corpus_case corpus[];
extern const u32 corpus_len;

#endif
