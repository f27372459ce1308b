/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* From a checked request to the plan of its reply (RFC 9110). */
#ifndef KHTTPD_CORE_RESPONSE_H
#define KHTTPD_CORE_RESPONSE_H

#include "date.h"
#include "request.h"
#include "site.h"

/* All lines of a head but those of the site and Location; the empty line is one of them. */
#define KHTTPD_MAX_LINES 512

/* Room that every head fits into: generated lines and the longest field group, or Location. */
#define KHTTPD_MAX_REPLY_HEAD (KHTTPD_MAX_LINES + KHTTPD_MAX_FIELD_GROUP)

/* Room for what khttpd_ready_start() writes. */
#define KHTTPD_READY_START 128

/**
 * struct khttpd_clock - the time, as an engine keeps it
 * @seconds: since 1970-01-01 UTC
 * @date: the same as IMF-fixdate
 */
struct khttpd_clock {
	s64 seconds;
	char date[KHTTPD_DATE_LEN];
};

/**
 * struct khttpd_reply - what to send for one request
 * @status: the status code
 * @close: the connection ends after this reply; the head says so
 * @head_len: bytes written to the caller's buffer: status line to empty line
 * @body: slice of the site or of core's constant error texts; valid as long as the site
 * @body_len: bytes to send after the head; 0 for HEAD, 204 and 304
 */
struct khttpd_reply {
	u16 status;
	bool close;
	u32 head_len;
	const u8 *body;
	u64 body_len;
};

/**
 * khttpd_reply_plan() - decide the reply to one request
 * @site: what is served
 * @req: the request, from khttpd_reader_feed() or khttpd_reader_fail()
 * @clock: the present time
 * @head: where the head goes
 * @size: bytes at @head; KHTTPD_MAX_REPLY_HEAD always suffices
 * @reply: set on success
 *
 * Methods, conditional requests (RFC 9110, 13.2.2), ranges (14.2), negotiation of the content
 * coding (12.5.3); every reply carries Date, Server and the right framing.
 *
 * Context: any; does not sleep.
 * Return: true; false if @size was too small (nothing is decided then).
 */
bool khttpd_reply_plan(const struct khttpd_site *site, const struct khttpd_request *req,
		       const struct khttpd_clock *clock, char *head, size_t size,
		       struct khttpd_reply *reply);

/**
 * khttpd_ready_start() - write the beginning of the head that a variant in an image has
 * @start: KHTTPD_READY_START bytes
 * @body_len: bytes of the variant's body
 *
 * Status line, Server, Date with blanks for the date, Content-Length: what comes before the
 * variant's own field lines.
 *
 * Return: bytes written.
 */
u32 khttpd_ready_start(char *start, u64 body_len);

#endif
