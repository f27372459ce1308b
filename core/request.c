// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * From received bytes to one checked HTTP/1.x request at a time (RFC 9112).
 *
 * A head goes through three steps. scan_head() looks at each byte once, in order, and finds
 * the end of the head; it can stop and go on anywhere. parse_head() then runs http_parser over
 * the whole head, which is one piece of memory by then, so that every callback has its string
 * whole, and adds the checks that http_parser leaves out. accept_head() decides what follows:
 * the request, its body first, or a buffer. Bodies never reach http_parser.
 *
 * Every error is found at a byte that does not depend on how the input was cut: by the scan at
 * the byte that is wrong, by the parse at the last byte of the head.
 */
#include "request.h"

#include <http_parser.h>

#include "text.h"
#include "uri.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error first_control() wants little endian
#endif

/* Longest method that is read to its end before it is called unknown. */
#define MAX_METHOD 24

/* A request line is at most this much longer than its target (CRLF included). */
#define LINE_OVERHEAD 34

/* Bytes copied behind an incomplete head at a time: most of them may be the next requests'. */
#define COPY_STEP 1024

/* What a step found: an HTTP error status, or one of these. */
enum {
	DONE = 0,
	MORE = -1,
	NEED_BUFFER = -2,
};

static const struct khttpd_str methods[] = {
	[KHTTPD_GET] = { "GET", 3 },	     [KHTTPD_HEAD] = { "HEAD", 4 },
	[KHTTPD_OPTIONS] = { "OPTIONS", 7 }, [KHTTPD_POST] = { "POST", 4 },
	[KHTTPD_PUT] = { "PUT", 3 },	     [KHTTPD_DELETE] = { "DELETE", 6 },
	[KHTTPD_CONNECT] = { "CONNECT", 7 }, [KHTTPD_TRACE] = { "TRACE", 5 },
	[KHTTPD_PATCH] = { "PATCH", 5 },
};

/* --- scan: every byte of the head once, in order --- */

/*
 * Where is the first control character (below 0x20, or DEL) in @p[@from..@end)? Eight bytes at
 * a time. The subtractions borrow only towards later bytes, so that the first mark is right.
 */
static u32 first_control(const char *p, u32 from, u32 end)
{
	const u64 ones = 0x0101010101010101;
	u64 x, del, found;

	for (; from + 8 <= end; from += 8) {
		memcpy(&x, p + from, 8);
		del = x ^ 0x7f * ones;
		found = (((x - 0x20 * ones) & ~x) | ((del - ones) & ~del)) & 0x80 * ones;
		if (found)
			return from + (__builtin_ctzll(found) >> 3);
	}
	while (from < end && (u8)p[from] >= 0x20 && p[from] != 0x7f)
		from++;
	return from;
}

static bool has_space(const char *p, u32 len)
{
	const u64 ones = 0x0101010101010101;
	u64 x;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&x, p, 8);
		x ^= ' ' * ones;
		if ((x - ones) & ~x & 0x80 * ones)
			return true;
	}
	for (; len; p++, len--)
		if (*p == ' ')
			return true;
	return false;
}

/* The method, up to the SP behind it. It ends within MAX_METHOD bytes or is unknown. */
static int scan_method(struct khttpd_reader *r, const char *p, u32 len)
{
	u32 i, m;

	if (len >= 4 && !memcmp(p, "GET ", 4)) {
		r->method = KHTTPD_GET;
		r->scanned = 4;
		return DONE;
	}
	for (i = r->scanned; i < len && khttpd_is_class(p[i], KHTTPD_TOKEN); i++) {
		if (i == MAX_METHOD) {
			r->scanned = i + 1;
			return 501;
		}
	}
	if (i == len) {
		r->scanned = i;
		return MORE;
	}
	r->scanned = i + 1;
	if (p[i] != ' ' || i == 0)
		return 400;
	for (m = KHTTPD_GET; m <= KHTTPD_PATCH; m++) {
		if (methods[m].len == i && !memcmp(methods[m].p, p, i)) {
			r->method = m;
			return DONE;
		}
	}
	return 501;
}

/*
 * The complete request line of @len bytes: "method SP target SP HTTP/1.x", single spaces (RFC
 * 9112, 3 allows more, and that has been used for smuggling). The target is parse_head()'s.
 */
static int check_request_line(struct khttpd_reader *r, const struct khttpd_limits *lim,
			      const char *p, u32 len)
{
	u32 method_len = methods[r->method].len;
	const char *target = p + method_len + 1, *version;
	u32 target_len;

	if (len < method_len + sizeof(" * HTTP/1.1") - 1) /* HTTP/0.9 among others */
		return 400;
	version = p + len - 8;
	target_len = version - target - 1;
	if (version[-1] != ' ' || has_space(target, target_len))
		return 400;
	if (!memcmp(version, "HTTP/1.1", 8)) {
		r->minor = 1;
	} else {
		if (memcmp(version, "HTTP/", 5) || !khttpd_is_digit(version[5]) ||
		    version[6] != '.' || !khttpd_is_digit(version[7]))
			return 400;
		if (!memcmp(version, "HTTP/0.9", 8)) /* a name without a protocol */
			return 400;
		if (version[5] != '1' || version[7] != '0')
			return 505;
	}
	return target_len > lim->max_target ? 414 : DONE;
}

/*
 * Go on over the head at @p, of which @len bytes are there, from @r->scanned. DONE: the head is
 * complete. Otherwise (MORE, error) too @r->scanned says how far this got; an error's byte is
 * the one before it.
 */
static int scan_head(struct khttpd_reader *r, const struct khttpd_limits *lim, const char *p,
		     u32 len)
{
	u32 pos, line, limit = lim->max_head, end;
	int status;

	if (!r->request_line) {
		if (!r->method) {
			status = scan_method(r, p, len);
			if (status)
				return status;
		}
		if (lim->max_target < limit - LINE_OVERHEAD)
			limit = lim->max_target + LINE_OVERHEAD;
	}
	pos = r->scanned;
	line = r->line;
	end = len < limit ? len : limit;
	for (;;) {
		/* At the start of a line: obs-fold (RFC 9112, 5.2)? The end of the head? */
		if (pos == line && pos < end) {
			if (khttpd_is_space(p[pos])) {
				status = 400;
				pos++;
				break;
			}
			if (pos + 2 <= end && p[pos] == '\r' && p[pos + 1] == '\n') {
				status = DONE;
				pos += 2;
				break;
			}
		}
		pos = first_control(p, pos, end);
		if (unlikely(pos + 1 >= end)) { /* go on from a CR when its LF is there */
			status = MORE;
			if (pos < end && p[pos] == '\t') {
				pos++;
			} else if (pos < end && p[pos] != '\r') {
				status = 400;
				pos++;
				break;
			}
			if (end == limit) {
				status = r->request_line ? 431 : 414;
				pos = end;
			}
			break;
		}
		if (unlikely(p[pos] != '\r' || p[pos + 1] != '\n')) {
			if (p[pos] == '\t') {
				pos++;
				continue;
			}
			status = 400;
			pos += p[pos] == '\r' ? 2 : 1;
			break;
		}
		pos += 2;
		if (!r->request_line) {
			status = check_request_line(r, lim, p, pos - 2);
			if (status)
				break;
			r->request_line = 1;
			limit = lim->max_head;
			end = len < limit ? len : limit;
		}
		line = pos;
	}
	r->scanned = pos;
	r->line = line;
	return status;
}

/* --- parse: the complete head --- */

/* What was seen in a head, struct head.flags. */
#define COMPLETE 0x001
#define HAS_HOST 0x002
#define HAS_LENGTH 0x004
#define HAS_CODING 0x008 /* Transfer-Encoding is there ... */
#define CHUNKED 0x010 /* ... its last coding so far is chunked ... */
#define OTHER_CODING 0x020 /* ... others are in front of it ... */
#define BAD_CODING 0x040 /* ... or it is none of that */
#define WANT_CLOSE 0x080
#define WANT_KEEP_ALIVE 0x100
#define EXPECT_CONTINUE 0x200
#define DECODE 0x400 /* the path is not its own decoded form */

/* What is known of a head while http_parser runs over it and afterwards. */
struct head {
	struct khttpd_request *req;
	struct khttpd_str url;
	struct khttpd_str path; /* of the target, encoded */
	u64 content_length;
	u32 flags;
	u16 status; /* of the error that a callback found */
	u8 field; /* enum field: whose value comes next */
};

/* Fields that mean something here; the first ones are those of enum khttpd_field_id. */
enum field {
	FIELD_HOST = KHTTPD_ACCEPT_ENCODING + 1,
	FIELD_CONNECTION,
	FIELD_CONTENT_LENGTH,
	FIELD_TRANSFER_ENCODING,
	FIELD_EXPECT,
	FIELD_OTHER,
};

static int fail_head(struct head *h, u16 status)
{
	h->status = status;
	return -1;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
	struct head *h = parser->data;

	h->url = (struct khttpd_str){ at, len };
	return 0;
}

static int on_field(http_parser *parser, const char *at, size_t len)
{
	struct head *h = parser->data;
	u8 field = FIELD_OTHER;

#define NAME(lower, id)                            \
	do {                                       \
		if (khttpd_same(at, (lower), len)) \
			field = (id);              \
	} while (0)
	switch (len) {
	case 4:
		NAME("host", FIELD_HOST);
		break;
	case 5:
		NAME("range", KHTTPD_RANGE);
		break;
	case 6:
		NAME("expect", FIELD_EXPECT);
		break;
	case 8:
		NAME("if-match", KHTTPD_IF_MATCH);
		NAME("if-range", KHTTPD_IF_RANGE);
		break;
	case 10:
		NAME("connection", FIELD_CONNECTION);
		break;
	case 13:
		NAME("if-none-match", KHTTPD_IF_NONE_MATCH);
		break;
	case 14:
		NAME("content-length", FIELD_CONTENT_LENGTH);
		break;
	case 15:
		NAME("accept-encoding", KHTTPD_ACCEPT_ENCODING);
		break;
	case 17:
		NAME("if-modified-since", KHTTPD_IF_MODIFIED_SINCE);
		NAME("transfer-encoding", FIELD_TRANSFER_ENCODING);
		break;
	case 19:
		NAME("if-unmodified-since", KHTTPD_IF_UNMODIFIED_SINCE);
		break;
	}
#undef NAME
	h->field = field;
	return 0;
}

/* Digits only, up to 2^63-1 (RFC 9112, 6.3). */
static bool parse_length(struct khttpd_str s, u64 *length)
{
	u64 value = 0;
	u32 i, digit;

	for (i = 0; i < s.len; i++) {
		if (!khttpd_is_digit(s.p[i]))
			return false;
		digit = s.p[i] - '0';
		if (value > ((~0ULL >> 1) - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*length = value;
	return s.len > 0;
}

/*
 * RFC 9112, 6.1 and 6.3: all lines are one list; chunked ends it, once, without parameters. Empty
 * elements could be skipped, but servers differ in whether they do, and then in where the message
 * ends: nobody sends them in good faith.
 */
static void parse_codings(struct head *h, struct khttpd_str list)
{
	struct khttpd_str item;
	u32 i;

	h->flags |= HAS_CODING;
	if (!list.len || list.p[list.len - 1] == ',')
		h->flags |= BAD_CODING;
	while (list.len) {
		item = khttpd_list_take(&list);
		if (h->flags & CHUNKED) {
			h->flags |= BAD_CODING;
		} else if (khttpd_is(item, "chunked")) {
			h->flags |= CHUNKED;
		} else {
			for (i = 0; i < item.len && khttpd_is_class(item.p[i], KHTTPD_TOKEN); i++)
				;
			if (i == 0 ||
			    (i < item.len && item.p[i] != ';' && !khttpd_is_space(item.p[i])))
				h->flags |= BAD_CODING;
			if (i == 7 && khttpd_same(item.p, "chunked", 7))
				h->flags |= BAD_CODING;
			h->flags |= OTHER_CODING;
		}
	}
}

/* RFC 9112, 9.3. http_parser misses options behind a tab or an empty element. */
static void parse_connection(struct head *h, struct khttpd_str list)
{
	struct khttpd_str item;

	while (khttpd_list_next(&list, &item)) {
		if (khttpd_is(item, "close"))
			h->flags |= WANT_CLOSE;
		else if (khttpd_is(item, "keep-alive"))
			h->flags |= WANT_KEEP_ALIVE;
	}
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
	struct head *h = parser->data;
	struct khttpd_str value = { at, len }, item;
	struct khttpd_request *req = h->req;
	u32 port_len;

	if (h->field == FIELD_OTHER)
		return 0;
	while (value.len && khttpd_is_space(value.p[value.len - 1])) /* http_parser did the rest */
		value.len--;
	switch (h->field) {
	case FIELD_HOST: /* RFC 9112, 3.2 */
		if ((h->flags & HAS_HOST) ||
		    (value.len && !khttpd_parse_authority(value, &req->host, &port_len)))
			return fail_head(h, 400);
		h->flags |= HAS_HOST;
		break;
	case FIELD_CONNECTION:
		parse_connection(h, value);
		break;
	case FIELD_CONTENT_LENGTH:
		if ((h->flags & HAS_LENGTH) || !parse_length(value, &h->content_length))
			return fail_head(h, 400);
		h->flags |= HAS_LENGTH;
		break;
	case FIELD_TRANSFER_ENCODING:
		parse_codings(h, value);
		break;
	case FIELD_EXPECT: /* RFC 9110, 10.1.1: not in HTTP/1.0 */
		while (khttpd_list_next(&value, &item))
			if (req->minor && khttpd_is(item, "100-continue"))
				h->flags |= EXPECT_CONTINUE;
		break;
	default:
		if (req->n_fields == KHTTPD_MAX_FIELDS)
			return fail_head(h, 431);
		req->fields[req->n_fields].id = h->field;
		req->fields[req->n_fields].value = value;
		req->n_fields++;
	}
	return 0;
}

/*
 * http_parser would stop for good at CONNECT and `Connection: Upgrade`, and would check only
 * half of what Transfer-Encoding needs: for it, no message has a body.
 */
static int on_head(http_parser *parser)
{
	struct head *h = parser->data;

	h->flags |= COMPLETE;
	parser->upgrade = 0;
	return 1;
}

/* Split "/path?query", see whether the path must be decoded; '#' belongs in no target. */
static int parse_path(struct head *h, struct khttpd_str s)
{
	u32 i, next;

	h->path = s;
	for (i = 0; i < s.len; i++) {
		if (likely(!khttpd_is_class(s.p[i], KHTTPD_STOP)))
			continue;
		if (s.p[i] == '#')
			return 400;
		if (s.p[i] == '?') {
			h->path.len = i++;
			h->req->query = (struct khttpd_str){ s.p + i, s.len - i };
			return memchr(s.p + i, '#', s.len - i) ? 400 : DONE;
		}
		if (s.p[i] == '%') {
			h->flags |= DECODE;
		} else if (s.p[i - 1] == '/') { /* is it "." or ".."? */
			next = i + 1;
			if (next < s.len && s.p[next] == '.')
				next++;
			if (next == s.len || s.p[next] == '/' || s.p[next] == '?')
				h->flags |= DECODE;
		}
	}
	return DONE;
}

/* The four forms of RFC 9112, 3.2. */
static int parse_target(struct head *h)
{
	struct khttpd_request *req = h->req;
	struct khttpd_str url = h->url;
	u32 i, authority, port_len;
	int status;

	if (req->method == KHTTPD_CONNECT) {
		h->path = (struct khttpd_str){ url.p, 0 };
		req->target = url;
		return khttpd_parse_authority(url, &req->host, &port_len) && port_len ? DONE : 400;
	}
	if (url.p[0] == '/') {
		status = parse_path(h, url);
		req->target = h->path;
		return status;
	}
	if (url.p[0] == '*') {
		h->path = (struct khttpd_str){ url.p, 0 };
		req->target = url;
		req->any_server = true;
		return url.len == 1 && req->method == KHTTPD_OPTIONS ? DONE : 400;
	}

	if (url.len > 7 && khttpd_same(url.p, "http://", 7))
		authority = 7;
	else if (url.len > 8 && khttpd_same(url.p, "https://", 8))
		authority = 8;
	else
		return 400;
	for (i = authority; i < url.len; i++)
		if (url.p[i] == '/' || url.p[i] == '?')
			break;
	if (!khttpd_parse_authority((struct khttpd_str){ url.p + authority, i - authority },
				    &req->host, &port_len))
		return 400;
	status = parse_path(h, (struct khttpd_str){ url.p + i, url.len - i });
	if (!h->path.len) /* "/" is meant (RFC 9110, 4.2.3); there is one in "://" */
		h->path = (struct khttpd_str){ url.p + authority - 1, 1 };
	req->target = h->path;
	return status;
}

static const http_parser_settings callbacks = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
};

/* Run http_parser over the complete head and judge it: DONE with *@h and *@req, or an error. */
static int parse_head(struct khttpd_reader *r, const char *p, u32 len, struct khttpd_request *req,
		      struct head *h)
{
	http_parser parser = { .data = h };
	int status;

	req->error = 0;
	req->method = r->method;
	req->minor = r->minor;
	req->any_server = false;
	req->n_fields = 0;
	req->host = (struct khttpd_str){ NULL, 0 };
	req->query = (struct khttpd_str){ NULL, 0 };
	*h = (struct head){ .req = req };

	http_parser_init(&parser, HTTP_REQUEST);
	if (http_parser_execute(&parser, &callbacks, p, len) != len ||
	    HTTP_PARSER_ERRNO(&parser) != HPE_OK || !(h->flags & COMPLETE))
		return h->status ? h->status : 400;

	if (req->minor && !(h->flags & HAS_HOST))
		return 400;
	if (h->flags & HAS_CODING) {
		if (!req->minor || (h->flags & (HAS_LENGTH | BAD_CODING | CHUNKED)) != CHUNKED)
			return 400;
		if (h->flags & OTHER_CODING)
			return 501;
	}
	status = parse_target(h);
	if (status)
		return status;
	req->path = h->path;
	req->close = h->flags & (WANT_CLOSE | EXPECT_CONTINUE) ||
		     !(req->minor || h->flags & WANT_KEEP_ALIVE);
	return DONE;
}

/* --- bodies: read past, checked --- */

/* Positions in the chunk grammar of RFC 9112, 7.1; SIZE comes first in every body. */
enum {
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILER_LINE,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	TRAILER_END_LF,
};

/* Legal in field values and chunk extensions: VCHAR, obs-text, SP and HTAB. */
static bool is_text(char c)
{
	return (u8)c >= ' ' ? c != 0x7f : c == '\t';
}

/* One byte outside of chunk data: DONE behind the whole body, MORE, or an error. */
static int chunk_byte(struct khttpd_reader *r, const struct khttpd_limits *lim, char c)
{
	int digit;

	switch (r->chunk) {
	case CHUNK_SIZE:
		digit = khttpd_hex_value(c);
		if (digit >= 0) {
			if (r->digits == 16) /* what u64 holds */
				return 400;
			r->digits++;
			r->left = r->left << 4 | (u32)digit;
			return MORE;
		}
		if (!r->digits || (c != '\r' && c != ';'))
			return 400;
		r->chunk = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
		return MORE;
	case CHUNK_EXTENSION:
		if (c == '\r')
			r->chunk = CHUNK_SIZE_LF;
		else if (!is_text(c))
			return 400;
		return MORE;
	case CHUNK_SIZE_LF:
		if (c != '\n')
			return 400;
		r->digits = 0;
		if (!r->left) {
			r->chunk = TRAILER_LINE;
			r->overhead = 0;
			return MORE;
		}
		if (r->seen > lim->max_body || r->left > lim->max_body - r->seen)
			return 413;
		r->seen += r->left;
		r->chunk = CHUNK_DATA;
		return MORE;
	case CHUNK_DATA_CR:
		r->chunk = CHUNK_DATA_LF;
		return c == '\r' ? MORE : 400;
	case CHUNK_DATA_LF:
		r->chunk = CHUNK_SIZE;
		return c == '\n' ? MORE : 400;
	case TRAILER_LINE:
		r->chunk = c == '\r' ? TRAILER_END_LF : TRAILER_NAME;
		return c == '\r' || khttpd_is_class(c, KHTTPD_TOKEN) ? MORE : 400;
	case TRAILER_NAME:
		if (c == ':')
			r->chunk = TRAILER_VALUE;
		else if (!khttpd_is_class(c, KHTTPD_TOKEN))
			return 400;
		return MORE;
	case TRAILER_VALUE:
		if (c == '\r')
			r->chunk = TRAILER_LF;
		else if (!is_text(c))
			return 400;
		return MORE;
	case TRAILER_LF:
		r->chunk = TRAILER_LINE;
		return c == '\n' ? MORE : 400;
	default: /* TRAILER_END_LF */
		return c == '\n' ? DONE : 400;
	}
}

/* Read past a chunked body; *@used is set to the bytes taken, up to a wrong one if there is. */
static int read_chunks(struct khttpd_reader *r, const struct khttpd_limits *lim, const char *p,
		       size_t len, size_t *used)
{
	u32 max_overhead = ~0U - 1;
	size_t n = 0;
	int status = MORE;

	if (lim->max_body < max_overhead - lim->max_head)
		max_overhead = lim->max_body + lim->max_head;
	while (n < len && status == MORE) {
		if (r->chunk == CHUNK_DATA) {
			u64 take = r->left < len - n ? r->left : len - n;

			r->left -= take;
			n += take;
			if (!r->left)
				r->chunk = CHUNK_DATA_CR;
			continue;
		}
		if (r->chunk < TRAILER_LINE) {
			if (++r->overhead > max_overhead)
				status = 413;
		} else if (++r->overhead > lim->max_head) {
			status = 431;
		}
		if (status == MORE)
			status = chunk_byte(r, lim, p[n]);
		n++;
	}
	*used = n;
	return status;
}

/* --- the reader --- */

/* Forget the request line and how far a head was checked. */
static void restart_head(struct khttpd_reader *r)
{
	r->scanned = 0;
	r->line = 0;
	r->method = KHTTPD_METHOD_NONE;
	r->minor = 0;
	r->request_line = 0;
}

/* Ask for a buffer of @need bytes at least, in steps that make few calls of many bytes. */
static int need_buffer(struct khttpd_reader *r, const struct khttpd_limits *lim, u32 need)
{
	u32 want = 1024;

	while (want < need)
		want *= 2;
	if (want > 2 * lim->max_head)
		want = 2 * lim->max_head;
	r->want = want < need ? need : want;
	return NEED_BUFFER;
}

/*
 * What follows the complete head at @p: DONE with the request; MORE when its body comes first
 * (then the head is kept in @r->buf and comes here again with @body_read); NEED_BUFFER with
 * nothing changed; or an error.
 */
static int accept_head(struct khttpd_reader *r, const struct khttpd_limits *lim, const char *p,
		       u32 len, bool body_read, struct khttpd_request *req)
{
	bool body, in_place = p != r->buf;
	u32 kept, need;
	struct head h;
	int status;

	status = parse_head(r, p, len, req, &h);
	if (status)
		return status;

	/* Nothing of the body is read when a final reply forestalls it (RFC 9110, 10.1.1). */
	body = !body_read && (h.flags & CHUNKED || h.content_length) &&
	       !(h.flags & EXPECT_CONTINUE);
	if (body && h.content_length > lim->max_body)
		return 413;

	kept = body || !in_place ? len : 0;
	need = kept + (h.flags & DECODE ? h.path.len : 0);
	if (need > r->buf_size)
		return need_buffer(r, lim, need);
	if (h.flags & DECODE && !khttpd_decode_path(h.path, r->buf + kept, &req->path))
		return 400;
	if (body) {
		if (in_place)
			memcpy(r->buf, p, len);
		r->buf_len = len;
		r->head_len = len;
		r->left = h.content_length;
		r->seen = 0;
		r->overhead = 0;
		r->chunk = CHUNK_SIZE;
		r->digits = 0;
		r->state = h.flags & CHUNKED ? KHTTPD_READER_CHUNK : KHTTPD_READER_BODY;
		return MORE;
	}
	r->buf_len = need;
	r->head_len = need;
	r->state = req->close ? KHTTPD_READER_DRAIN : KHTTPD_READER_HEAD;
	r->blank = 0;
	restart_head(r);
	return DONE;
}

/* The one empty line that may come before a request (RFC 9112, 2.2). */
static int skip_blank(struct khttpd_reader *r, const char *p, size_t len, size_t *used)
{
	size_t n = 0;

	if (!r->cr) {
		if (likely(!len || p[0] != '\r'))
			return DONE;
		*used = n = 1;
		if (r->blank)
			return 400;
		r->cr = 1;
	}
	if (n == len)
		return MORE;
	*used = n + 1;
	if (p[n] != '\n')
		return 400;
	r->cr = 0;
	r->blank = 1;
	if (*used < len && p[*used] == '\r') {
		++*used;
		return 400;
	}
	return DONE;
}

/* In front of or in a head. *@used must be 0 and is set to the bytes taken. */
static int read_head(struct khttpd_reader *r, const struct khttpd_limits *lim, const char *p,
		     size_t len, size_t *used, struct khttpd_request *req)
{
	size_t n, step;
	u32 head_len;
	int status;

	if (likely(!r->buf_len)) {
		status = skip_blank(r, p, len, used);
		if (status)
			return status;
		p += *used;
		len -= *used;
		if (len > lim->max_head)
			len = lim->max_head;
		status = scan_head(r, lim, p, len);
		head_len = r->scanned;
		if (likely(status == DONE)) {
			status = accept_head(r, lim, p, head_len, false, req);
		} else if (status == MORE && len) {
			if (len > r->buf_size) {
				status = need_buffer(r, lim, len);
			} else {
				memcpy(r->buf, p, len);
				r->buf_len = len;
				head_len = len;
			}
		}
		if (status == NEED_BUFFER)
			restart_head(r);
		else
			*used += head_len;
		return status;
	}

	for (n = 0;;) {
		status = scan_head(r, lim, r->buf, r->buf_len);
		if (status != MORE || n == len)
			break;
		step = len - n < COPY_STEP ? len - n : COPY_STEP;
		if (step > lim->max_head - r->buf_len) /* more than 0, or the scan had failed */
			step = lim->max_head - r->buf_len;
		if (r->buf_len + step > r->buf_size) {
			status = need_buffer(r, lim, r->buf_len + step);
			break;
		}
		memcpy(r->buf + r->buf_len, p + n, step);
		r->buf_len += step;
		n += step;
	}
	*used = n;
	if (status < 0)
		return status;
	/* Give back what lies behind the head or behind the wrong byte; it came in this call. */
	head_len = r->scanned;
	*used -= r->buf_len - head_len < n ? r->buf_len - head_len : n;
	r->buf_len = head_len;
	if (status == DONE) {
		status = accept_head(r, lim, r->buf, head_len, false, req);
		if (status == NEED_BUFFER) /* find its end again in the next call */
			r->scanned = r->line;
	}
	return status;
}

static void set_error(struct khttpd_reader *r, int status, struct khttpd_request *req)
{
	*req = (struct khttpd_request){
		.error = status,
		.method = r->method,
		.minor = r->minor,
		.close = true,
	};
	r->state = KHTTPD_READER_DRAIN;
	r->buf_len = 0;
	r->head_len = 0;
}

enum khttpd_read khttpd_reader_feed(struct khttpd_reader *r, const struct khttpd_limits *lim,
				    const void *data, size_t len, size_t *used,
				    struct khttpd_request *req)
{
	const char *p = len ? data : "";
	size_t n = 0, taken;
	int status = MORE;

	if (likely(r->state == KHTTPD_READER_HEAD)) {
		if (unlikely(r->head_len)) { /* of the last request */
			r->buf_len = 0;
			r->head_len = 0;
		}
		status = read_head(r, lim, p, len, &n, req);
		if (likely(status == DONE)) {
			*used = n;
			return KHTTPD_READ_REQUEST;
		}
	}
	if (r->state == KHTTPD_READER_CHUNK && status == MORE) {
		status = read_chunks(r, lim, p + n, len - n, &taken);
		n += taken;
		if (status == DONE) {
			r->state = KHTTPD_READER_BODY;
			r->left = 0;
			status = MORE;
		}
	}
	if (r->state == KHTTPD_READER_BODY && status == MORE) {
		taken = r->left < len - n ? r->left : len - n;
		r->left -= taken;
		n += taken;
		if (!r->left)
			status = accept_head(r, lim, r->buf, r->head_len, true, req);
	}
	if (r->state == KHTTPD_READER_DRAIN && status == MORE) {
		r->buf_len = 0;
		n = len;
	}

	*used = n;
	switch (status) {
	case DONE:
		return KHTTPD_READ_REQUEST;
	case MORE:
		return KHTTPD_READ_MORE;
	case NEED_BUFFER:
		return KHTTPD_READ_BUFFER;
	}
	set_error(r, status, req);
	return KHTTPD_READ_REQUEST;
}

bool khttpd_reader_idle(const struct khttpd_reader *r)
{
	return r->state == KHTTPD_READER_HEAD && (!r->buf_len || r->head_len);
}

void khttpd_reader_fail(struct khttpd_reader *r, u16 status, struct khttpd_request *req)
{
	set_error(r, status, req);
}
