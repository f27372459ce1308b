// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Fuzz whole connections: requests in pipelines, cut into segments anywhere, served as connection.c
 * serves them, with FIN, time-outs, shedding, a peer that takes nothing, missing memory and limits
 * that change.
 *
 * Input: five bytes that select the parameters, then a program, one operation after the other (see
 * run_op()). An operation that makes a valid request also says what its reply must be; that
 * holds for all requests up to the first one that other operations break. Whatever comes, the
 * bytes sent must be what a client can read, one reply a request, in order; and the same for
 * another cut of the same bytes, unless time, memory or changed limits had a say.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "../../pack/image.h"
#include "../unit/corpus.h"

#define STREAM_MAX 16384
#define REPLIES_MAX (STREAM_MAX / 16) /* every request but a broken one, the last, is longer */
#define NOW 1795165200 /* 2026-11-20 */

/* --- what is served: /0 to /f, the upper half also with gzip --- */

#define N_RESOURCES 16
#define TEXT_MAX 512
#define ANY_LEN UINT64_MAX

static const u32 lengths[N_RESOURCES] = { 0,   1,  2,  10,  26, 100, 700, 2000,
					  300, 60, 25, 513, 9,	40,  80,  1200 };

/* A variant as a client can know it. */
struct content {
	const u8 *body;
	u64 body_len;
	struct khttpd_str etag;
};

static struct content variants[N_RESOURCES][2];
static struct khttpd_site site;
static u8 contents[4096];
static u32 head_room;

__attribute__((format(printf, 1, 2))) static struct khttpd_str format(const char *form, ...)
{
	static char texts[16 * N_RESOURCES][TEXT_MAX]; /* they stay */
	static u32 n;
	char *p = texts[n++];
	va_list args;
	int len;

	va_start(args, form);
	len = vsnprintf(p, TEXT_MAX, form, args);
	va_end(args);
	return (struct khttpd_str){ p, len };
}

static void make_variant(struct image *img, u32 i, enum khttpd_coding coding)
{
	struct content *v = &variants[i][coding];
	struct khttpd_str vary =
		i & 8 ? (struct khttpd_str)KHTTPD_STR("Vary: Accept-Encoding\r\n") :
			(struct khttpd_str){ "", 0 };

	v->body_len = lengths[i] >> coding;
	v->etag = format("\"%c%x\"", coding ? 'g' : 'i', i);
	image_variant(img, coding,
		      (struct khttpd_str[4]){ format("Content-Type: text/plain\r\n%s",
						     coding ? "Content-Encoding: gzip\r\n" : ""),
					      vary,
					      format("ETag: %s\r\n", v->etag.p),
					      { "", 0 } },
		      image_body(img, contents + i * 97 + coding * 13, v->body_len, false));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct image *img = image_new("fuzz");
	const char *why = "";
	u64 seed = 1, size;
	void *image;

	(void)argc;
	(void)argv;
	for (u32 i = 0; i < sizeof(contents); i++)
		contents[i] = random_next(&seed) >> 32;
	for (u32 i = 0; i < N_RESOURCES; i++) {
		image_entry(img, 0, format("/%x", i), 784111777);
		make_variant(img, i, KHTTPD_IDENTITY);
		if (i & 8)
			make_variant(img, i, KHTTPD_GZIP);
	}
	size = image_layout(img, &why);
	image = calloc(1, size);
	image_write(img, image);
	image_free(img);
	if (!khttpd_site_open(&site, image, size, &why))
		engine_fail("%s", why);
	head_room = site.longest_head;
	for (u32 i = 0; i < N_RESOURCES; i++) {
		const struct khttpd_image_entry *e = khttpd_site_find(&site, 0, format("/%x", i));

		for (u32 j = 0; j < le16_to_cpu(e->n_variants); j++)
			variants[i][j].body =
				site.image +
				le32_to_cpu(
					site.variants[le32_to_cpu(e->first_variant) + j].body.at);
	}
	return 0;
}

/* --- the connection, as connection.c serves it: names are the same --- */

#define CONN_BUDGET 4
#define CONN_BUFFER_MIN 1024

struct script;

enum conn_rx_stop {
	CONN_RX_ALL,
	CONN_RX_FULL,
	CONN_RX_BUFFER,
};

/**
 * struct params - what administrators, or changes of the engine's constants, choose
 * @limits: read anew in each run
 * @max_requests: 0 is no limit
 * @heads: bytes that the heads of one batch share
 * @pages_min: bodies from this size on end a batch
 * @exact: buffers of exactly the size that is asked for, for ASan's sake
 */
struct params {
	struct khttpd_limits limits;
	u32 max_requests;
	u32 heads;
	u32 pages_min;
	bool exact;
};

/* One reply as it was planned; @head is NULL once it was sent. */
struct reply {
	struct khttpd_reply plan;
	u8 method;
	char *head;
};

/**
 * struct conn - one connection
 * @p: may change between two runs
 * @script: who knows what must come of it, or NULL
 * @stream: what the peer sends; @taken bytes of it were read
 * @cuts: where the segments that came end, @n_cuts of them; those before @cut were read
 * @fin: the peer has closed its side
 * @blocked: and takes nothing
 * @fail_buffers: so many of the next allocations fail
 * @closing, @last, @reader: as in struct khttpd_conn
 * @closed: it is gone ...
 * @aborted: ... and replies with it
 * @stop: why reading stopped in this run
 * @verdict: in this run: 0, 408 when time is up, 503 when room is needed
 * @largest_head: the largest max_head so far
 * @answered: bytes taken when the last request was found
 * @replies: all that were planned, @n_replies of them; @n_sent were sent
 * @used: bytes of heads in those that were not
 * @out: what was sent, @out_len bytes
 */
struct conn {
	struct params p;
	const struct script *script;
	const char *stream;
	size_t taken;
	u32 n_cuts, cut;
	bool fin, blocked;
	u32 fail_buffers;
	bool closing, last, closed, aborted;
	enum conn_rx_stop stop;
	u16 verdict;
	u32 largest_head;
	size_t answered;
	struct khttpd_reader reader;
	u32 n_replies, n_sent, used;
	char *out;
	size_t out_len, out_size;
	/* not cleared at the start */
	struct reply replies[REPLIES_MAX];
	u16 cuts[STREAM_MAX];
};

static void check_request(const struct conn *c, const struct khttpd_request *req);

static void conn_init(struct conn *c, const struct params *p, const char *stream)
{
	memset(c, 0, offsetof(struct conn, replies));
	c->p = *p;
	c->stream = stream;
	c->out_size = 4096;
	c->out = malloc(c->out_size);
}

static void conn_free(struct conn *c)
{
	while (c->n_sent < c->n_replies)
		free(c->replies[c->n_sent++].head);
	free(c->reader.buf);
	free(c->out);
}

/* A segment comes, with the bytes up to @end of the stream; nothing is read yet. */
static void conn_deliver(struct conn *c, size_t end)
{
	if (end > (c->n_cuts ? c->cuts[c->n_cuts - 1] : 0))
		c->cuts[c->n_cuts++] = end;
}

static bool conn_tx_full(const struct conn *c)
{
	return c->p.heads - c->used < head_room ||
	       (c->used && c->replies[c->n_replies - 1].plan.body_len >= c->p.pages_min);
}

static void conn_answer(struct conn *c, struct khttpd_request *req)
{
	struct reply *r = &c->replies[c->n_replies];

	engine_check(!c->closing, "a request after the last one");
	engine_check(c->n_replies++ < REPLIES_MAX, "more replies than there can be requests");
	if (c->last || c->verdict || (c->p.max_requests && c->n_replies >= c->p.max_requests))
		req->close = true;
	r->method = req->method;
	r->head = reply_plan(&site, req, NOW, c->p.heads - c->used, &r->plan);
	engine_check(r->head, "no room for a head in %u bytes", c->p.heads - c->used);
	engine_check(r->plan.head_len <= head_room, "a head of %u bytes, room for %u",
		     r->plan.head_len, head_room);
	c->used += r->plan.head_len;
	c->closing = r->plan.close;
}

static void conn_fail(struct conn *c, u16 status)
{
	struct khttpd_request req;

	memset(&req, 0xa5, sizeof(req));
	khttpd_reader_fail(&c->reader, status, &req);
	engine_check(req.error == status && req.close && c->reader.state == KHTTPD_READER_DRAIN,
		     "reader_fail: error %u", req.error);
	conn_answer(c, &req);
}

/* Feed the next @len bytes, or none, from a piece of memory of exactly that size. */
static void conn_feed(struct conn *c, size_t len)
{
	size_t end = c->taken + len, used;
	char *copy = malloc(len), *data = copy;
	const struct khttpd_reader *r = &c->reader;
	struct khttpd_request req;
	enum khttpd_read found;

	if (len)
		memcpy(copy, c->stream + c->taken, len);
	do {
		if (c->closing) {
			c->taken = end;
			break;
		}
		if (conn_tx_full(c)) {
			c->stop = CONN_RX_FULL;
			break;
		}
		memset(&req, 0xa5, sizeof(req));
		used = SIZE_MAX;
		found = khttpd_reader_feed(&c->reader, &c->p.limits, data, end - c->taken, &used,
					   &req);
		engine_check(used <= end - c->taken, "took %zu of %zu bytes", used, end - c->taken);
		engine_check(r->buf_len <= r->buf_size, "uses %u of %u bytes", r->buf_len,
			     r->buf_size);
		c->taken += used;
		data += used;
		if (found == KHTTPD_READ_BUFFER) {
			engine_check(r->want > r->buf_size && r->want <= 2 * c->largest_head,
				     "wants %u bytes, has %u", r->want, r->buf_size);
			c->stop = CONN_RX_BUFFER;
			break;
		}
		if (found == KHTTPD_READ_MORE) {
			engine_check(c->taken == end, "READ_MORE, %zu bytes left", end - c->taken);
			break;
		}
		engine_check(found == KHTTPD_READ_REQUEST, "feed returned %d", found);
		engine_check(c->taken > c->answered, "two replies for one request");
		c->answered = c->taken;
		engine_check(req.close == (r->state == KHTTPD_READER_DRAIN),
			     "closing and draining are not the same");
		engine_check(req.close || khttpd_reader_idle(r), "not idle between two requests");
		check_request(c, &req);
		conn_answer(c, &req);
	} while (c->taken < end);
	free(copy);
}

/* tcp_read_sock() with conn_actor() */
static void conn_read_sock(struct conn *c)
{
	while (!c->stop && c->cut < c->n_cuts) {
		conn_feed(c, c->cuts[c->cut] - c->taken);
		if (c->taken < c->cuts[c->cut])
			engine_check(c->stop, "input is left and nothing says why");
		else
			c->cut++;
	}
}

static bool conn_grow_buffer(struct conn *c)
{
	struct khttpd_reader *r = &c->reader;
	u32 size = CONN_BUFFER_MIN;
	char *buf;

	if (c->fail_buffers) {
		c->fail_buffers--;
		return false;
	}
	while (size < r->want)
		size *= 2;
	if (c->p.exact)
		size = r->want;
	/* never realloc(): nobody may look at the old one any more */
	buf = malloc(size);
	if (r->buf_len)
		memcpy(buf, r->buf, r->buf_len);
	free(r->buf);
	r->buf = buf;
	r->buf_size = size;
	return true;
}

static void conn_put(struct conn *c, const void *p, size_t len)
{
	while (c->out_len + len > c->out_size) {
		c->out_size *= 2;
		c->out = realloc(c->out, c->out_size);
	}
	if (len)
		memcpy(c->out + c->out_len, p, len);
	c->out_len += len;
}

static void conn_send(struct conn *c)
{
	for (; c->n_sent < c->n_replies; c->n_sent++) {
		const struct reply *r = &c->replies[c->n_sent];

		conn_put(c, r->head, r->plan.head_len);
		conn_put(c, r->plan.body, r->plan.body_len);
		free(r->head);
	}
	c->used = 0;
}

static void conn_trim(struct conn *c)
{
	struct khttpd_reader *r = &c->reader;

	if (r->buf && (c->closing || khttpd_reader_idle(r))) {
		free(r->buf);
		r->buf = NULL;
		r->buf_size = 0;
		r->want = 0;
	}
}

/* One run of the connection's work; false when it waits for something or is closed. */
static bool conn_run(struct conn *c, u16 verdict)
{
	u32 budget = CONN_BUDGET;

	if (c->closed)
		return false;
	c->aborted = verdict == 408 && c->blocked && c->n_sent < c->n_replies;
	c->closed = c->aborted;
	if (c->largest_head < c->p.limits.max_head)
		c->largest_head = c->p.limits.max_head;
	c->verdict = verdict;
	c->stop = CONN_RX_FULL;

	while (!c->closed) {
		if (c->blocked && c->n_sent < c->n_replies)
			break;
		conn_send(c);
		if (c->closing) {
			c->cut = c->n_cuts;
			c->closed = c->fin || verdict == 408;
			break;
		}
		if (c->stop == CONN_RX_ALL) {
			c->closed =
				c->fin || ((verdict || c->last) && khttpd_reader_idle(&c->reader));
			break;
		}
		if (!budget--)
			return true;
		c->stop = CONN_RX_ALL;
		if (c->reader.want > c->reader.buf_size) {
			if (!conn_grow_buffer(c)) {
				conn_fail(c, 503);
				continue;
			}
			conn_feed(c, 0);
			if (c->stop)
				continue;
		}
		conn_read_sock(c);
		if (!c->stop && verdict && !c->closing && !khttpd_reader_idle(&c->reader))
			conn_fail(c, verdict);
	}
	conn_trim(c);
	return false;
}

/* --- the input, and what it makes --- */

/**
 * struct expected - the reply to a valid request; its number stands in the request's query
 * @at: bytes of the stream up to where it must be found ...
 * @early: ... or may be, if not before that
 * @status, @close: of the reply
 * @body: its content, @len bytes; ANY_LEN is the text of an error
 */
struct expected {
	size_t at;
	bool early;
	u16 status;
	bool close;
	const u8 *body;
	u64 len;
};

/**
 * struct script - what an input does
 * @data, @size: the rest of it
 * @c: the connection that it is done to
 * @stream: all bytes that the peer sends, @len of them; @sent were delivered
 * @request: where the last request begins in @stream
 * @expected: replies to its valid requests; the first @n_expected requests are valid
 * @exact: nothing was broken so far: there are no other requests
 * @disturbed: something else than the bytes has a say in the replies
 */
struct script {
	const u8 *data;
	size_t size;
	size_t len, sent;
	size_t request;
	u32 n_expected;
	bool exact, disturbed;
	/* not cleared at the start */
	struct conn c;
	char stream[STREAM_MAX];
	struct expected expected[REPLIES_MAX];
};

static u8 next(struct script *s)
{
	if (!s->size)
		return 0;
	s->size--;
	return *s->data++;
}

static u32 next_word(struct script *s)
{
	u32 high = next(s);

	return high << 8 | next(s);
}

/* Appends to the stream; what does not fit breaks the request. */
static void emit(struct script *s, const void *p, size_t len)
{
	if (len > STREAM_MAX - s->len) {
		s->exact = false;
		return;
	}
	memcpy(s->stream + s->len, p, len);
	s->len += len;
}

__attribute__((format(printf, 2, 3))) static void put(struct script *s, const char *form, ...)
{
	char line[TEXT_MAX];
	va_list args;
	int len;

	va_start(args, form);
	len = vsnprintf(line, sizeof(line), form, args);
	va_end(args);
	emit(s, line, len);
}

/* A body that is full of requests: if framing is lost they are answered. */
static void put_content(struct script *s, u32 len)
{
	static const char smuggled[] = "GET /1?smuggled HTTP/1.1\r\nHost: s\r\n\r\n";

	for (u32 i = 0; i < len; i++)
		emit(s, &smuggled[i % (sizeof(smuggled) - 1)], 1);
}

static void put_chunks(struct script *s, u32 len, u8 form, struct expected *e)
{
	const struct khttpd_limits *lim = &s->c.p.limits;
	u32 most = 1 + form % 40, sum = 0, n;
	size_t begin = s->len, trailers;

	while (sum < len) {
		n = len - sum < most ? len - sum : most;
		sum += n;
		put(s, form & 1 ? "%x" : "0%X", n);
		put(s, form & 2 ? ";a=\"\t;b\"\r\n" : "\r\n");
		if (sum > lim->max_body && e->status != 413) {
			e->status = 413;
			e->at = s->len;
		}
		put_content(s, n);
		put(s, "\r\n");
	}
	put(s, form & 4 ? "0\r\n" : "000;last\r\n");
	if (s->len - begin - len > lim->max_head + lim->max_body)
		s->exact = false; /* so much around so little has a limit of its own */
	trailers = s->len;
	if (form & 8)
		put(s, "Trailer: %0*u\r\nContent-Length: 5\r\n", form, 0);
	put(s, "\r\n");
	if (e->status == 413)
		return;
	e->at = s->len;
	if (s->len - trailers > lim->max_head) {
		e->status = 431;
		e->early = true;
	}
}

/* --- valid requests --- */

static void put_target(struct script *s, u32 i, u32 form)
{
	static const char *const forms[] = {
		"/%x?%u",	  "http://a.example:80/%x?%u",	"/./%x?%u",  "/y/../%x?%u",
		"/missing/%x?%u", "HTTPS://[::1]/z/.././%x?%u", "/%%3%x?%u",
	};

	if (form >= sizeof(forms) / sizeof(*forms) || (form == 6 && i > 9))
		form = 0;
	put(s, forms[form], i, s->n_expected);
}

/* Conditions and ranges: what they make of a plain 200, or of a GET's. */
static void put_condition(struct script *s, u32 kind, bool get, const struct content *v,
			  struct expected *e)
{
	bool plain = e->status == 200;

	switch (kind) {
	case 1:
		put(s, "Range: bytes=1-4\r\n");
		if (plain && get) {
			e->status = v->body_len > 1 ? 206 : 416;
			e->body++;
			e->len = v->body_len < 5 ? v->body_len - 1 : 4;
		}
		break;
	case 2:
		put(s, "If-None-Match: \"no\", \"a,b\"\r\nIf-None-Match:W/%s\r\n", v->etag.p);
		if (plain)
			e->status = 304;
		break;
	case 3:
		put(s, "If-Match: W/%s, \"no\"\r\n", v->etag.p);
		if (plain)
			e->status = 412;
		break;
	}
}

/* One request with all its bytes, and the reply that must come. */
static void put_request(struct script *s)
{
	static const char *const methods[] = { "GET",	  "GET",  "GET",    "HEAD",
					       "OPTIONS", "POST", "DELETE", "PATCH" };
	static const char *const accepts[] = { "", "Accept-Encoding: gzip\r\n",
					       "Accept-Encoding: identity;q=0\r\n",
					       "accept-encoding: br,\t*\r\n" };
	const struct khttpd_limits *lim = &s->c.p.limits;
	u8 a = next(s), b = next(s), c = next(s), d = next(s);
	u32 method = a & 7, i = b & 15, form = b >> 4, accept = c >> 2 & 3, framing = d & 3;
	u32 body = (d >> 2) * (c & 0x80 ? 33 : 1), pad;
	bool get = method < 3, head = method == 3, old = (a & 0x38) == 0x38;
	bool expect = framing == 3 && !old, chunked = framing == 2 && !old;
	bool gzip = accept == 1 && i & 8;
	const struct content *v = &variants[i][gzip];
	struct expected e = { .status = 200, .body = v->body, .len = v->body_len };
	size_t begin, target_len, line_len;

	s->request = s->len;
	if (form == 15)
		put(s, "\r\n");
	begin = s->len;
	put(s, "%s ", methods[method]);
	target_len = s->len;
	put_target(s, i, form);
	target_len = s->len - target_len;
	put(s, old ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
	line_len = s->len - begin;
	put(s, "Host: a\r\n%s", accepts[accept]);
	if ((c & 0x60) == 0x60) { /* any length, to meet the ends of buffers and limits */
		put(s, "X-Pad: ");
		for (pad = next(s) << (d & 3) | (d & 7); pad; pad--)
			put(s, "y");
		put(s, "\r\n");
	}

	if (method == 4)
		e.status = 204;
	else if (!get && !head)
		e.status = 405;
	else if (form == 4)
		e.status = 404;
	else if (accept == 2)
		e.status = 406;
	put_condition(s, c & 3, get, v, &e);

	e.close = old || expect || a >> 6 == 2;
	if (a >> 6 == 2)
		put(s, "Connection: x, Close\r\n");
	if (a >> 6 == 3) {
		put(s, "Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n");
		e.close = expect;
	}

	/* the body, which is read past, unless the reply does not wait for it */
	if (expect)
		put(s, "Expect: 100-continue\r\n");
	if (chunked)
		put(s, "Transfer-Encoding: chunked\r\n\r\n");
	else if (framing)
		put(s, "Content-Length: %u\r\n\r\n", body);
	else
		put(s, "\r\n");
	e.at = s->len;
	if (target_len > lim->max_target || line_len > lim->max_head)
		e.status = 414;
	else if (e.at - begin > lim->max_head)
		e.status = 431;
	e.early = e.status == 414 || e.status == 431;
	if (chunked && !e.early) {
		put_chunks(s, body, c, &e);
	} else if (framing) {
		put_content(s, body);
		if (!e.early && !expect) {
			if (body > lim->max_body)
				e.status = 413;
			else
				e.at = s->len;
		}
	}

	e.close |= e.status == 413 || e.early;
	if (head || e.status == 204 || e.status == 304)
		e.len = 0;
	else if (e.status >= 400)
		e.len = ANY_LEN;
	if (s->exact)
		s->expected[s->n_expected++] = e;
}

/* --- what comes of anything else nobody foretells --- */

/* Requests that end behind @at are not answered, unless they are others now, or an error. */
static void forget(struct script *s, size_t at)
{
	while (s->n_expected && s->expected[s->n_expected - 1].at > at)
		s->exact &= !s->expected[--s->n_expected].early;
}

/* A case of the unit tests' corpus, whole or its beginning. */
static void put_case(struct script *s)
{
	const struct corpus_case *c = &corpus[next_word(s) % corpus_len];
	u32 part = next(s);

	s->exact = false;
	s->request = s->len;
	for (u32 i = 0; i < CORPUS_MAX_STEPS && c->steps[i].bytes; i++)
		emit(s, c->steps[i].bytes, c->steps[i].len);
	if (part & 1)
		s->len = s->request + part * (s->len - s->request) / 256;
}

/* Changes, takes out or adds a byte of the last request, unless that is on its way already. */
static void break_request(struct script *s)
{
	static const char bytes[] = "\r\n \t:\0\x7f\x80";
	u8 how = next(s), where = next(s), c = next(s);
	size_t from = s->request < s->sent ? s->sent : s->request;
	char *at;

	if (from == s->len)
		return;
	from += (where | (how & 0xf0) << 4) % (s->len - from);
	at = s->stream + from;
	forget(s, from);
	s->exact = false;
	if (how & 1) /* out */
		memmove(at, at + 1, --s->len - from);
	if (how & 2 && s->len < STREAM_MAX) { /* in */
		memmove(at + 1, at, s->len++ - from);
		*at = c & 0x80 ? bytes[c & 7] : c;
	}
}

/* --- what is checked --- */

/* A request was found: the one that is next, where it ends. */
static void check_request(const struct conn *c, const struct khttpd_request *req)
{
	const struct script *s = c->script;
	const struct expected *e;
	char number[16];

	request_check(req);
	if (!s || c->n_replies >= s->n_expected)
		return;
	e = &s->expected[c->n_replies];
	engine_check(e->early ? c->taken <= e->at : c->taken == e->at,
		     "request %u: found at %zu, not at %zu", c->n_replies, c->taken, e->at);
	if (e->status == 413 || e->early) {
		engine_check(req->error == e->status, "request %u: error %u, not %u", c->n_replies,
			     req->error, e->status);
		return;
	}
	snprintf(number, sizeof(number), "%u", c->n_replies);
	engine_check(!req->error && str_is(req->query, number),
		     "request %u: error %u, query '%.*s'", c->n_replies, req->error,
		     (int)req->query.len, req->query.p);
}

/* Reply @i, as a client read it */
static void check_reply(const struct script *s, u32 i, u16 status, bool close, const char *body,
			u64 len)
{
	const struct expected *e = &s->expected[i];
	u32 max = s->c.p.max_requests;

	/* time or memory was up before all of the request had come */
	if (s->disturbed && close && (status == 408 || status == 503))
		return;
	engine_check(status == e->status, "reply %u: %u, not %u", i, status, e->status);
	engine_check(close == (e->close || (max && i + 1 >= max)) || (s->disturbed && close),
		     "reply %u: close %d, not %d", i, close, e->close);
	if (e->len != ANY_LEN)
		engine_check(len == e->len && (!len || !memcmp(body, e->body, len)),
			     "reply %u: other content", i);
}

/* Reads what was sent as a client does: one reply a request, in order, whole, and no more. */
static void check_output(const struct conn *c)
{
	const char *p = c->out, *end = p + c->out_len, *body;
	const struct script *s = c->script;
	bool close = false;
	u32 i;

	for (i = 0; p < end; i++) {
		const struct reply *r = &c->replies[i];
		struct khttpd_str length;
		u64 len = 0;
		struct head h;

		engine_check(!close, "bytes after Connection: close");
		body = memmem(p, end - p, "\r\n\r\n", 4);
		engine_check(body && i < c->n_sent, "bytes that are no reply");
		body += 4;
		head_parse(&h, p, body - p);
		close = str_is(head_get(&h, "Connection"), "close");
		length = head_get(&h, "Content-Length");
		if (length.len && r->method != KHTTPD_HEAD)
			len = strtoull(length.p, NULL, 10);
		engine_check(len <= (size_t)(end - body), "reply %u is cut off", i);
		engine_check(h.status == r->plan.status && close == r->plan.close &&
				     body == p + r->plan.head_len && len == r->plan.body_len,
			     "reply %u is not what was planned", i);
		if (s && i < s->n_expected)
			check_reply(s, i, h.status, close, body, len);
		p = body + len;
	}
	engine_check(i == c->n_sent && (c->aborted || i == c->n_replies), "%u replies of %u", i,
		     c->n_replies);
	if (!s || c->aborted)
		return;
	engine_check(close || i >= s->n_expected || s->expected[i].at > c->taken,
		     "request %u: no reply", i);
	engine_check(!s->exact || i <= s->n_expected + (s->disturbed && close),
		     "reply %u: no request", i);
}

/* The peer has sent all that it will, and takes all that it gets. */
static void conn_finish(struct conn *c)
{
	u32 runs = 0;

	c->blocked = false;
	while (conn_run(c, 0))
		engine_check(runs++ < STREAM_MAX, "the work queues itself for ever");
	check_output(c);
}

/* The same bytes in other pieces, or in one, and in other batches must give the same bytes. */
static void compare(const struct script *s, u64 seed)
{
	static struct conn other;
	struct params p = s->c.p;
	size_t end = 0, most;

	p.heads = head_room + seed * 16;
	p.exact = !p.exact;
	conn_init(&other, &p, s->stream);
	most = seed ? 1 + random_next(&seed) % (s->len < 2000 ? 40 : s->len / 8) : s->len;
	while (end < s->len) {
		end += seed ? 1 + random_next(&seed) % most : most;
		conn_deliver(&other, end < s->len ? end : s->len);
		conn_run(&other, 0);
	}
	other.fin = s->c.fin;
	conn_finish(&other);
	engine_check(other.n_replies == s->c.n_replies, "%u replies, in other pieces %u",
		     s->c.n_replies, other.n_replies);
	engine_check(other.out_len == s->c.out_len && !memcmp(other.out, s->c.out, other.out_len),
		     "other bytes in other pieces");
	engine_check(other.closed == s->c.closed && other.closing == s->c.closing,
		     "closed, in other pieces not, or the other way round");
	conn_free(&other);
}

/* --- operations --- */

static void choose_limits(struct khttpd_limits *lim, u8 selector)
{
	static const u32 heads[] = { 1024, KHTTPD_MIN_HEAD, 512, KHTTPD_MAX_HEAD };
	static const u32 targets[] = { 512, 12, KHTTPD_MAX_HEAD, 24 };
	static const u64 bodies[] = { 4096, 0, 1 << 20, 60 };

	lim->max_head = heads[selector & 3];
	lim->max_target = targets[selector >> 2 & 3];
	lim->max_body = bodies[selector >> 4 & 3];
}

static void deliver(struct script *s, size_t end)
{
	conn_deliver(&s->c, end);
	s->sent = end;
}

static void run_op(struct script *s)
{
	struct conn *c = &s->c;
	u8 op = next(s) & 31;
	size_t n;

	if (c->fin && op < 19) /* all of these send */
		return;
	switch (op) {
	default:
		put_request(s);
		break;
	case 12 ... 14:
		put_case(s);
		break;
	case 15:
		for (n = next(s) & 31; n && s->size; n--)
			put(s, "%c", next(s));
		s->exact = false;
		break;
	case 16:
	case 17:
		break_request(s);
		break;
	case 18: /* FIN, behind all or anywhere in what was not sent */
		n = next_word(s);
		if (n & 0x8000)
			s->len = s->sent + n % (s->len - s->sent + 1);
		forget(s, s->len);
		deliver(s, s->len);
		c->fin = true;
		conn_run(c, 0);
		break;
	case 19 ... 21: /* a segment, read together with the next */
		deliver(s, s->len);
		break;
	case 22:
	case 23:
		deliver(s, s->len);
		conn_run(c, 0);
		break;
	case 24:
	case 25:
		for (n = 1 + next(s); s->sent < s->len;) {
			deliver(s, s->len - s->sent < n ? s->len : s->sent + n);
			conn_run(c, 0);
		}
		break;
	case 26:
	case 27:
		c->blocked = !c->blocked;
		conn_run(c, 0);
		break;
	case 28:
		s->disturbed = true;
		conn_run(c, 408);
		break;
	case 29: /* only of idle ones, but one may have begun to read before it knows */
		s->disturbed = true;
		if (!c->n_replies || c->n_sent < c->n_replies || !khttpd_reader_idle(&c->reader) ||
		    conn_run(c, 503))
			c->last = true;
		break;
	case 30:
		s->disturbed = true;
		choose_limits(&c->p.limits, next(s));
		if (c->n_replies < s->n_expected) { /* who knows which limits apply to them? */
			s->n_expected = c->n_replies;
			s->exact = false;
		}
		break;
	case 31:
		s->disturbed = true;
		c->fail_buffers = next(s) & 3;
		break;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct script s;
	struct params p;
	u8 selector, seed;

	memset(&s, 0, offsetof(struct script, c));
	s.data = data;
	s.size = size;
	s.exact = true;
	selector = next(&s);
	choose_limits(&p.limits, selector);
	p.exact = selector & 0x80;
	selector = next(&s);
	p.max_requests = selector & 0x80 ? selector & 0x1f : 0;
	p.heads = head_room + next(&s) * 16;
	p.pages_min = 1 + next(&s) * 8;
	seed = next(&s);
	conn_init(&s.c, &p, s.stream);
	s.c.script = &s;

	while (s.size && !s.c.closed)
		run_op(&s);
	deliver(&s, s.len);
	conn_finish(&s.c);
	if (!s.disturbed)
		compare(&s, seed);
	conn_free(&s.c);
	return 0;
}
