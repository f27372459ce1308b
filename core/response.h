/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* From a checked request to the plan of its reply (RFC 9110). */
#ifndef KHTTPD_CORE_RESPONSE_H
#define KHTTPD_CORE_RESPONSE_H

#include "date.h"
#include "request.h"
#include "site.h"

/* Room that every head fits into: generated lines and the longest field group. */
#define KHTTPD_MAX_REPLY_HEAD (512 + KHTTPD_MAX_FIELD_GROUP)

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
 * Return: true; false if the head does not fit into @size (nothing is decided then).
 */
bool khttpd_reply_plan(const struct khttpd_site *site, const struct khttpd_request *req,
		       const struct khttpd_clock *clock, char *head, size_t size,
		       struct khttpd_reply *reply);

/**
 * khttpd_reply_ready() - write the head that a variant's @ready is to hold
 * @v: the variant, complete but for @ready
 * @head: where it goes
 * @size: bytes at @head; KHTTPD_MAX_REPLY_HEAD always suffices
 *
 * Return: bytes written; 0 if they do not fit.
 */
u32 khttpd_reply_ready(const struct khttpd_variant *v, char *head, size_t size);

#endif
