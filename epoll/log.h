/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The access log: lines that threads leave in rings, and one thread that writes them. */
#ifndef KHTTPD_EPOLL_LOG_H
#define KHTTPD_EPOLL_LOG_H

#include <sys/socket.h>

#include "../core/response.h"

enum log_format {
	LOG_COMBINED, /* as Apache and nginx write it; times in UTC */
	LOG_JSON, /* an object on each line */
};

struct log;
struct log_ring;

/**
 * log_open() - open the file
 * @name: file that lines are appended to, "-" is standard output; must stay
 * @format: of the lines
 *
 * Return: the log; NULL after a message.
 */
struct log *log_open(const char *name, enum log_format format);

/* log_start() - start the thread that writes, once all rings are there; false and errno */
bool log_start(struct log *log);

/**
 * log_ring() - a place for one thread's lines
 * @log: the log
 *
 * Return: the ring, which is freed with the log; NULL: out of memory.
 */
struct log_ring *log_ring(struct log *log);

/**
 * log_reply() - log one reply
 * @ring: of this thread
 * @clock: the present time
 * @peer: the client
 * @req: what was asked, its strings still there
 * @reply: what was planned
 *
 * Waits for nothing: where there is no room the line is dropped and counted.
 */
void log_reply(struct log_ring *ring, const struct khttpd_clock *clock, const struct sockaddr *peer,
	       const struct khttpd_request *req, const struct khttpd_reply *reply);

/* log_reopen() - open the file anew: it was renamed. Any thread, not at the same time. */
void log_reopen(struct log *log);

/* log_close() - write what is there, end the thread, free all. No thread logs any more. */
void log_close(struct log *log);

#endif
