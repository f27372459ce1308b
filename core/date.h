/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* HTTP dates (RFC 9110, 5.6.7) to and from seconds since 1970-01-01 UTC. */
#ifndef KHTTPD_CORE_DATE_H
#define KHTTPD_CORE_DATE_H

#include "types.h"

#define KHTTPD_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/**
 * khttpd_date_format() - write an IMF-fixdate
 * @buf: KHTTPD_DATE_LEN bytes; not NUL-terminated
 * @seconds: since 1970-01-01 UTC; clamped to the years 0..9999
 */
void khttpd_date_format(char *buf, s64 seconds);

/**
 * khttpd_date_parse() - read an HTTP-date in any of its three forms
 * @s: the field value
 * @now: seconds since 1970, decides the century of the RFC 850 form
 * @seconds: set on success
 *
 * Return: true if @s is a valid HTTP-date.
 */
bool khttpd_date_parse(struct khttpd_str s, s64 now, s64 *seconds);

#endif
