/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Parts of URIs (RFC 3986): authority and path. */
#ifndef KHTTPD_CORE_URI_H
#define KHTTPD_CORE_URI_H

#include "types.h"

/**
 * khttpd_parse_authority() - check uri-host [ ":" port ], as in Host (RFC 9110, 7.2)
 * @s: the text; no userinfo
 * @host: set to the host, brackets of an IPv6 address included
 * @port_len: set to the digits of the port; 0 if there is none, or an empty one (RFC 3986, 3.2.3)
 *
 * Return: true if it is valid, the host is not empty (RFC 9110, 4.2.1) and the port is at most
 * 65535. IPvFuture and zones (RFC 6874, withdrawn) are not.
 */
bool khttpd_parse_authority(struct khttpd_str s, struct khttpd_str *host, u32 *port_len);

/**
 * khttpd_decode_path() - undo percent-encoding once, then remove dot segments (RFC 3986, 5.2.4)
 * @path: begins with '/'
 * @out: room for @path.len bytes
 * @decoded: set to the bytes in @out
 *
 * "%2F" becomes a '/' like any other; empty segments stay.
 *
 * Return: false for a bad escape, for NUL and for a path that climbs above the root.
 */
bool khttpd_decode_path(struct khttpd_str path, char *out, struct khttpd_str *decoded);

#endif
