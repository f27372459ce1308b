// SPDX-License-Identifier: MIT OR GPL-2.0
/* Every connection of the corpus: whole, byte by byte and in random splits, with one result. */
#include <stdio.h>
#include <stdlib.h>

#include "unit.h"
#include "corpus.h"
#include "fixture.h"

#define SPLITS 50

static const struct khttpd_limits limits = {
	.max_head = CORPUS_MAX_HEAD,
	.max_target = CORPUS_MAX_TARGET,
	.max_body = CORPUS_MAX_BODY,
};

/* What a client could send after the end; it must not be answered. */
static const char smuggled[] = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

static u64 seed;

struct stream {
	char *bytes;
	size_t len;
};

static struct stream stream_make(const struct corpus_case *c)
{
	struct stream s = { NULL, 0 };
	bool closed = false;
	u32 i;

	for (i = 0; i < CORPUS_MAX_STEPS && c->steps[i].bytes; i++) {
		s.len += c->steps[i].len;
		closed |= c->steps[i].close;
	}
	s.bytes = malloc(s.len + sizeof(smuggled));
	s.len = 0;
	for (i = 0; i < CORPUS_MAX_STEPS && c->steps[i].bytes; i++) {
		memcpy(s.bytes + s.len, c->steps[i].bytes, c->steps[i].len);
		s.len += c->steps[i].len;
	}
	if (closed) {
		memcpy(s.bytes + s.len, smuggled, sizeof(smuggled) - 1);
		s.len += sizeof(smuggled) - 1;
	}
	return s;
}

static void check_request(const struct corpus_step *step, const struct engine_event *ev)
{
	const struct khttpd_request *req = &ev->req;

	assert_int_equal(req->method, step->method);
	assert_int_equal(req->minor, !step->http10);
	assert_int_equal(req->close, step->close);
	assert_int_equal(req->any_server, step->any_server);
	engine_check(str_is(req->host, step->host ? step->host : ""), "host '%.*s'",
		     (int)req->host.len, req->host.p);
	if (step->path)
		engine_check(str_is(req->path, step->path), "path '%.*s'", (int)req->path.len,
			     req->path.p);
	if (step->query)
		engine_check(req->query.p && str_is(req->query, step->query), "query '%.*s'",
			     (int)req->query.len, req->query.p);
	else
		assert_null(req->query.p);
}

/* The requests that were found are the expected ones, each at its bytes. */
static void check_steps(const struct corpus_case *c, const struct engine *e)
{
	u32 n = 0, end = 0;

	for (u32 i = 0; i < CORPUS_MAX_STEPS && c->steps[i].bytes; i++) {
		const struct corpus_step *step = &c->steps[i];
		const struct engine_event *ev = &e->events[n];

		end += step->len;
		if (!step->error && step->method == KHTTPD_METHOD_NONE)
			continue;
		engine_check(n < e->n_events, "nothing found in step %u", i);
		n++;
		assert_int_equal(ev->req.error, step->error);
		assert_int_equal(ev->reply.close, step->close);
		if (step->error)
			continue;
		engine_check(ev->end == end, "step %u ends at %u, not at %zu", i, end, ev->end);
		check_request(step, ev);
	}
	assert_int_equal(e->n_events, n);
}

static void feed_bytes(struct engine *e, const struct stream *s)
{
	for (size_t i = 0; i < s->len; i++)
		engine_feed(e, s->bytes + i, 1);
}

/* An error is found with the bytes of its step and those before, nothing is found earlier. */
static void check_steps_as_they_come(const struct corpus_case *c)
{
	struct engine e;
	u32 expected = 0;

	engine_init(&e, &limits, NULL);
	for (u32 i = 0; i < CORPUS_MAX_STEPS && c->steps[i].bytes; i++) {
		assert_int_equal(e.n_events, expected);
		engine_feed(&e, c->steps[i].bytes, c->steps[i].len);
		expected += c->steps[i].error || c->steps[i].method != KHTTPD_METHOD_NONE;
	}
	assert_int_equal(e.n_events, expected);
	engine_free(&e);
}

static void test_case(void **state)
{
	const struct corpus_case *c = *state;
	struct stream s = stream_make(c);
	struct engine whole, other;

	engine_init(&whole, &limits, fixture_site());
	engine_feed(&whole, s.bytes, s.len);
	assert_int_equal(whole.taken, s.len);
	check_steps(c, &whole);
	check_steps_as_they_come(c);

	engine_init(&other, &limits, fixture_site());
	other.keep_buffer = true;
	feed_bytes(&other, &s);
	engine_compare(&whole, &other);
	engine_free(&other);

	for (u32 i = 0; i < SPLITS; i++) {
		engine_init(&other, &limits, fixture_site());
		other.keep_buffer = random_next(&seed) & 1;
		engine_feed_split(&other, s.bytes, s.len, &seed);
		engine_compare(&whole, &other);
		engine_free(&other);
	}
	engine_free(&whole);
	free(s.bytes);
}

int main(void)
{
	struct CMUnitTest *tests = calloc(corpus_len, sizeof(*tests));
	int failed;

	seed = unit_seed();
	for (u32 i = 0; i < corpus_len; i++)
		tests[i] = (struct CMUnitTest){ corpus[i].name, test_case, NULL, NULL,
						(void *)&corpus[i] };
	failed = _cmocka_run_group_tests("corpus", tests, corpus_len, NULL, NULL);
	free(tests);
	return failed;
}
