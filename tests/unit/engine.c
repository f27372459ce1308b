// SPDX-License-Identifier: MIT OR GPL-2.0
/* What an engine does with core/, for tests: feed bytes, give buffers, plan and check replies. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "engine.h"

/* Where bytes go that are read for ASan's sake */
static volatile u8 sink;

/* A reader may ask for a buffer and then find a request without taking a byte; no more. */
#define MAX_IDLE_CALLS 3

void engine_fail(const char *format, ...)
{
	char message[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	engine_failed(message);
}

/* xorshift64*: good enough to choose split points, and the same everywhere */
u64 random_next(u64 *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * 0x2545f4914f6cdd1dULL;
}

bool str_is(struct khttpd_str s, const char *expected)
{
	return s.len == strlen(expected) && (!s.len || !memcmp(s.p, expected, s.len));
}

static bool str_same(struct khttpd_str a, struct khttpd_str b)
{
	return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

void engine_init(struct engine *e, const struct khttpd_limits *limits,
		 const struct khttpd_site *site)
{
	memset(e, 0, sizeof(*e));
	e->limits = *limits;
	e->site = site;
	e->now = 1795165200; /* 2026-11-20 */
}

void engine_free(struct engine *e)
{
	for (u32 i = 0; i < e->n_events; i++) {
		free(e->events[i].strings);
		free(e->events[i].head);
	}
	free(e->events);
	free(e->reader.buf);
	memset(e, 0, sizeof(*e));
}

static bool is_token_char(u8 c)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c);
}

static bool is_field_char(u8 c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static void check_value(struct khttpd_str v)
{
	for (u32 i = 0; i < v.len; i++)
		engine_check(is_field_char(v.p[i]), "control character in a field value");
	if (v.len)
		engine_check(!strchr(" \t", v.p[0]) && !strchr(" \t", v.p[v.len - 1]),
			     "white space around a field value");
}

static void check_path(struct khttpd_str path)
{
	u32 begin = 1;

	engine_check(path.len && path.p[0] == '/', "path does not begin with '/'");
	engine_check(!memchr(path.p, '\0', path.len), "NUL in path");
	for (u32 i = 1; i <= path.len; i++) {
		u32 n = i - begin;

		if (i < path.len && path.p[i] != '/')
			continue;
		engine_check(!(n == 1 && path.p[begin] == '.') &&
				     !(n == 2 && !memcmp(path.p + begin, "..", 2)),
			     "dot segment in path '%.*s'", (int)path.len, path.p);
		begin = i + 1;
	}
}

void request_check(const struct khttpd_request *req)
{
	engine_check(req->minor <= 1, "minor version %u", req->minor);
	engine_check(req->method <= KHTTPD_PATCH, "method %u", req->method);
	if (req->error) {
		engine_check(req->close, "error %u without close", req->error);
		return;
	}
	engine_check(req->method != KHTTPD_METHOD_NONE, "no method and no error");
	if (req->any_server)
		engine_check(req->method == KHTTPD_OPTIONS, "'*' with method %u", req->method);
	else if (req->method != KHTTPD_CONNECT)
		check_path(req->path);
	for (u32 i = 0; i < req->host.len; i++)
		engine_check((u8)req->host.p[i] > ' ' && req->host.p[i] != 0x7f,
			     "bad byte in host");
	for (u32 i = 0; i < req->target.len; i++)
		engine_check((u8)req->target.p[i] > ' ' && req->target.p[i] != 0x7f &&
				     req->target.p[i] != '?',
			     "bad byte in target");
	engine_check(req->n_fields <= KHTTPD_MAX_FIELDS, "%u fields", req->n_fields);
	for (u32 i = 0; i < req->n_fields; i++) {
		engine_check(req->fields[i].id <= KHTTPD_ACCEPT_ENCODING, "field id %u",
			     (unsigned int)req->fields[i].id);
		check_value(req->fields[i].value);
	}
}

/* Reads every byte of @s (for ASan) and checks that it lies in @data or in the buffer. */
static void check_place(const struct engine *e, struct khttpd_str s, const char *data, size_t len)
{
	uintptr_t begin = (uintptr_t)s.p, end = begin + s.len;
	uintptr_t d = (uintptr_t)data, b = (uintptr_t)e->reader.buf;

	if (!s.p) {
		engine_check(!s.len, "NULL string with a length");
		return;
	}
	engine_check((begin >= d && end <= d + len) ||
			     (b && begin >= b && end <= b + e->reader.buf_size),
		     "string outside of data and buffer");
}

static void copy_str(struct khttpd_str *s, char **to)
{
	if (!s->p)
		return;
	memcpy(*to, s->p, s->len);
	s->p = *to;
	*to += s->len;
}

static void add_event(struct engine *e, const struct khttpd_request *req)
{
	struct engine_event *ev;
	size_t size = 0;
	char *to;

	e->events = realloc(e->events, (e->n_events + 1) * sizeof(*e->events));
	ev = &e->events[e->n_events++];
	memset(ev, 0, sizeof(*ev));
	ev->end = e->taken;
	/* while the strings are still where the reader has put them */
	if (e->site) {
		ev->head = reply_plan(e->site, req, e->now, KHTTPD_MAX_REPLY_HEAD, &ev->reply);
		engine_check(ev->head, "reply does not fit into KHTTPD_MAX_REPLY_HEAD");
	}
	if (req->error) {
		/* nothing else means anything */
		ev->req.error = req->error;
		ev->req.method = req->method;
		ev->req.minor = req->minor;
		ev->req.close = req->close;
		return;
	}
	ev->req = *req;
	size = req->host.len + req->path.len + req->target.len + req->query.len;
	for (u32 i = 0; i < req->n_fields; i++)
		size += req->fields[i].value.len;
	ev->strings = malloc(size + 1);
	to = ev->strings;
	copy_str(&ev->req.host, &to);
	copy_str(&ev->req.path, &to);
	copy_str(&ev->req.target, &to);
	copy_str(&ev->req.query, &to);
	for (u32 i = 0; i < req->n_fields; i++)
		copy_str(&ev->req.fields[i].value, &to);
}

static void found_request(struct engine *e, const struct khttpd_request *req, const char *data,
			  size_t used)
{
	engine_check(!e->draining, "request after the end of the connection");
	request_check(req);
	if (req->error) {
		static const u16 errors[] = { 400, 413, 414, 431, 501, 505 };
		bool known = false;

		for (u32 i = 0; i < sizeof(errors) / sizeof(*errors); i++)
			known |= req->error == errors[i];
		engine_check(known, "error %u is none of a reader's", req->error);
	} else {
		check_place(e, req->host, data, used);
		check_place(e, req->path, data, used);
		check_place(e, req->target, data, used);
		check_place(e, req->query, data, used);
		for (u32 i = 0; i < req->n_fields; i++)
			check_place(e, req->fields[i].value, data, used);
	}
	add_event(e, req);
	if (req->close) {
		engine_check(e->reader.state == KHTTPD_READER_DRAIN, "closing but not draining");
		e->draining = true;
	} else {
		engine_check(khttpd_reader_idle(&e->reader), "not idle between two requests");
	}
}

static void grow_buffer(struct engine *e)
{
	struct khttpd_reader *r = &e->reader;
	char *buf;

	engine_check(r->want > r->buf_size, "wants %u bytes but has %u", r->want, r->buf_size);
	engine_check(r->want <= 2 * e->largest_head, "wants %u bytes, max_head %u", r->want,
		     e->largest_head);
	engine_check(r->buf_len <= r->buf_size, "uses %u of %u bytes", r->buf_len, r->buf_size);
	buf = malloc(r->want);
	if (r->buf_len)
		memcpy(buf, r->buf, r->buf_len);
	free(r->buf);
	r->buf = buf;
	r->buf_size = r->want;
}

static void put_buffer(struct engine *e)
{
	struct khttpd_reader *r = &e->reader;

	if (r->buf_len || e->keep_buffer)
		return;
	free(r->buf);
	r->buf = NULL;
	r->buf_size = 0;
}

void engine_feed(struct engine *e, const void *data, size_t len)
{
	char *copy = malloc(len);
	unsigned int idle = 0;
	size_t off = 0;

	if (e->largest_head < e->limits.max_head)
		e->largest_head = e->limits.max_head;
	if (len)
		memcpy(copy, data, len);
	for (;;) {
		struct khttpd_request req;
		size_t used = SIZE_MAX;
		enum khttpd_read found;

		memset(&req, 0xa5, sizeof(req));
		found = khttpd_reader_feed(&e->reader, &e->limits, copy + off, len - off, &used,
					   &req);
		engine_check(used <= len - off, "took %zu of %zu bytes", used, len - off);
		engine_check(e->reader.buf_len <= e->reader.buf_size, "uses %u of %u bytes",
			     e->reader.buf_len, e->reader.buf_size);
		e->taken += used;
		idle = used ? 0 : idle + 1;
		engine_check(idle <= MAX_IDLE_CALLS || found == KHTTPD_READ_MORE, "no progress");
		if (found == KHTTPD_READ_MORE) {
			engine_check(off + used == len, "READ_MORE with %zu bytes left",
				     len - off - used);
			break;
		}
		if (found == KHTTPD_READ_BUFFER) {
			engine_check(!e->draining, "wants a buffer to drain");
			grow_buffer(e);
			off += used;
			continue;
		}
		engine_check(found == KHTTPD_READ_REQUEST, "feed returned %d", found);
		found_request(e, &req, copy + off, used);
		put_buffer(e);
		off += used;
		if (off == len)
			break;
	}
	put_buffer(e);
	free(copy);
}

void engine_feed_split(struct engine *e, const void *data, size_t len, u64 *seed)
{
	/* small pieces in one run, large ones in another */
	size_t most = 1 + random_next(seed) % (random_next(seed) % 2 ? 8 : len + 1);
	size_t off = 0;

	while (off < len) {
		size_t n = random_next(seed) % (most + 1);

		if (n > len - off)
			n = len - off;
		engine_feed(e, (const char *)data + off, n);
		off += n;
	}
}

void engine_time_out(struct engine *e, u16 status)
{
	struct khttpd_request req;

	memset(&req, 0xa5, sizeof(req));
	khttpd_reader_fail(&e->reader, status, &req);
	engine_check(req.error == status && req.close, "reader_fail: error %u", req.error);
	engine_check(e->reader.state == KHTTPD_READER_DRAIN, "reader_fail does not drain");
	add_event(e, &req);
	e->draining = true;
	put_buffer(e);
}

void engine_compare(const struct engine *a, const struct engine *b)
{
	engine_check(a->n_events == b->n_events, "%u requests, else %u", a->n_events, b->n_events);
	for (u32 i = 0; i < a->n_events; i++) {
		const struct engine_event *x = &a->events[i], *y = &b->events[i];
		const struct khttpd_request *p = &x->req, *q = &y->req;

		engine_check(p->error == q->error, "request %u: error %u, else %u", i, p->error,
			     q->error);
		engine_check(p->method == q->method, "request %u: method %u, else %u", i, p->method,
			     q->method);
		engine_check(p->minor == q->minor && p->close == q->close &&
				     p->any_server == q->any_server,
			     "request %u: version, close or '*' differ", i);
		if (a->site && b->site)
			engine_check(x->reply.status == y->reply.status &&
					     x->reply.body == y->reply.body &&
					     x->reply.body_len == y->reply.body_len &&
					     x->reply.head_len == y->reply.head_len &&
					     !memcmp(x->head, y->head, x->reply.head_len),
				     "request %u: replies differ", i);
		if (p->error)
			continue;
		engine_check(x->end == y->end, "request %u: ends at %zu, else %zu", i, x->end,
			     y->end);
		engine_check(str_same(p->host, q->host) && str_same(p->path, q->path) &&
				     str_same(p->target, q->target) && !p->query.p == !q->query.p &&
				     str_same(p->query, q->query),
			     "request %u: host or target differ", i);
		engine_check(p->n_fields == q->n_fields, "request %u: %u fields, else %u", i,
			     p->n_fields, q->n_fields);
		for (u32 j = 0; j < p->n_fields; j++)
			engine_check(p->fields[j].id == q->fields[j].id &&
					     str_same(p->fields[j].value, q->fields[j].value),
				     "request %u: field %u differs", i, j);
	}
}

void head_parse(struct head *h, const char *p, size_t len)
{
	const char *end = p + len, *nl;

	memset(h, 0, sizeof(*h));
	engine_check(len >= 15 && !memcmp(p, "HTTP/1.1 ", 9), "no HTTP/1.1 status line");
	for (u32 i = 9; i < 12; i++) {
		engine_check(p[i] >= '0' && p[i] <= '9', "bad status");
		h->status = h->status * 10 + p[i] - '0';
	}
	engine_check(p[12] == ' ', "no space after the status");
	for (bool first = true; p < end; first = false, p = nl + 2) {
		const char *colon;

		nl = memchr(p, '\r', end - p);
		engine_check(nl && nl + 1 < end && nl[1] == '\n', "line without CRLF");
		if (nl == p) {
			engine_check(p + 2 == end, "empty line inside the head");
			return;
		}
		for (const char *c = p; c < nl; c++)
			engine_check(is_field_char(*c), "control character in the head");
		if (first)
			continue;
		colon = memchr(p, ':', nl - p);
		engine_check(colon && colon > p, "line without a name");
		for (const char *c = p; c < colon; c++)
			engine_check(is_token_char(*c), "bad character in a name");
		engine_check(colon + 2 <= nl && colon[1] == ' ', "no value or no space before it");
		engine_check(h->n_lines < HEAD_MAX_LINES, "too many lines");
		h->lines[h->n_lines].name = (struct khttpd_str){ p, colon - p };
		h->lines[h->n_lines].value = (struct khttpd_str){ colon + 2, nl - colon - 2 };
		check_value(h->lines[h->n_lines].value);
		h->n_lines++;
	}
	engine_fail("head does not end with an empty line");
}

struct khttpd_str head_get(const struct head *h, const char *name)
{
	struct khttpd_str found = { NULL, 0 };

	for (u32 i = 0; i < h->n_lines; i++) {
		struct khttpd_str n = h->lines[i].name;

		if (n.len != strlen(name) || strncasecmp(n.p, name, n.len))
			continue;
		engine_check(!found.p, "more than one %s", name);
		found = h->lines[i].value;
	}
	return found;
}

/* A decimal number that is all of @s. */
static u64 number(struct khttpd_str s)
{
	u64 n = 0;

	engine_check(s.len >= 1 && s.len <= 19, "bad number '%.*s'", (int)s.len, s.p);
	for (u32 i = 0; i < s.len; i++) {
		engine_check(s.p[i] >= '0' && s.p[i] <= '9', "bad number '%.*s'", (int)s.len, s.p);
		n = n * 10 + s.p[i] - '0';
	}
	return n;
}

static void check_content_range(u16 status, struct khttpd_str v, struct khttpd_str length)
{
	u64 first, last, total;
	char text[128];
	int n = 0;

	if (status != 206 && status != 416) {
		engine_check(!v.p, "Content-Range in a %u", status);
		return;
	}
	engine_check(v.p && v.len < sizeof(text), "%u without Content-Range", status);
	memcpy(text, v.p, v.len);
	text[v.len] = '\0';
	if (status == 416) {
		engine_check(sscanf(text, "bytes */%" SCNu64 "%n", &total, &n) == 1 &&
				     (u32)n == v.len,
			     "416 with Content-Range '%s'", text);
		return;
	}
	engine_check(sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64 "%n", &first, &last,
			    &total, &n) == 3 &&
			     (u32)n == v.len,
		     "206 with Content-Range '%s'", text);
	engine_check(first <= last && last < total, "impossible Content-Range '%s'", text);
	engine_check(number(length) == last - first + 1, "206: Content-Length is not the range's");
}

/* What RFC 9110 and 9112 ask of every reply, whatever was requested. */
static void check_reply(const struct khttpd_request *req, const struct khttpd_reply *reply,
			const char *head, const char *date)
{
	static const u16 allowed[] = { 200, 204, 206, 301, 302, 303, 304, 307, 308, 400, 404,
				       405, 406, 408, 412, 413, 414, 416, 431, 501, 503, 505 };
	static const char *const single[] = {
		"Date",		 "Server",	  "Content-Length",
		"Content-Type",	 "Content-Range", "Content-Encoding",
		"ETag",		 "Last-Modified", "Accept-Ranges",
		"Allow",	 "Connection",	  "Vary",
		"Cache-Control", "Location",
	};
	bool bodyless = reply->status == 204 || reply->status == 304;
	bool known = false;
	struct khttpd_str v, length;
	struct head h;

	head_parse(&h, head, reply->head_len);
	engine_check(h.status == reply->status, "head says %u, plan %u", h.status, reply->status);
	for (u32 i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
		known |= reply->status == allowed[i];
	engine_check(known, "unexpected status %u", reply->status);
	for (u32 i = 0; i < sizeof(single) / sizeof(*single); i++)
		head_get(&h, single[i]);

	v = head_get(&h, "Date");
	engine_check(v.len == KHTTPD_DATE_LEN && !memcmp(v.p, date, v.len), "no or wrong Date");
	engine_check(str_is(head_get(&h, "Server"), "khttpd"), "Server is not khttpd");
	engine_check(!head_get(&h, "Transfer-Encoding").p, "Transfer-Encoding");

	length = head_get(&h, "Content-Length");
	if (bodyless) {
		engine_check(!length.p, "Content-Length in a %u", reply->status);
		engine_check(!reply->body_len, "content in a %u", reply->status);
	} else {
		engine_check(length.p, "no Content-Length");
		if (req->method == KHTTPD_HEAD)
			engine_check(!reply->body_len, "content in the answer to HEAD");
		else
			engine_check(number(length) == reply->body_len,
				     "Content-Length %.*s, %" PRIu64 " bytes", (int)length.len,
				     length.p, reply->body_len);
	}
	check_content_range(reply->status, head_get(&h, "Content-Range"), length);
	engine_check(!reply->body_len || reply->body, "body without bytes");
	for (u64 i = 0; i < reply->body_len; i++)
		sink += reply->body[i];

	v = head_get(&h, "Connection");
	if (reply->close)
		engine_check(v.p && str_is(v, "close"), "closing without saying so");
	else if (!req->minor)
		engine_check(v.p && str_is(v, "keep-alive"), "HTTP/1.0 keep-alive not confirmed");
	else
		engine_check(!v.p || !str_is(v, "close"), "says close but does not");
	engine_check(reply->close == req->close || reply->close, "close was asked for");
	if (req->error)
		engine_check(reply->status == req->error && reply->close, "error %u became %u",
			     req->error, reply->status);
	if (reply->status >= 400)
		engine_check(head_get(&h, "Content-Type").p, "%u without Content-Type",
			     reply->status);
	v = head_get(&h, "Location");
	engine_check(
		!v.p == !(reply->status >= 301 && reply->status <= 308 && reply->status != 304),
		"%u with%s Location", reply->status, v.p ? "" : "out");
	for (u32 i = 0; i < v.len; i++)
		engine_check(v.p[i] > ' ' && v.p[i] < 0x7f, "bad character in Location");
	if (reply->status == 405 || reply->status == 204)
		engine_check(head_get(&h, "Allow").p, "%u without Allow", reply->status);
}

/*
 * Every value alone in exact-size memory, so that ASan sees any over-read. Whoever looks at a
 * field that is not there finds something that it wants, nowhere.
 */
static void move_fields(struct khttpd_request *req)
{
	static u32 id;

	for (u32 i = 0; i < req->n_fields; i++) {
		struct khttpd_str *v = &req->fields[i].value;
		char *copy = malloc(v->len);

		if (v->len)
			memcpy(copy, v->p, v->len);
		v->p = copy;
	}
	for (u32 i = req->n_fields; i < KHTTPD_MAX_FIELDS; i++) {
		req->fields[i].id = id++ % (KHTTPD_ACCEPT_ENCODING + 1);
		req->fields[i].value = (struct khttpd_str){ (const char *)1, 1 };
	}
}

static void free_fields(struct khttpd_request *req)
{
	for (u32 i = 0; i < req->n_fields; i++)
		free((char *)req->fields[i].value.p);
}

char *reply_plan(const struct khttpd_site *site, const struct khttpd_request *given, s64 now,
		 size_t size, struct khttpd_reply *reply)
{
	struct khttpd_clock clock = { .seconds = now };
	struct khttpd_request req = *given;
	char *head = malloc(size);
	bool fits;

	khttpd_date_format(clock.date, now);
	memset(reply, 0xa5, sizeof(*reply));
	if (!req.error)
		move_fields(&req);
	fits = khttpd_reply_plan(site, &req, &clock, head, size, reply);
	if (!req.error)
		free_fields(&req);
	if (!fits) {
		engine_check(size < KHTTPD_MAX_REPLY_HEAD, "reply does not fit into %zu bytes",
			     size);
		free(head);
		return NULL;
	}
	engine_check(reply->head_len <= size, "head of %u bytes in %zu", reply->head_len, size);
	check_reply(&req, reply, head, clock.date);
	return head;
}
