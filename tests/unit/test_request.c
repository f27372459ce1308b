// SPDX-License-Identifier: MIT OR GPL-2.0
/* Rules of core/request that no line of the corpus shows: limits, fields, its contract. */
#include <stdio.h>
#include <stdlib.h>

#include "unit.h"
#include "corpus.h"
#include "fixture.h"

#define HOST_LINE "Host: a\r\n"
#define SPLITS 20

static const struct khttpd_limits usual = { .max_head = 1024, .max_target = 512, .max_body = 100 };
static u64 seed;

/* A string that grows. */
struct text {
	char *p;
	size_t len;
};

static void add(struct text *t, const char *bytes, size_t len)
{
	t->p = realloc(t->p, t->len + len + 1);
	memcpy(t->p + t->len, bytes, len);
	t->len += len;
	t->p[t->len] = '\0';
}

static void adds(struct text *t, const char *s)
{
	add(t, s, strlen(s));
}

static void fill(struct text *t, char c, size_t n)
{
	char *p = malloc(n + 1);

	memset(p, c, n);
	add(t, p, n);
	free(p);
}

/*
 * Feeds @t whole, byte by byte and in random splits, with one result; frees it. The caller has
 * @e, with what was found in the whole, and frees that.
 */
static void run(struct engine *e, const struct khttpd_limits *limits, struct text *t)
{
	struct engine other;

	engine_init(e, limits, fixture_site());
	engine_feed(e, t->p, t->len);
	engine_init(&other, limits, fixture_site());
	for (size_t i = 0; i < t->len; i++)
		engine_feed(&other, t->p + i, 1);
	engine_compare(e, &other);
	engine_free(&other);
	for (u32 i = 0; i < SPLITS; i++) {
		engine_init(&other, limits, fixture_site());
		engine_feed_split(&other, t->p, t->len, &seed);
		engine_compare(e, &other);
		engine_free(&other);
	}
	free(t->p);
	memset(t, 0, sizeof(*t));
}

/* What comes of @t is one request with @error, or without one if that is 0. */
static void expect_one(const struct khttpd_limits *limits, struct text *t, u16 error)
{
	size_t len = t->len;
	struct engine e;

	run(&e, limits, t);
	assert_int_equal(e.n_events, 1);
	assert_int_equal(e.events[0].req.error, error);
	if (!error)
		assert_int_equal(e.events[0].end, len);
	engine_free(&e);
}

static void expect_nothing(const struct khttpd_limits *limits, struct text *t)
{
	struct engine e;

	run(&e, limits, t);
	assert_int_equal(e.n_events, 0);
	engine_free(&e);
}

/* A head of exactly @len bytes. */
static struct text head_of(size_t len)
{
	struct text t = { NULL, 0 };

	adds(&t, "GET / HTTP/1.1\r\n" HOST_LINE "X: ");
	fill(&t, 'x', len - t.len - 4);
	adds(&t, "\r\n\r\n");
	assert_int_equal(t.len, len);
	return t;
}

/* A request whose target has exactly @len bytes, made by repeating @part. */
static struct text target_of(size_t len, const char *part)
{
	struct text t = { NULL, 0 };

	adds(&t, "GET /");
	while (t.len + strlen(part) <= len + 4)
		adds(&t, part);
	fill(&t, 'x', len + 4 - t.len);
	adds(&t, " HTTP/1.1\r\n" HOST_LINE "\r\n");
	return t;
}

static void head_of_max_head_is_served(void **state)
{
	static const u32 sizes[] = { KHTTPD_MIN_HEAD, 257, 511, 1024, 1025, 4096, 16384,
				     KHTTPD_MAX_HEAD };

	(void)state;
	for (u32 i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct khttpd_limits limits = { sizes[i], 64, 0 };
		struct text t = head_of(sizes[i]);

		expect_one(&limits, &t, 0);
	}
}

static void head_over_max_head_is_431(void **state)
{
	static const u32 sizes[] = { KHTTPD_MIN_HEAD, 257, 511, 1024, 1025, 4096, 16384,
				     KHTTPD_MAX_HEAD };

	(void)state;
	for (u32 i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct khttpd_limits limits = { sizes[i], 64, 0 };
		struct text t = head_of(sizes[i] + 1);

		expect_one(&limits, &t, 431);
	}
}

static void endless_field_line_is_431(void **state)
{
	struct text t = { NULL, 0 };

	(void)state;
	adds(&t, "GET / HTTP/1.1\r\n" HOST_LINE "X: ");
	fill(&t, 'x', 4096);
	expect_one(&usual, &t, 431);
}

static void endless_field_name_is_431(void **state)
{
	struct text t = { NULL, 0 };

	(void)state;
	adds(&t, "GET / HTTP/1.1\r\n" HOST_LINE);
	fill(&t, 'x', 4096);
	expect_one(&usual, &t, 431);
}

static void endless_white_space_in_a_value_is_431(void **state)
{
	struct text t = { NULL, 0 };

	(void)state;
	adds(&t, "GET / HTTP/1.1\r\n" HOST_LINE "X:");
	fill(&t, ' ', 4096);
	expect_one(&usual, &t, 431);
}

static void endless_short_lines_are_431(void **state)
{
	struct text t = { NULL, 0 };

	(void)state;
	adds(&t, "GET / HTTP/1.1\r\n" HOST_LINE);
	for (u32 i = 0; i < 1000; i++)
		adds(&t, "X:\r\n");
	expect_one(&usual, &t, 431);
}

static void a_wrong_byte_before_the_end_of_max_head_is_400(void **state)
{
	struct text t = head_of(usual.max_head + 100);

	(void)state;
	t.p[usual.max_head - 10] = '\0';
	expect_one(&usual, &t, 400);
}

static void a_wrong_byte_behind_max_head_is_431(void **state)
{
	struct text t = head_of(usual.max_head + 100);

	(void)state;
	t.p[usual.max_head + 10] = '\0';
	expect_one(&usual, &t, 431);
}

static void target_of_max_target_is_served(void **state)
{
	static const char *const parts[] = { "x", "%78", "x/", "./", "x/../", "?", "%2f" };

	(void)state;
	for (u32 i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		struct text t = target_of(usual.max_target, parts[i]);

		expect_one(&usual, &t, 0);
	}
}

static void target_over_max_target_is_414(void **state)
{
	static const char *const parts[] = { "x", "%78", "x/", "./", "x/../", "?", "%2f" };

	(void)state;
	for (u32 i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		struct text t = target_of(usual.max_target + 1, parts[i]);

		expect_one(&usual, &t, 414);
	}
}

static void absolute_target_counts_whole_against_max_target(void **state)
{
	struct khttpd_limits limits = { 1024, 13, 0 };
	struct text t = { NULL, 0 };

	(void)state;
	adds(&t, "GET http://host/ab HTTP/1.1\r\n" HOST_LINE "\r\n");
	expect_one(&limits, &t, 414);
	adds(&t, "GET http://host/a HTTP/1.1\r\n" HOST_LINE "\r\n");
	expect_one(&limits, &t, 0);
}

static void request_line_that_does_not_fit_into_max_head_is_414(void **state)
{
	struct khttpd_limits limits = { KHTTPD_MIN_HEAD, KHTTPD_MAX_HEAD, 0 };
	struct text t = target_of(KHTTPD_MIN_HEAD, "x");

	(void)state;
	expect_one(&limits, &t, 414);
}

static void endless_target_is_414(void **state)
{
	struct text t = { NULL, 0 };

	(void)state;
	adds(&t, "GET /");
	fill(&t, 'x', 4096);
	expect_one(&usual, &t, 414);
}

static void endless_query_is_414(void **state)
{
	struct text t = { NULL, 0 };

	(void)state;
	adds(&t, "GET /?");
	fill(&t, 'x', 4096);
	expect_one(&usual, &t, 414);
}

static void endless_method_is_501(void **state)
{
	struct text t = { NULL, 0 };

	(void)state;
	adds(&t, "GET");
	fill(&t, 'X', 4096);
	expect_one(&usual, &t, 501);
}

static void endless_empty_lines_are_400(void **state)
{
	struct text t = { NULL, 0 };

	(void)state;
	for (u32 i = 0; i < 1000; i++)
		adds(&t, "\r\n");
	expect_one(&usual, &t, 400);
}

static struct text fields_of(u32 n)
{
	struct text t = { NULL, 0 };

	adds(&t, "GET / HTTP/1.1\r\n" HOST_LINE);
	for (u32 i = 0; i < n; i++)
		adds(&t, i & 1 ? "Range: x\r\n" : "If-Match: y\r\n");
	adds(&t, "\r\n");
	return t;
}

static void khttpd_max_fields_of_interest_are_kept(void **state)
{
	struct text t = fields_of(KHTTPD_MAX_FIELDS);
	struct engine e;

	(void)state;
	run(&e, &usual, &t);
	assert_int_equal(e.n_events, 1);
	assert_int_equal(e.events[0].req.error, 0);
	assert_int_equal(e.events[0].req.n_fields, KHTTPD_MAX_FIELDS);
	for (u32 i = 0; i < KHTTPD_MAX_FIELDS; i++) {
		assert_int_equal(e.events[0].req.fields[i].id,
				 i & 1 ? KHTTPD_RANGE : KHTTPD_IF_MATCH);
		assert_true(str_is(e.events[0].req.fields[i].value, i & 1 ? "x" : "y"));
	}
	engine_free(&e);
}

static void more_than_khttpd_max_fields_of_interest_are_431(void **state)
{
	struct text t = fields_of(KHTTPD_MAX_FIELDS + 1);

	(void)state;
	expect_one(&usual, &t, 431);
}

static void fields_of_no_interest_do_not_count_as_fields(void **state)
{
	struct text t = { NULL, 0 };

	(void)state;
	adds(&t, "GET / HTTP/1.1\r\n" HOST_LINE);
	for (u32 i = 0; i < 100; i++)
		adds(&t, "X: y\r\n");
	adds(&t, "\r\n");
	expect_one(&usual, &t, 0);
}

static void every_field_of_interest_is_recognised(void **state)
{
	static const struct {
		const char *line;
		enum khttpd_field_id id;
	} fields[] = {
		{ "If-Match: v\r\n", KHTTPD_IF_MATCH },
		{ "if-none-match:v\r\n", KHTTPD_IF_NONE_MATCH },
		{ "IF-MODIFIED-SINCE:\t v\t\r\n", KHTTPD_IF_MODIFIED_SINCE },
		{ "If-Unmodified-Since: v \r\n", KHTTPD_IF_UNMODIFIED_SINCE },
		{ "If-Range: v\r\n", KHTTPD_IF_RANGE },
		{ "Range: v\r\n", KHTTPD_RANGE },
		{ "aCCEPT-eNCODING: v\r\n", KHTTPD_ACCEPT_ENCODING },
	};
	const u32 n = sizeof(fields) / sizeof(*fields);
	struct text t = { NULL, 0 };
	struct engine e;

	(void)state;
	adds(&t, "GET / HTTP/1.1\r\n" HOST_LINE);
	for (u32 i = 0; i < n; i++)
		adds(&t, fields[i].line);
	adds(&t,
	     "If-Matc: v\r\nIf-Matchs: v\r\nRanges: v\r\nAccept: v\r\nAccept-Encodings: v\r\n\r\n");
	run(&e, &usual, &t);
	assert_int_equal(e.n_events, 1);
	assert_int_equal(e.events[0].req.n_fields, n);
	for (u32 i = 0; i < n; i++) {
		assert_int_equal(e.events[0].req.fields[i].id, fields[i].id);
		assert_true(str_is(e.events[0].req.fields[i].value, "v"));
	}
	engine_free(&e);
}

static void trailers_are_no_fields(void **state)
{
	struct text t = { NULL, 0 };
	struct engine e;

	(void)state;
	adds(&t, "GET / HTTP/1.1\r\n" HOST_LINE "Range: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "0\r\nRange: y\r\nIf-Match: z\r\n\r\n");
	run(&e, &usual, &t);
	assert_int_equal(e.n_events, 1);
	assert_int_equal(e.events[0].req.n_fields, 1);
	assert_true(str_is(e.events[0].req.fields[0].value, "x"));
	engine_free(&e);
}

static void target_is_kept_encoded_and_without_query(void **state)
{
	struct text t = { NULL, 0 };
	struct engine e;

	(void)state;
	adds(&t, "GET /%61/../b?c HTTP/1.1\r\n" HOST_LINE "\r\n"
		 "GET http://h/%61?c HTTP/1.1\r\n" HOST_LINE "\r\n"
		 "GET /x HTTP/1.1\r\n" HOST_LINE "\r\n");
	run(&e, &usual, &t);
	assert_int_equal(e.n_events, 3);
	assert_true(str_is(e.events[0].req.target, "/%61/../b"));
	assert_true(str_is(e.events[0].req.path, "/b"));
	assert_true(str_is(e.events[1].req.target, "/%61"));
	assert_true(str_is(e.events[2].req.target, "/x"));
	engine_free(&e);
}

/* The strings of a request must survive while its content of many pieces is read past. */
static void request_with_a_body_keeps_its_strings(void **state)
{
	struct khttpd_limits limits = { 1024, 512, 1 << 20 };
	struct text t = { NULL, 0 };
	struct engine e;

	(void)state;
	adds(&t, "PUT /%70ath/name?query HTTP/1.1\r\nHost: example:80\r\nRange: r\r\n"
		 "Content-Length: 20000\r\n\r\n");
	fill(&t, 'b', 20000);
	adds(&t, "GET / HTTP/1.1\r\n" HOST_LINE "\r\n");
	run(&e, &limits, &t);
	assert_int_equal(e.n_events, 2);
	assert_int_equal(e.events[0].req.method, KHTTPD_PUT);
	assert_true(str_is(e.events[0].req.path, "/path/name"));
	assert_true(str_is(e.events[0].req.query, "query"));
	assert_true(str_is(e.events[0].req.host, "example"));
	assert_true(str_is(e.events[0].req.fields[0].value, "r"));
	engine_free(&e);
}

static struct text chunks_of(u32 n, u32 size)
{
	struct text t = { NULL, 0 };
	char line[16];

	adds(&t, "POST / HTTP/1.1\r\n" HOST_LINE "Transfer-Encoding: chunked\r\n\r\n");
	for (u32 i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "%x\r\n", size);
		adds(&t, line);
		fill(&t, 'c', size);
		adds(&t, "\r\n");
	}
	return t;
}

static void chunks_up_to_max_body_are_read_past(void **state)
{
	struct khttpd_limits limits = { 1024, 512, 4096 };
	struct text t = chunks_of(64, 64);

	(void)state;
	adds(&t, "0\r\n\r\n");
	expect_one(&limits, &t, 0);
}

static void one_byte_over_max_body_in_chunks_is_413(void **state)
{
	struct khttpd_limits limits = { 1024, 512, 4096 };
	struct text t = chunks_of(64, 64);

	(void)state;
	adds(&t, "1\r\n");
	expect_one(&limits, &t, 413);
}

static void max_body_zero_allows_an_empty_body_only(void **state)
{
	struct khttpd_limits limits = { 1024, 512, 0 };
	struct text t = { NULL, 0 };

	(void)state;
	adds(&t, "POST / HTTP/1.1\r\n" HOST_LINE "Content-Length: 0\r\n\r\n");
	expect_one(&limits, &t, 0);
	adds(&t, "POST / HTTP/1.1\r\n" HOST_LINE "Content-Length: 1\r\n\r\n");
	expect_one(&limits, &t, 413);
	t = chunks_of(0, 0);
	adds(&t, "0\r\n\r\n");
	expect_one(&limits, &t, 0);
	t = chunks_of(0, 0);
	adds(&t, "1\r\n");
	expect_one(&limits, &t, 413);
}

/* Lengths at and past what 64 bits hold are refused, never cut to something small. */
static void enormous_lengths_are_refused(void **state)
{
	static const char *const lengths[] = {
		"9223372036854775807",	 "9223372036854775808",
		"18446744073709551614",	 "18446744073709551615",
		"18446744073709551616",	 "18446744073709551617",
		"184467440737095516160", "99999999999999999999999999999999999999999",
	};
	static const char *const sizes[] = {
		"7fffffffffffffff",	    "8000000000000000",	 "fffffffffffffffe",
		"ffffffffffffffff",	    "10000000000000000", "10000000000000001",
		"ffffffffffffffffffffffff",
	};
	struct khttpd_limits limits = { 1024, 512, UINT64_MAX >> 1 };
	struct engine e;

	(void)state;
	for (u32 i = 0; i < sizeof(lengths) / sizeof(*lengths) * 2; i++) {
		struct text t = { NULL, 0 };

		limits.max_body = i & 1 ? 100 : (UINT64_MAX >> 1) - 1;
		adds(&t, "POST / HTTP/1.1\r\n" HOST_LINE "Content-Length: ");
		adds(&t, lengths[i / 2]);
		adds(&t, "\r\n\r\nGET / HTTP/1.1\r\n" HOST_LINE "\r\n");
		run(&e, &limits, &t);
		assert_int_equal(e.n_events, 1);
		assert_true(e.events[0].req.error == 400 || e.events[0].req.error == 413);
		engine_free(&e);
	}
	for (u32 i = 0; i < sizeof(sizes) / sizeof(*sizes) * 2; i++) {
		struct text t = chunks_of(2, 5);

		limits.max_body = i & 1 ? 100 : (UINT64_MAX >> 1) - 1;
		adds(&t, sizes[i / 2]);
		adds(&t, "\r\nabc\r\n0\r\n\r\n");
		run(&e, &limits, &t);
		assert_int_equal(e.n_events, 1);
		assert_true(e.events[0].req.error == 400 || e.events[0].req.error == 413);
		engine_free(&e);
	}
}

/* What surrounds chunk data is bounded too: it costs work and is no content. */
static void endless_chunk_extensions_end(void **state)
{
	struct khttpd_limits limits = { 1024, 512, 4096 };
	struct text t = chunks_of(1, 1);
	struct engine e;

	(void)state;
	adds(&t, "1;x=");
	fill(&t, 'x', 65536);
	run(&e, &limits, &t);
	assert_int_equal(e.n_events, 1);
	assert_int_not_equal(e.events[0].req.error, 0);
	engine_free(&e);
}

static void endless_leading_zeros_of_a_chunk_size_end(void **state)
{
	struct khttpd_limits limits = { 1024, 512, 4096 };
	struct text t = chunks_of(1, 1);
	struct engine e;

	(void)state;
	fill(&t, '0', 65536);
	run(&e, &limits, &t);
	assert_int_equal(e.n_events, 1);
	assert_int_not_equal(e.events[0].req.error, 0);
	engine_free(&e);
}

static void endless_chunks_with_extensions_end(void **state)
{
	struct khttpd_limits limits = { 1024, 512, 4096 };
	struct text t = chunks_of(0, 0);
	struct engine e;

	(void)state;
	for (u32 i = 0; i < 1000; i++) {
		adds(&t, "1;");
		fill(&t, 'x', 100);
		adds(&t, "\r\n!\r\n");
	}
	adds(&t, "0\r\n\r\n");
	run(&e, &limits, &t);
	assert_int_equal(e.n_events, 1);
	assert_int_not_equal(e.events[0].req.error, 0);
	engine_free(&e);
}

static struct text trailers_of(size_t len)
{
	struct text t = chunks_of(1, 5);
	size_t begin;

	adds(&t, "0\r\n");
	begin = t.len;
	adds(&t, "X: ");
	fill(&t, 'x', len - 7);
	adds(&t, "\r\n\r\n");
	assert_int_equal(t.len - begin, len);
	return t;
}

static void trailers_of_max_head_are_read_past(void **state)
{
	struct text t = trailers_of(usual.max_head);

	(void)state;
	expect_one(&usual, &t, 0);
}

/* Chunk lines before them do not count against the trailers. */
static void trailers_of_max_head_after_long_extensions_are_read_past(void **state)
{
	struct text t = chunks_of(0, 0), trailers = trailers_of(usual.max_head);

	(void)state;
	adds(&t, "1;");
	fill(&t, 'x', usual.max_head - 100);
	adds(&t, "\r\n!\r\n");
	add(&t, strstr(trailers.p, "0\r\nX"), strlen(strstr(trailers.p, "0\r\nX")));
	free(trailers.p);
	expect_one(&usual, &t, 0);
}

/* What surrounded the chunks of one body does not count against the next one. */
static void overhead_of_chunks_starts_anew_with_each_body(void **state)
{
	struct khttpd_limits limits = { 256, 128, 60 };
	struct text t = trailers_of(200), next = chunks_of(0, 0);
	struct engine e;

	(void)state;
	add(&t, next.p, next.len);
	free(next.p);
	adds(&t, "5;");
	fill(&t, 'x', 250);
	adds(&t, "\r\nhello\r\n0\r\n\r\n");
	run(&e, &limits, &t);
	assert_int_equal(e.n_events, 2);
	assert_int_equal(e.events[0].req.error, 0);
	assert_int_equal(e.events[1].req.error, 0);
	engine_free(&e);
}

static void trailers_over_max_head_are_431(void **state)
{
	struct text t = trailers_of(usual.max_head + 1);

	(void)state;
	expect_one(&usual, &t, 431);
	t = trailers_of(100 * usual.max_head);
	expect_one(&usual, &t, 431);
}

static void an_incomplete_request_is_not_answered(void **state)
{
	static const char whole[] =
		"POST /%61 HTTP/1.1\r\n" HOST_LINE "Transfer-Encoding: chunked\r\n\r\n"
		"3;x\r\nabc\r\n0\r\nX: y\r\n\r\n";

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		struct text t = { NULL, 0 };

		add(&t, whole, len);
		expect_nothing(&usual, &t);
	}
}

/* Any one byte of a request may be wrong: no way of cutting may tell, nothing may be read twice. */
static void any_byte_of_a_request_can_be_wrong_without_harm(void **state)
{
	static const char whole[] =
		"POST http://b:8/%61/../x?y HTTP/1.1\r\nHost: a:1\r\nRange: z\r\n"
		"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
		"3;x=\"\"\r\nabc\r\n0\r\nX: y\r\n\r\n"
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n!";
	static const u8 bytes[] = { 0,	 1,   '\t', '\n', '\r', ' ', '%',  '.',
				    '/', '0', ':',  ';',  '?',	'a', 0x7f, 0xff };
	struct engine a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(whole) - 1; i++) {
		for (u32 j = 0; j < sizeof(bytes); j++) {
			char text[sizeof(whole)];

			memcpy(text, whole, sizeof(whole));
			text[i] = bytes[j];
			engine_init(&a, &usual, fixture_site());
			engine_feed(&a, text, sizeof(whole) - 1);
			engine_init(&b, &usual, fixture_site());
			for (size_t k = 0; k < sizeof(whole) - 1; k++)
				engine_feed(&b, text + k, 1);
			engine_compare(&a, &b);
			engine_free(&b);
			engine_init(&b, &usual, fixture_site());
			engine_feed_split(&b, text, sizeof(whole) - 1, &seed);
			engine_compare(&a, &b);
			engine_free(&b);
			engine_free(&a);
		}
	}
}

/* All requests of the corpus that leave the connection open, on one connection. */
static void the_corpus_on_one_connection(void **state)
{
	struct khttpd_limits limits = { CORPUS_MAX_HEAD, CORPUS_MAX_TARGET, CORPUS_MAX_BODY };
	struct text t = { NULL, 0 };
	u32 expected = 0;
	struct engine e;

	(void)state;
	for (u32 i = 0; i < corpus_len; i++) {
		const struct corpus_step *step = corpus[i].steps;

		for (; step < corpus[i].steps + CORPUS_MAX_STEPS && step->bytes; step++) {
			if (step->close || step->method == KHTTPD_METHOD_NONE)
				break;
			add(&t, step->bytes, step->len);
			expected++;
		}
	}
	run(&e, &limits, &t);
	assert_int_equal(e.n_events, expected);
	assert_false(e.draining);
	engine_free(&e);
}

static void sixty_four_pipelined_requests_need_no_buffer(void **state)
{
	struct text t = { NULL, 0 };
	struct engine e;

	(void)state;
	for (u32 i = 0; i < 64; i++)
		adds(&t, "GET /multi HTTP/1.1\r\n" HOST_LINE "\r\n");
	engine_init(&e, &usual, NULL);
	engine_feed(&e, t.p, t.len);
	assert_int_equal(e.n_events, 64);
	assert_int_equal(e.reader.want, 0);
	assert_null(e.reader.buf);
	engine_free(&e);
	free(t.p);
}

static void a_reader_is_idle_between_requests_only(void **state)
{
	static const char first[] = "\r\nGET / HTTP/1.1\r\n" HOST_LINE "\r\n";
	static const char second[] = "POST / HTTP/1.1\r\n" HOST_LINE "Content-Length: 3\r\n\r\nabc";
	struct engine e;

	(void)state;
	engine_init(&e, &usual, NULL);
	assert_true(khttpd_reader_idle(&e.reader));
	for (u32 i = 0; i < sizeof(first) - 1; i++) {
		engine_feed(&e, first + i, 1);
		/* the lone CR of the empty line may count or not */
		if (i == 1 || i == sizeof(first) - 2)
			assert_true(khttpd_reader_idle(&e.reader));
		else if (i > 1)
			assert_false(khttpd_reader_idle(&e.reader));
	}
	assert_int_equal(e.n_events, 1);
	for (u32 i = 0; i < sizeof(second) - 1; i++) {
		engine_feed(&e, second + i, 1);
		assert_int_equal(khttpd_reader_idle(&e.reader), i == sizeof(second) - 2);
	}
	assert_int_equal(e.n_events, 2);
	engine_free(&e);
}

static void time_out_in_a_request_is_its_error_and_drains(void **state)
{
	static const char *const parts[] = {
		"G",
		"GET /x",
		"GET / HTTP/1.1\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3",
	};
	static const char rest[] = " GET / HTTP/1.1\r\n" HOST_LINE "\r\n\r\nabc\r\n0\r\n\r\n";

	(void)state;
	for (u32 i = 0; i < sizeof(parts) / sizeof(*parts) * 2; i++) {
		u16 status = i & 1 ? 503 : 408;
		struct engine e;

		engine_init(&e, &usual, fixture_site());
		engine_feed(&e, parts[i / 2], strlen(parts[i / 2]));
		assert_int_equal(e.n_events, 0);
		engine_time_out(&e, status);
		assert_int_equal(e.n_events, 1);
		assert_int_equal(e.events[0].reply.status, status);
		engine_feed(&e, rest, sizeof(rest) - 1);
		assert_int_equal(e.n_events, 1);
		engine_free(&e);
	}
}

/* An engine that is out of memory answers 503 in place of giving the buffer that is wanted. */
static void a_reader_can_fail_in_place_of_getting_its_buffer(void **state)
{
	static const char part[] = "GET /x HTTP/1.1\r\nHo";
	struct khttpd_reader r = { 0 };
	struct khttpd_request req;
	enum khttpd_read found;
	size_t used;

	(void)state;
	found = khttpd_reader_feed(&r, &usual, part, sizeof(part) - 1, &used, &req);
	assert_int_equal(found, KHTTPD_READ_BUFFER);
	assert_true(r.want > 0 && r.want <= 2 * usual.max_head);
	khttpd_reader_fail(&r, 503, &req);
	assert_int_equal(req.error, 503);
	assert_true(req.close);
	found = khttpd_reader_feed(&r, &usual, part, sizeof(part) - 1, &used, &req);
	assert_int_equal(found, KHTTPD_READ_MORE);
	assert_int_equal(used, sizeof(part) - 1);
	assert_null(r.buf);
}

static void limits_may_change_between_two_calls(void **state)
{
	struct khttpd_limits limits = usual;
	struct engine e;
	struct text t = head_of(900);

	(void)state;
	engine_init(&e, &limits, NULL);
	engine_feed(&e, t.p, 800);
	e.limits.max_head = KHTTPD_MIN_HEAD; /* less than what was read */
	engine_feed(&e, t.p + 800, 100);
	assert_int_equal(e.n_events, 1);
	assert_int_equal(e.events[0].req.error, 431);
	engine_free(&e);

	engine_init(&e, &limits, NULL);
	engine_feed(&e, t.p, 800);
	e.limits.max_head = 4096;
	engine_feed(&e, t.p + 800, 100);
	assert_int_equal(e.n_events, 1);
	assert_int_equal(e.events[0].req.error, 0);
	engine_free(&e);
	free(t.p);
}

/* http_parser treats this sender's field like Connection; an origin server must not. */
static void proxy_connection_does_not_keep_http10_alive(void **state)
{
	struct text t = { NULL, 0 };
	struct engine e;

	(void)state;
	adds(&t, "GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n");
	run(&e, &usual, &t);
	assert_int_equal(e.n_events, 1);
	assert_true(e.events[0].req.close);
	engine_free(&e);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_of_max_head_is_served),
		cmocka_unit_test(head_over_max_head_is_431),
		cmocka_unit_test(endless_field_line_is_431),
		cmocka_unit_test(endless_field_name_is_431),
		cmocka_unit_test(endless_white_space_in_a_value_is_431),
		cmocka_unit_test(endless_short_lines_are_431),
		cmocka_unit_test(a_wrong_byte_before_the_end_of_max_head_is_400),
		cmocka_unit_test(a_wrong_byte_behind_max_head_is_431),
		cmocka_unit_test(target_of_max_target_is_served),
		cmocka_unit_test(target_over_max_target_is_414),
		cmocka_unit_test(absolute_target_counts_whole_against_max_target),
		cmocka_unit_test(request_line_that_does_not_fit_into_max_head_is_414),
		cmocka_unit_test(endless_target_is_414),
		cmocka_unit_test(endless_query_is_414),
		cmocka_unit_test(endless_method_is_501),
		cmocka_unit_test(endless_empty_lines_are_400),
		cmocka_unit_test(khttpd_max_fields_of_interest_are_kept),
		cmocka_unit_test(more_than_khttpd_max_fields_of_interest_are_431),
		cmocka_unit_test(fields_of_no_interest_do_not_count_as_fields),
		cmocka_unit_test(every_field_of_interest_is_recognised),
		cmocka_unit_test(trailers_are_no_fields),
		cmocka_unit_test(target_is_kept_encoded_and_without_query),
		cmocka_unit_test(request_with_a_body_keeps_its_strings),
		cmocka_unit_test(chunks_up_to_max_body_are_read_past),
		cmocka_unit_test(one_byte_over_max_body_in_chunks_is_413),
		cmocka_unit_test(max_body_zero_allows_an_empty_body_only),
		cmocka_unit_test(enormous_lengths_are_refused),
		cmocka_unit_test(endless_chunk_extensions_end),
		cmocka_unit_test(endless_leading_zeros_of_a_chunk_size_end),
		cmocka_unit_test(endless_chunks_with_extensions_end),
		cmocka_unit_test(trailers_of_max_head_are_read_past),
		cmocka_unit_test(trailers_of_max_head_after_long_extensions_are_read_past),
		cmocka_unit_test(overhead_of_chunks_starts_anew_with_each_body),
		cmocka_unit_test(trailers_over_max_head_are_431),
		cmocka_unit_test(an_incomplete_request_is_not_answered),
		cmocka_unit_test(any_byte_of_a_request_can_be_wrong_without_harm),
		cmocka_unit_test(the_corpus_on_one_connection),
		cmocka_unit_test(sixty_four_pipelined_requests_need_no_buffer),
		cmocka_unit_test(a_reader_is_idle_between_requests_only),
		cmocka_unit_test(time_out_in_a_request_is_its_error_and_drains),
		cmocka_unit_test(a_reader_can_fail_in_place_of_getting_its_buffer),
		cmocka_unit_test(limits_may_change_between_two_calls),
		cmocka_unit_test(proxy_connection_does_not_keep_http10_alive),
	};

	seed = unit_seed();
	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
