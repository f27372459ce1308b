// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The access log. Each thread of the server has a ring of bytes that only it fills and only the
 * thread here empties, so that neither waits for the other and a line costs no system call. A full
 * disk, a slow one or a pipe that nobody reads costs lines, never replies: they are counted, and
 * the number is reported.
 */
#include "log.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../core/text.h"

#define RING_SIZE 1048576 /* a power of two */
#define PART_MAX 1000 /* bytes of what a client sent: longer parts are cut */
#define PARTS 5 /* target, query, host, referer, user agent */
#define LINE_SIZE (PARTS * PART_MAX + 1024)
#define END_MS 2000 /* that the last lines have when the server ends */
#define WRITE_MS 100 /* how often lines are written */
#define REPORT_S 60 /* how often lost lines are reported */

struct log_ring {
	struct log_ring *next;
	struct log *log;
	atomic_size_t head; /* bytes ever put in; its thread writes it */
	atomic_size_t tail; /* bytes ever taken out; the log's thread writes it */
	atomic_ulong dropped;
	char bytes[RING_SIZE];
};

struct log {
	const char *name;
	enum log_format format;
	int fd;
	pthread_t thread;
	atomic_bool ending;
	atomic_bool reopen;
	unsigned long lost; /* lines that were reported as lost */
	unsigned long failed; /* writes that failed since the last report */
	int error; /* of the last of them */
	time_t reported;
	struct log_ring *rings;
};

/* ------------------------------------------------------------------- lines */

struct line {
	size_t len;
	char text[LINE_SIZE];
};

__attribute__((format(printf, 2, 3))) static void put(struct line *l, const char *format, ...)
{
	size_t room = sizeof(l->text) - l->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->text + l->len, room, format, args);
	va_end(args);
	/* Never more than there is room for: parts are bounded, and the rest is short */
	l->len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

/* What a client sent: nothing of it may end the string or the line, or control a terminal. */
static void put_quoted(struct line *l, struct khttpd_str s, bool json)
{
	size_t end = l->len + PART_MAX;
	uint32_t i;
	uint8_t c;

	if (end > sizeof(l->text))
		end = sizeof(l->text);
	for (i = 0; i < s.len && l->len + 7 < end; i++) {
		c = s.p[i];
		if (c >= ' ' && c < 0x7f && c != '"' && c != '\\')
			l->text[l->len++] = c;
		else
			put(l, json ? "\\u%04x" : "\\x%02X", c);
	}
}

/*
 * A field of the request that core/ does not look at. The head is complete: each line ends with
 * CRLF, the last one is empty, and there is no CR elsewhere, or core/ would have refused it.
 */
static struct khttpd_str find_field(const struct khttpd_request *req, const char *lower)
{
	uint32_t len = strlen(lower);
	struct khttpd_str value = { "", 0 };
	const char *p = req->target.p, *end;

	if (req->error || !p)
		return value;
	for (p = (char *)rawmemchr(p, '\r') + 2; *p != '\r'; p = end + 2) {
		end = rawmemchr(p, '\r');
		if (end - p > len && p[len] == ':' && khttpd_same(p, lower, len))
			return khttpd_trim((struct khttpd_str){ p + len + 1, end - p - len - 1 });
	}
	return value;
}

static const char *const methods[] = {
	[KHTTPD_METHOD_NONE] = "-",   [KHTTPD_GET] = "GET",	    [KHTTPD_HEAD] = "HEAD",
	[KHTTPD_POST] = "POST",	      [KHTTPD_PUT] = "PUT",	    [KHTTPD_DELETE] = "DELETE",
	[KHTTPD_CONNECT] = "CONNECT", [KHTTPD_OPTIONS] = "OPTIONS", [KHTTPD_TRACE] = "TRACE",
	[KHTTPD_PATCH] = "PATCH",
};

static void put_peer(struct line *l, const struct sockaddr *peer)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;
	char text[INET6_ADDRSTRLEN] = "";

	if (peer->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)peer)->sin_addr, text,
			  sizeof(text));
	else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, sizeof(text));
	else
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
	put(l, "%s", text);
}

/* As it was asked for: the path as it came, with its query. */
static void put_target(struct line *l, const struct khttpd_request *req, bool json)
{
	put_quoted(l, req->target, json);
	if (req->query.p) {
		put(l, "?");
		put_quoted(l, req->query, json);
	}
}

static void put_json(struct line *l, const struct khttpd_clock *clock, const struct sockaddr *peer,
		     const struct khttpd_request *req, const struct khttpd_reply *reply)
{
	struct khttpd_str referer = find_field(req, "referer");
	struct khttpd_str agent = find_field(req, "user-agent");
	time_t now = clock->seconds;
	struct tm tm;

	gmtime_r(&now, &tm);
	put(l, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02dZ\",\"peer\":\"", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	put_peer(l, peer);
	put(l, "\",\"method\":\"%s\"", methods[req->method]);
	if (!req->error) {
		put(l, ",\"host\":\"");
		put_quoted(l, req->host, true);
		put(l, "\",\"target\":\"");
		put_target(l, req, true);
		put(l, "\",\"version\":\"1.%u\"", req->minor);
	}
	put(l, ",\"status\":%u,\"bytes\":%llu", reply->status, (unsigned long long)reply->body_len);
	if (referer.len) {
		put(l, ",\"referer\":\"");
		put_quoted(l, referer, true);
		put(l, "\"");
	}
	if (agent.len) {
		put(l, ",\"agent\":\"");
		put_quoted(l, agent, true);
		put(l, "\"");
	}
	put(l, "}\n");
}

static void put_combined(struct line *l, const struct khttpd_clock *clock,
			 const struct sockaddr *peer, const struct khttpd_request *req,
			 const struct khttpd_reply *reply)
{
	struct khttpd_str referer = find_field(req, "referer");
	struct khttpd_str agent = find_field(req, "user-agent");
	/* "Sat, 21 Nov 2026 18:03:18 GMT" is there already */
	const char *date = clock->date;

	put_peer(l, peer);
	put(l, " - - [%.2s/%.3s/%.4s:%.8s +0000] \"", date + 5, date + 8, date + 12, date + 17);
	if (req->error) {
		put(l, "-");
	} else {
		put(l, "%s ", methods[req->method]);
		put_target(l, req, false);
		put(l, " HTTP/1.%u", req->minor);
	}
	put(l, "\" %u %llu \"", reply->status, (unsigned long long)reply->body_len);
	put_quoted(l, referer.len ? referer : KHTTPD_STR("-"), false);
	put(l, "\" \"");
	put_quoted(l, agent.len ? agent : KHTTPD_STR("-"), false);
	put(l, "\"\n");
}

static void ring_put(struct log_ring *ring, const struct line *l)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	size_t at = head % RING_SIZE, part = RING_SIZE - at;

	if (RING_SIZE - (head - tail) < l->len) {
		atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
		return;
	}
	if (part > l->len)
		part = l->len;
	memcpy(ring->bytes + at, l->text, part);
	memcpy(ring->bytes, l->text + part, l->len - part);
	/* What is taken out was put in before */
	atomic_store_explicit(&ring->head, head + l->len, memory_order_release);
}

void log_reply(struct log_ring *ring, const struct khttpd_clock *clock, const struct sockaddr *peer,
	       const struct khttpd_request *req, const struct khttpd_reply *reply)
{
	struct line line = { .len = 0 };

	if (ring->log->format == LOG_JSON)
		put_json(&line, clock, peer, req, reply);
	else
		put_combined(&line, clock, peer, req, reply);
	ring_put(ring, &line);
}

/* ----------------------------------------------------------------- writing */

static int file_open(const char *name)
{
	if (!strcmp(name, "-"))
		return dup(STDOUT_FILENO);
	return open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

/* Whole lines go out or are lost: after a part of one the rest must follow some day. */
static void ring_write(struct log *log, struct log_ring *ring)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	size_t at, len;
	ssize_t n;

	while (tail != head) {
		at = tail % RING_SIZE;
		len = head - tail < RING_SIZE - at ? head - tail : RING_SIZE - at;
		n = write(log->fd, ring->bytes + at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log->failed++;
			log->error = errno;
			return; /* the ring fills up, then lines are dropped */
		}
		tail += n;
		atomic_store_explicit(&ring->tail, tail, memory_order_release);
	}
}

static void report(struct log *log, time_t now)
{
	unsigned long dropped = 0;
	struct log_ring *ring;

	if (now - log->reported < REPORT_S && !atomic_load(&log->ending))
		return;
	for (ring = log->rings; ring; ring = ring->next)
		dropped += atomic_load_explicit(&ring->dropped, memory_order_relaxed);
	if (dropped != log->lost)
		warnx("%lu lines of the access log were dropped", dropped - log->lost);
	if (log->failed)
		warnx("%s: %s (%lu times)", log->name, strerror(log->error), log->failed);
	if (dropped == log->lost && !log->failed)
		return;
	log->lost = dropped;
	log->failed = 0;
	log->reported = now;
}

static void *log_main(void *arg)
{
	const struct timespec pause = { .tv_nsec = WRITE_MS * 1000000L };
	struct log *log = arg;
	struct log_ring *ring;
	struct timespec now;
	bool ending;
	int fd;

	do {
		ending = atomic_load(&log->ending);
		if (!ending)
			nanosleep(&pause, NULL);
		if (atomic_exchange(&log->reopen, false)) {
			fd = file_open(log->name);
			if (fd >= 0) {
				close(log->fd);
				log->fd = fd;
			} else {
				log->failed++;
				log->error = errno;
				atomic_store(&log->reopen, true); /* it is tried again */
			}
		}
		for (ring = log->rings; ring; ring = ring->next)
			ring_write(log, ring);
		clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
		report(log, now.tv_sec);
	} while (!ending);
	return NULL;
}

struct log *log_open(const char *name, enum log_format format)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log) {
		warnx("out of memory");
		return NULL;
	}
	/* gmtime_r() reads files when it is used first, which threads may not */
	tzset();
	log->name = name;
	log->format = format;
	log->reported = -REPORT_S;
	log->fd = file_open(name);
	if (log->fd < 0) {
		warn("%s", name);
		free(log);
		return NULL;
	}
	return log;
}

bool log_start(struct log *log)
{
	errno = pthread_create(&log->thread, NULL, log_main, log);
	return !errno;
}

struct log_ring *log_ring(struct log *log)
{
	struct log_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return NULL;
	ring->log = log;
	ring->next = log->rings;
	log->rings = ring;
	return ring;
}

void log_reopen(struct log *log)
{
	atomic_store(&log->reopen, true);
}

void log_close(struct log *log)
{
	struct log_ring *ring;
	struct timespec end;

	atomic_store(&log->ending, true);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += END_MS / 1000;
	/* It may wait for somebody to read a pipe: what it uses stays until the program ends */
	if (pthread_timedjoin_np(log->thread, NULL, &end))
		return;
	while (log->rings) {
		ring = log->rings;
		log->rings = ring->next;
		free(ring);
	}
	close(log->fd);
	free(log);
}
