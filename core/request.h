/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* From received bytes to one checked HTTP/1.x request at a time (RFC 9112). */
#ifndef KHTTPD_CORE_REQUEST_H
#define KHTTPD_CORE_REQUEST_H

#include "types.h"

/* Header fields that matter to a reply, kept per request; a request with more of them gets 431. */
#define KHTTPD_MAX_FIELDS 24

/* Bounds of struct khttpd_limits that every engine enforces on its parameters. */
#define KHTTPD_MIN_HEAD 256
#define KHTTPD_MAX_HEAD 65536

/* The methods of RFC 9110 and PATCH. Any other token is answered with 501. */
enum khttpd_method {
	KHTTPD_METHOD_NONE, /* the request line could not be read */
	KHTTPD_GET,
	KHTTPD_HEAD,
	KHTTPD_OPTIONS,
	KHTTPD_POST,
	KHTTPD_PUT,
	KHTTPD_DELETE,
	KHTTPD_CONNECT,
	KHTTPD_TRACE,
	KHTTPD_PATCH,
};

/* The header fields that core/response looks at. */
enum khttpd_field_id {
	KHTTPD_IF_MATCH,
	KHTTPD_IF_NONE_MATCH,
	KHTTPD_IF_MODIFIED_SINCE,
	KHTTPD_IF_UNMODIFIED_SINCE,
	KHTTPD_IF_RANGE,
	KHTTPD_RANGE,
	KHTTPD_ACCEPT_ENCODING,
};

/* One field line; @value without the white space around it. */
struct khttpd_field {
	enum khttpd_field_id id;
	struct khttpd_str value;
};

/**
 * struct khttpd_limits - how much of a request is read before it is refused
 * @max_head: bytes of request line and header section, final CRLF included (431; 414
 *	when the request line alone does not fit); KHTTPD_MIN_HEAD..KHTTPD_MAX_HEAD.
 *	Also the limit of a chunked body's trailer section (431)
 * @max_target: bytes of the request target (414)
 * @max_body: bytes of content that are read past (413)
 */
struct khttpd_limits {
	u32 max_head;
	u32 max_target;
	u64 max_body;
};

/**
 * struct khttpd_request - one request, checked
 * @error: 0, or the status of the error reply that ends the connection; then only
 *	@method (KHTTPD_METHOD_NONE if unknown), @minor and @close mean anything
 * @method: one of enum khttpd_method
 * @minor: HTTP/1.@minor, 0 or 1
 * @close: the connection ends after the reply (asked for, HTTP/1.0 without keep-alive, an
 *	error or Expect: 100-continue). An engine may set it, never clear it
 * @any_server: target is "*" (OPTIONS only)
 * @host: host without port, as sent; empty: the default host. The target's authority in
 *	absolute form, else the Host field (RFC 9112, 3.2.2)
 * @path: percent-decoded once, dot segments removed, begins with '/'; any byte but NUL. Empty
 *	for "*" and CONNECT, which name no resource
 * @target: path of the target still encoded, for redirects and logs; without query. The
 *	whole target for "*" and CONNECT
 * @query: what follows '?', without it; .p is NULL if there is no '?'
 * @n_fields: entries of @fields that are set, in the order sent
 * @fields: the fields of interest
 *
 * All strings point into the data given to khttpd_reader_feed() or into the reader's
 * buffer and die with the next call on the reader, whichever comes first.
 */
struct khttpd_request {
	u16 error;
	u8 method;
	u8 minor;
	bool close;
	bool any_server;
	u8 n_fields;
	struct khttpd_str host;
	struct khttpd_str path;
	struct khttpd_str target;
	struct khttpd_str query;
	struct khttpd_field fields[KHTTPD_MAX_FIELDS];
};

/* Where a reader stands between two calls. */
enum khttpd_reader_state {
	KHTTPD_READER_HEAD, /* in front of or in a head */
	KHTTPD_READER_BODY, /* @left bytes of content to come */
	KHTTPD_READER_CHUNK, /* in a chunked body: chunk line, data, CRLF or trailers */
	KHTTPD_READER_DRAIN, /* closing: input is taken and thrown away */
};

/**
 * struct khttpd_reader - one connection's reading position; all zero is a fresh one
 * @buf: the engine's memory, asked for by KHTTPD_READ_BUFFER; holds an incomplete head, or
 *	the head of a request whose body is being read. NULL at the start
 * @buf_size: bytes at @buf
 * @want: valid after KHTTPD_READ_BUFFER: the bytes that @buf must have
 *
 * The rest belongs to core/request. Nothing here is allocated or freed by it. The engine may
 * free @buf (and set it to NULL, @buf_size to 0) whenever khttpd_reader_idle() says so or
 * nothing will be fed any more, once it is done with the strings of the last request.
 */
struct khttpd_reader {
	char *buf;
	u32 buf_size;
	u32 want;
	u32 buf_len; /* bytes of @buf in use */
	u32 scanned; /* bytes of the incomplete head that were checked */
	u32 line; /* where the line at @scanned begins */
	u32 head_len; /* not 0: the complete head of a pending body, or of the last request */
	u64 left; /* content or chunk data bytes still to come */
	u64 seen; /* bytes in chunks so far, checked against max_body */
	u32 overhead; /* bytes in chunk lines so far, then in trailers; bounded as well */
	u8 state; /* enum khttpd_reader_state */
	u8 chunk; /* position in the chunk grammar */
	u8 digits; /* of the chunk size */
	u8 method : 4; /* enum khttpd_method, once it was read */
	u8 minor : 1; /* HTTP/1.@minor, once it was read */
	u8 request_line : 1; /* the request line is complete and was checked */
	u8 blank : 1; /* the one empty line before a request was skipped */
	u8 cr : 1; /* the CR of that line was, its LF is to come */
};

/* What khttpd_reader_feed() found. */
enum khttpd_read {
	KHTTPD_READ_MORE, /* all bytes taken, no request complete */
	KHTTPD_READ_REQUEST, /* *req is set; bytes may be left */
	KHTTPD_READ_BUFFER, /* give @buf of at least @want bytes (old contents kept), call again */
};

/**
 * khttpd_reader_feed() - take received bytes up to the end of one request
 * @r: the connection's reader
 * @lim: limits, read anew at each call
 * @data: bytes that follow those taken so far
 * @len: bytes at @data; 0 is allowed
 * @used: set to the bytes taken, at most @len
 * @req: set with KHTTPD_READ_REQUEST, undefined otherwise
 *
 * A head that lies whole in @data is parsed where it lies; only an incomplete one, one whose
 * target must be decoded or one with a body needs @buf (at most 2 * max_head bytes are ever
 * asked for). The result is the same however the input is cut into calls: requests, errors
 * and their order depend on the bytes alone. After a request with @close or @error set the
 * reader is in KHTTPD_READER_DRAIN and takes everything. RFC 9112, 2.2, 3, 5, 6, 7, 9.3.
 *
 * Context: any; does not sleep.
 * Return: enum khttpd_read. With KHTTPD_READ_BUFFER, *@used bytes were taken (often 0) and
 * the rest must be fed again.
 */
enum khttpd_read khttpd_reader_feed(struct khttpd_reader *r, const struct khttpd_limits *lim,
				    const void *data, size_t len, size_t *used,
				    struct khttpd_request *req);

/**
 * khttpd_reader_idle() - is the reader between two requests, with nothing of the next one?
 * @r: the connection's reader
 *
 * Return: true if no byte of a request is pending (an empty line alone does not count).
 */
bool khttpd_reader_idle(const struct khttpd_reader *r);

/**
 * khttpd_reader_fail() - end the request that is being read with an error of the engine's
 * @r: the connection's reader; goes to KHTTPD_READER_DRAIN
 * @status: 408 when time is up, 503 when memory is
 * @req: set to that error
 */
void khttpd_reader_fail(struct khttpd_reader *r, u16 status, struct khttpd_request *req);

#endif
