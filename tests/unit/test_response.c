// SPDX-License-Identifier: MIT OR GPL-2.0
/* Rules of core/response: what is answered to a request, on a site with several variants. */
#include <stdio.h>
#include <stdlib.h>

#include "unit.h"
#include "../../core/builtin.h"
#include "fixture.h"

#define BR "\"multi-br\""
#define GZIP "\"multi-gzip\""
#define ROOT "\"root-identity\""
#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"
#define SAME FIXTURE_MODIFIED_TEXT
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct khttpd_limits limits = { .max_head = 8192,
					     .max_target = 1024,
					     .max_body = 100 };

/* One exchange; its strings live in @e. */
struct exchange {
	struct engine e;
	struct head head;
	struct khttpd_reply reply;
};

static const struct khttpd_site *site;

/* Sends "@method @path HTTP/1.@minor" with the lines @fields and takes the only reply apart. */
static void ask_version(struct exchange *x, const char *method, const char *path, int minor,
			const char *fields)
{
	char text[8192];
	int len = snprintf(text, sizeof(text), "%s %s HTTP/1.%d\r\nHost: a\r\n%s\r\n", method, path,
			   minor, fields);

	assert_true(len > 0 && (size_t)len < sizeof(text));
	engine_init(&x->e, &limits, site);
	engine_feed(&x->e, text, len);
	assert_int_equal(x->e.n_events, 1);
	x->reply = x->e.events[0].reply;
	head_parse(&x->head, x->e.events[0].head, x->reply.head_len);
}

static void ask(struct exchange *x, const char *method, const char *path, const char *fields)
{
	ask_version(x, method, path, 1, fields);
}

static void done(struct exchange *x)
{
	engine_free(&x->e);
}

static void expect_status(const char *method, const char *path, const char *fields, u16 status)
{
	struct exchange x;

	ask(&x, method, path, fields);
	engine_check(x.reply.status == status, "%s %s with '%s': %u, not %u", method, path, fields,
		     x.reply.status, status);
	engine_check(!x.reply.close, "%s %s with '%s' closes", method, path, fields);
	done(&x);
}

static void expect_field(const struct exchange *x, const char *name, const char *value)
{
	struct khttpd_str v = head_get(&x->head, name);

	if (!value) {
		engine_check(!v.p, "unexpected %s: %.*s", name, (int)v.len, v.p);
		return;
	}
	engine_check(v.p, "no %s", name);
	engine_check(str_is(v, value), "%s is '%.*s', not '%s'", name, (int)v.len, v.p, value);
}

static void expect_body(const struct exchange *x, const char *body)
{
	engine_check(x->reply.body_len == strlen(body) &&
			     !memcmp(x->reply.body, body, x->reply.body_len),
		     "body is '%.*s'", (int)x->reply.body_len, x->reply.body);
}

/* --- methods, framing ------------------------------------------------------------------------ */

static void get_sends_the_content_with_its_fields(void **state)
{
	struct exchange x;

	(void)state;
	ask(&x, "GET", "/", "");
	assert_int_equal(x.reply.status, 200);
	expect_body(&x, ALPHABET);
	expect_field(&x, "Content-Length", "26");
	expect_field(&x, "Content-Type", "text/plain");
	expect_field(&x, "ETag", ROOT);
	expect_field(&x, "Last-Modified", SAME);
	expect_field(&x, "Accept-Ranges", "bytes");
	expect_field(&x, "Cache-Control", "max-age=60");
	expect_field(&x, "Connection", NULL);
	expect_field(&x, "Content-Encoding", NULL);
	done(&x);
}

static void the_content_is_sent_from_where_it_lies(void **state)
{
	const u8 *body = site->image + le32_to_cpu(fixture_variant("/", 0)->body.at);
	struct exchange x;

	(void)state;
	ask(&x, "GET", "/", "");
	assert_ptr_equal(x.reply.body, body);
	done(&x);
	ask(&x, "GET", "/", "Range: bytes=3-5\r\n");
	assert_ptr_equal(x.reply.body, body + 3);
	done(&x);
}

/* For any reply of GET, HEAD's has the same head and nothing else. */
static void head_has_gets_head(void **state)
{
	static const char *const paths[] = { "/",      "/multi", "/two",    "/coded",
					     "/empty", "/long",	 "/missing" };
	static const char *const fields[] = {
		"",
		"Accept-Encoding: gzip\r\n",
		"Accept-Encoding: *;q=0\r\n",
		"If-None-Match: *\r\n",
		"If-Match: \"x\"\r\n",
		"Connection: close\r\n",
	};
	struct exchange a, b;

	(void)state;
	for (u32 i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		for (u32 j = 0; j < sizeof(fields) / sizeof(*fields); j++) {
			ask(&a, "GET", paths[i], fields[j]);
			ask(&b, "HEAD", paths[i], fields[j]);
			assert_int_equal(a.reply.status, b.reply.status);
			assert_int_equal(a.reply.close, b.reply.close);
			assert_int_equal(a.reply.head_len, b.reply.head_len);
			assert_memory_equal(a.e.events[0].head, b.e.events[0].head,
					    a.reply.head_len);
			assert_int_equal(b.reply.body_len, 0);
			done(&a);
			done(&b);
		}
	}
}

static void head_ignores_range(void **state)
{
	static const char *const ranges[] = { "Range: bytes=0-1\r\n", "Range: bytes=99-\r\n" };
	struct exchange x;

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		ask(&x, "HEAD", "/", ranges[i]);
		assert_int_equal(x.reply.status, 200);
		expect_field(&x, "Content-Length", "26");
		expect_field(&x, "Content-Range", NULL);
		done(&x);
	}
}

static void empty_content_has_length_0(void **state)
{
	struct exchange x;

	(void)state;
	ask(&x, "GET", "/empty", "");
	assert_int_equal(x.reply.status, 200);
	expect_field(&x, "Content-Length", "0");
	done(&x);
}

static void options_gets_204_with_allow(void **state)
{
	static const char *const targets[] = { "*", "/", "/multi", "/missing" };
	struct exchange x;

	(void)state;
	for (u32 i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		ask(&x, "OPTIONS", targets[i], "");
		assert_int_equal(x.reply.status, 204);
		assert_false(x.reply.close);
		expect_field(&x, "Allow", "GET, HEAD, OPTIONS");
		expect_field(&x, "Content-Length", NULL);
		done(&x);
	}
}

static void other_methods_get_405_with_allow(void **state)
{
	static const char *const methods[] = { "POST", "PUT", "DELETE", "TRACE", "PATCH" };
	struct exchange x;

	(void)state;
	for (u32 i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		ask(&x, methods[i], "/", "");
		assert_int_equal(x.reply.status, 405);
		assert_false(x.reply.close);
		expect_field(&x, "Allow", "GET, HEAD, OPTIONS");
		done(&x);
	}
	ask(&x, "CONNECT", "a:80", "");
	assert_int_equal(x.reply.status, 405);
	assert_false(x.reply.close);
	done(&x);
}

static void missing_path_is_404(void **state)
{
	static const char *const paths[] = { "/missing", "/Multi",  "/multi/",
					     "/mult",	 "/multii", "//" };

	(void)state;
	for (u32 i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		expect_status("GET", paths[i], "", 404);
		/* preconditions and ranges count only where the plain answer is 2xx */
		expect_status("GET", paths[i], "If-Match: \"x\"\r\n", 404);
		expect_status("GET", paths[i], "If-None-Match: *\r\n", 404);
		expect_status("GET", paths[i], "Range: bytes=0-1\r\n", 404);
		expect_status("GET", paths[i], "If-Unmodified-Since: " EARLIER "\r\n", 404);
		expect_status("GET", paths[i], "Accept-Encoding: *;q=0\r\n", 404);
	}
}

static void path_of_the_request_is_looked_up_decoded(void **state)
{
	(void)state;
	expect_status("GET", "/%6dulti", "", 200);
	expect_status("GET", "/x/../multi", "", 200);
	expect_status("GET", "/multi?query", "", 200);
	expect_status("GET", "http://unknown:1/multi", "", 200);
}

static void conditions_do_not_touch_other_methods(void **state)
{
	(void)state;
	expect_status("OPTIONS", "/", "If-None-Match: *\r\n", 204);
	expect_status("OPTIONS", "/", "Range: bytes=0-1\r\n", 204);
	expect_status("OPTIONS", "/", "Accept-Encoding: *;q=0\r\n", 204);
	expect_status("DELETE", "/", "If-Match: \"x\"\r\n", 405);
	expect_status("DELETE", "/", "If-None-Match: *\r\n", 405);
}

static void http10_is_answered_in_its_framing(void **state)
{
	struct exchange x;

	(void)state;
	ask_version(&x, "GET", "/", 0, "");
	assert_int_equal(x.reply.status, 200);
	assert_true(x.reply.close);
	expect_field(&x, "Connection", "close");
	expect_field(&x, "Content-Length", "26");
	done(&x);
	ask_version(&x, "GET", "/", 0, "Connection: keep-alive\r\n");
	assert_false(x.reply.close);
	expect_field(&x, "Connection", "keep-alive");
	done(&x);
}

static void close_is_said_in_the_head(void **state)
{
	struct exchange x;

	(void)state;
	ask(&x, "GET", "/", "Connection: close\r\n");
	assert_true(x.reply.close);
	expect_field(&x, "Connection", "close");
	done(&x);
}

static void an_engine_can_ask_for_close(void **state)
{
	struct khttpd_request req = { .method = KHTTPD_GET,
				      .minor = 1,
				      .close = true,
				      .path = KHTTPD_STR("/"),
				      .target = KHTTPD_STR("/") };
	struct khttpd_reply reply;
	struct head h;
	char *head;

	(void)state;
	head = reply_plan(site, &req, 0, KHTTPD_MAX_REPLY_HEAD, &reply);
	assert_non_null(head);
	assert_true(reply.close);
	head_parse(&h, head, reply.head_len);
	assert_true(str_is(head_get(&h, "Connection"), "close"));
	free(head);
}

static void every_error_has_a_reply_that_closes(void **state)
{
	static const u16 errors[] = { 400, 408, 413, 414, 431, 501, 503, 505 };

	(void)state;
	for (u32 i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		for (int method = KHTTPD_METHOD_NONE; method <= KHTTPD_PATCH; method++) {
			struct khttpd_request req;
			struct khttpd_reply reply;

			/* nothing else means anything */
			memset(&req, 0xa5, sizeof(req));
			req.error = errors[i];
			req.method = method;
			req.minor = i & 1;
			req.close = true;
			free(reply_plan(site, &req, 1795165200, KHTTPD_MAX_REPLY_HEAD, &reply));
			assert_int_equal(reply.status, errors[i]);
			assert_true(reply.close);
			if (method == KHTTPD_HEAD)
				assert_int_equal(reply.body_len, 0);
			else if (method)
				assert_true(reply.body_len > 0);
		}
	}
}

/* Content behind the reply to what may become a HEAD would be taken for the next reply. */
static void a_time_out_before_the_method_is_known_has_no_content(void **state)
{
	static const u16 errors[] = { 408, 503 };

	(void)state;
	for (u32 i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		struct khttpd_request req;
		struct khttpd_reply reply;
		struct head h;
		char *head;

		memset(&req, 0xa5, sizeof(req));
		req.error = errors[i];
		req.method = KHTTPD_METHOD_NONE;
		req.close = true;
		head = reply_plan(site, &req, 1795165200, KHTTPD_MAX_REPLY_HEAD, &reply);
		assert_int_equal(reply.status, errors[i]);
		assert_int_equal(reply.body_len, 0);
		head_parse(&h, head, reply.head_len);
		assert_true(str_is(head_get(&h, "Content-Length"), "0"));
		free(head);
	}
}

/* A variant's ready head must be what would have been written, whoever asks, and as tight. */
static void a_ready_head_changes_no_reply(void **state)
{
	static const char *const paths[] = { "/", "/multi", "/empty", "/long", "/large" };
	static const char line[] = "Connection: close\r\n";

	(void)state;
	for (u32 i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		for (u32 method = KHTTPD_GET; method <= KHTTPD_HEAD; method++) {
			struct khttpd_request req = { .method = method, .minor = 1 };
			struct khttpd_reply a, b;
			char *ready, *written, *at;

			req.path = (struct khttpd_str){ paths[i], strlen(paths[i]) };
			req.target = req.path;
			ready = reply_plan(site, &req, 784111777, KHTTPD_MAX_REPLY_HEAD, &a);
			req.close = true;
			written = reply_plan(site, &req, 784111777, KHTTPD_MAX_REPLY_HEAD, &b);
			assert_non_null(ready);
			assert_non_null(written);
			at = memmem(written, b.head_len, line, sizeof(line) - 1);
			assert_non_null(at);
			memmove(at, at + sizeof(line) - 1,
				written + b.head_len - at - (sizeof(line) - 1));
			assert_int_equal(a.head_len, b.head_len - (sizeof(line) - 1));
			assert_memory_equal(ready, written, a.head_len);
			assert_int_equal(a.status, b.status);
			assert_int_equal(a.body_len, b.body_len);
			free(ready);
			free(written);
			req.close = false;
			assert_null(reply_plan(site, &req, 0, a.head_len - 1, &a));
		}
	}
}

static void a_head_that_does_not_fit_decides_nothing(void **state)
{
	static const char *const paths[] = { "/", "/multi", "/long", "/missing" };
	struct khttpd_request req = { .method = KHTTPD_GET, .minor = 1 };
	struct khttpd_reply reply;

	(void)state;
	for (u32 i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		char *head;
		u32 len;

		req.path = (struct khttpd_str){ paths[i], strlen(paths[i]) };
		req.target = req.path;
		head = reply_plan(site, &req, 0, KHTTPD_MAX_REPLY_HEAD, &reply);
		assert_non_null(head);
		free(head);
		len = reply.head_len;
		for (u32 size = 0; size < len; size++)
			assert_null(reply_plan(site, &req, 0, size, &reply));
		head = reply_plan(site, &req, 0, len, &reply);
		assert_non_null(head);
		free(head);
	}
}

static void the_longest_field_group_fits_with_everything_else(void **state)
{
	static const char *const fields[] = {
		"",
		"Connection: close\r\n",
		"Range: bytes=1-2\r\n",
		"If-None-Match: *\r\n",
		"Range: bytes=1-2\r\nConnection: close\r\n",
	};
	struct exchange x;

	(void)state;
	for (u32 i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		ask(&x, "GET", "/long", fields[i]);
		assert_true(x.reply.status < 400);
		if (x.reply.status != 304)
			assert_true(head_get(&x.head, "X").len > KHTTPD_MAX_FIELD_GROUP - 256);
		done(&x);
	}
}

/* --- content negotiation --------------------------------------------------------------------- */

/* @coding NULL: 406; "": identity. */
static void expect_coding(const char *path, const char *accept, const char *coding)
{
	char fields[1024] = "", etag[64];
	struct exchange x;

	if (accept)
		snprintf(fields, sizeof(fields), "Accept-Encoding: %s\r\n", accept);
	ask(&x, "GET", path, fields);
	engine_check(x.reply.status == (coding ? 200 : 406), "%s with '%s': %u", path, fields,
		     x.reply.status);
	assert_false(x.reply.close);
	expect_field(&x, "Vary", "Accept-Encoding");
	if (coding) {
		struct khttpd_str v = head_get(&x.head, "Content-Encoding");

		engine_check(*coding ? v.p && str_is(v, coding) : !v.p, "%s with '%s' is '%.*s'",
			     path, fields, (int)v.len, v.p);
		snprintf(etag, sizeof(etag), "\"%s-%s\"", path + 1, *coding ? coding : "identity");
		expect_field(&x, "ETag", etag);
	}
	done(&x);
}

static void no_accept_encoding_is_identity(void **state)
{
	(void)state;
	expect_coding("/multi", NULL, "");
	expect_coding("/two", NULL, "");
}

static void empty_accept_encoding_is_identity(void **state)
{
	(void)state;
	expect_coding("/multi", "", "");
	expect_coding("/multi", " , ", "");
}

static void the_only_coding_offered_is_sent(void **state)
{
	(void)state;
	expect_coding("/multi", "gzip", "gzip");
	expect_coding("/multi", "br", "br");
	expect_coding("/multi", "zstd", "zstd");
	expect_coding("/multi", "identity", "");
	expect_coding("/multi", "deflate", "");
	expect_coding("/multi", "compress, deflate", "");
}

static void coding_names_ignore_case(void **state)
{
	(void)state;
	expect_coding("/multi", "GZIP", "gzip");
	expect_coding("/multi", "Br", "br");
	expect_coding("/multi", "gzip;q=0, IDENTITY;Q=0", NULL);
}

static void x_gzip_is_gzip(void **state)
{
	(void)state;
	expect_coding("/multi", "x-gzip", "gzip");
}

static void parts_of_names_are_other_names(void **state)
{
	(void)state;
	expect_coding("/multi", "gzi", "");
	expect_coding("/multi", "gzipp", "");
	expect_coding("/multi", "b, r, brr", "");
	expect_coding("/multi", "g-zip", "");
}

static void equal_weights_leave_the_servers_order(void **state)
{
	(void)state;
	expect_coding("/multi", "gzip, br, zstd", "br");
	expect_coding("/multi", "gzip, zstd", "zstd");
	expect_coding("/multi", "gzip;q=0.5, zstd;q=0.5", "zstd");
	expect_coding("/multi", "gzip, deflate, br, zstd", "br");
	expect_coding("/multi", "gzip, identity", "gzip");
	expect_coding("/two", "gzip, identity", "");
}

static void greater_weight_wins(void **state)
{
	(void)state;
	expect_coding("/multi", "gzip;q=1.0, br;q=0.9", "gzip");
	expect_coding("/multi", "br;q=0.1, zstd;q=0.2, gzip;q=0.3", "gzip");
	expect_coding("/multi", "br;q=0.998, gzip;q=0.999", "gzip");
	expect_coding("/multi", "br;q=0.9, gzip", "gzip");
	expect_coding("/multi", "br;q=0.5, identity", "");
	expect_coding("/multi", "identity;q=0.5, gzip;q=0.2", "");
}

static void weights_may_have_white_space(void **state)
{
	(void)state;
	expect_coding("/multi", "br ; q=0.1 ,\tgzip\t;\tq=0.2", "gzip");
	expect_coding("/multi", " ,gzip ,, ", "gzip");
}

static void q_zero_excludes(void **state)
{
	(void)state;
	expect_coding("/multi", "br;q=0, gzip", "gzip");
	expect_coding("/multi", "gzip;q=0", "");
	expect_coding("/multi", "gzip;q=0.0", "");
	expect_coding("/multi", "gzip;q=0.000", "");
	expect_coding("/multi", "gzip;q=0.001", "gzip");
}

static void star_stands_for_the_rest(void **state)
{
	(void)state;
	expect_coding("/multi", "*", "br");
	expect_coding("/multi", "br;q=0, *", "zstd");
	expect_coding("/multi", "*, br;q=0, zstd;q=0", "gzip");
	expect_coding("/multi", "*;q=0, gzip", "gzip");
	expect_coding("/multi", "*;q=0, identity", "");
	expect_coding("/multi", "gzip;q=0.5, *;q=0.1", "gzip");
	expect_coding("/multi", "identity;q=0, *", "br");
}

static void identity_q0_gives_406(void **state)
{
	(void)state;
	expect_coding("/multi", "identity;q=0", NULL);
	expect_coding("/multi", "identity;q=0, deflate", NULL);
	expect_coding("/multi", "identity;q=0, gzip", "gzip");
	expect_status("GET", "/", "Accept-Encoding: identity;q=0\r\n", 406);
	expect_status("GET", "/", "Accept-Encoding: gzip, identity;q=0\r\n", 406);
}

static void star_q0_gives_406(void **state)
{
	(void)state;
	expect_coding("/multi", "*;q=0", NULL);
	expect_coding("/multi", "deflate, *;q=0", NULL);
	expect_status("GET", "/", "Accept-Encoding: *;q=0\r\n", 406);
	expect_status("GET", "/", "Accept-Encoding: *;q=0, identity\r\n", 200);
}

static void without_identity_the_only_coding_is_sent_unless_excluded(void **state)
{
	(void)state;
	expect_coding("/coded", NULL, "gzip");
	expect_coding("/coded", "gzip", "gzip");
	expect_coding("/coded", "*", "gzip");
	expect_status("GET", "/coded", "Accept-Encoding: identity\r\n", 406);
	expect_status("GET", "/coded", "Accept-Encoding: br\r\n", 406);
	expect_status("GET", "/coded", "Accept-Encoding: gzip;q=0, *\r\n", 406);
}

static void several_accept_encoding_lines_are_one_list(void **state)
{
	struct exchange x;

	(void)state;
	ask(&x, "GET", "/multi",
	    "Accept-Encoding: br;q=0.1\r\nAccept-Encoding: zstd;q=0.2, deflate\r\n");
	expect_field(&x, "Content-Encoding", "zstd");
	done(&x);
	ask(&x, "GET", "/multi", "Accept-Encoding: gzip\r\nAccept-Encoding: gzip;q=0\r\nX: y\r\n");
	assert_true(x.reply.status == 200);
	done(&x);
}

static void broken_accept_encoding_is_no_error(void **state)
{
	static const char *const values[] = {
		";",	      ";q=1",	      "gzip;",	      "gzip;q",	       "gzip;q=",
		"gzip;q=x",   "gzip;q=2",     "gzip;q=1.5",   "gzip;q=0.1234", "gzip;q=-1",
		"gzip;q=0.x", "gzip;q=0.12x", "gzip q=1",     "gzip;;q=1",     "gzip;foo=bar;q=1",
		"\"gzip\"",   "gzip;q=0.",    "gzip;q=.5",    "gzip;q=00",     "(",
		"gzip=1",     "*;*",	      "gzip;q=1;q=0",
	};
	char fields[256];
	struct exchange x;

	(void)state;
	for (u32 i = 0; i < sizeof(values) / sizeof(*values); i++) {
		snprintf(fields, sizeof(fields), "Accept-Encoding: %s\r\n", values[i]);
		ask(&x, "GET", "/multi", fields);
		engine_check(x.reply.status == 200, "'%s' is %u", values[i], x.reply.status);
		done(&x);
	}
}

static void vary_wherever_variants_exist(void **state)
{
	static const struct {
		const char *fields;
		u16 status;
	} cases[] = {
		{ "", 200 },
		{ "Accept-Encoding: gzip\r\n", 200 },
		{ "Range: bytes=0-1\r\n", 206 },
		{ "If-None-Match: *\r\n", 304 },
		{ "Accept-Encoding: gzip\r\nIf-None-Match: *\r\n", 304 },
		{ "Accept-Encoding: *;q=0\r\n", 406 },
	};
	struct exchange x;

	(void)state;
	for (u32 i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ask(&x, "GET", "/multi", cases[i].fields);
		assert_int_equal(x.reply.status, cases[i].status);
		expect_field(&x, "Vary", "Accept-Encoding");
		done(&x);
	}
	ask(&x, "GET", "/", "");
	expect_field(&x, "Vary", NULL);
	done(&x);
	ask(&x, "GET", "/", "Accept-Encoding: *;q=0\r\n");
	assert_int_equal(x.reply.status, 406);
	expect_field(&x, "Vary", NULL);
	done(&x);
}

/* --- conditional requests -------------------------------------------------------------------- */

static void if_match_compares_strongly(void **state)
{
	(void)state;
	expect_status("GET", "/", "If-Match: " ROOT "\r\n", 200);
	expect_status("GET", "/", "If-Match: *\r\n", 200);
	expect_status("GET", "/", "If-Match: \"x\", " ROOT ",\"y\"\r\n", 200);
	expect_status("GET", "/", "If-Match: \"x\"\r\n", 412);
	expect_status("GET", "/", "If-Match: W/" ROOT "\r\n", 412);
	expect_status("GET", "/", "If-Match: \"root-identityx\"\r\n", 412);
	expect_status("GET", "/", "If-Match: \"root-identit\"\r\n", 412);
	expect_status("GET", "/", "If-Match: \"ROOT-IDENTITY\"\r\n", 412);
	expect_status("GET", "/", "If-Match: root-identity\r\n", 412);
	expect_status("HEAD", "/", "If-Match: \"x\"\r\n", 412);
}

static void if_match_in_several_lines_is_one_list(void **state)
{
	(void)state;
	expect_status("GET", "/", "If-Match: \"x\"\r\nIf-Match: " ROOT "\r\n", 200);
	expect_status("GET", "/", "If-Match: " ROOT "\r\nIf-Match: \"x\"\r\n", 200);
	expect_status("GET", "/", "If-Match: \"x\"\r\nIf-Match: \"y\"\r\n", 412);
}

static void if_match_looks_at_the_variant_that_is_chosen(void **state)
{
	(void)state;
	expect_status("GET", "/multi", "Accept-Encoding: gzip\r\nIf-Match: " GZIP "\r\n", 200);
	expect_status("GET", "/multi", "Accept-Encoding: br\r\nIf-Match: " GZIP "\r\n", 412);
}

static void if_unmodified_since_counts_without_if_match(void **state)
{
	(void)state;
	expect_status("GET", "/", "If-Unmodified-Since: " SAME "\r\n", 200);
	expect_status("GET", "/", "If-Unmodified-Since: " LATER "\r\n", 200);
	expect_status("GET", "/", "If-Unmodified-Since: " EARLIER "\r\n", 412);
	expect_status("HEAD", "/", "If-Unmodified-Since: " EARLIER "\r\n", 412);
	expect_status("GET", "/", "If-Unmodified-Since: Sunday, 06-Nov-94 08:49:36 GMT\r\n", 412);
	expect_status("GET", "/", "If-Unmodified-Since: Sun Nov  6 08:49:36 1994\r\n", 412);
}

static void if_match_beats_if_unmodified_since(void **state)
{
	(void)state;
	expect_status("GET", "/", "If-Match: " ROOT "\r\nIf-Unmodified-Since: " EARLIER "\r\n",
		      200);
	expect_status("GET", "/", "If-Unmodified-Since: " EARLIER "\r\nIf-Match: *\r\n", 200);
	expect_status("GET", "/", "If-Match: \"x\"\r\nIf-Unmodified-Since: " LATER "\r\n", 412);
}

static void if_none_match_compares_weakly(void **state)
{
	(void)state;
	expect_status("GET", "/", "If-None-Match: " ROOT "\r\n", 304);
	expect_status("GET", "/", "If-None-Match: W/" ROOT "\r\n", 304);
	expect_status("GET", "/", "If-None-Match: *\r\n", 304);
	expect_status("HEAD", "/", "If-None-Match: " ROOT "\r\n", 304);
	expect_status("GET", "/", "If-None-Match: \"x\"\r\n", 200);
	expect_status("GET", "/", "If-None-Match: \"root-identityx\"\r\n", 200);
	expect_status("GET", "/", "If-None-Match: \"root-identit\"\r\n", 200);
	expect_status("GET", "/", "If-None-Match: \"xroot-identity\"\r\n", 200);
	expect_status("GET", "/", "If-None-Match: \"Root-Identity\"\r\n", 200);
	expect_status("GET", "/", "If-None-Match: root-identity\r\n", 200);
	expect_status("GET", "/", "If-None-Match:\r\n", 200);
}

static void if_none_match_is_a_list(void **state)
{
	(void)state;
	expect_status("GET", "/", "If-None-Match: \"x\", " ROOT "\r\n", 304);
	expect_status("GET", "/", "If-None-Match: \"x\",W/" ROOT ",\"y\"\r\n", 304);
	expect_status("GET", "/", "If-None-Match: \"x\"\t , " ROOT " , \"y\"\r\n", 304);
	expect_status("GET", "/", "If-None-Match: ,, " ROOT " ,\r\n", 304);
	expect_status("GET", "/", "If-None-Match: \"x\", \"y\"\r\n", 200);
	expect_status("GET", "/", "If-None-Match: \"x\"\r\nIf-None-Match: " ROOT "\r\n", 304);
	expect_status("GET", "/", "If-None-Match: \"x\"\r\nIf-None-Match: \"y\"\r\n", 200);
	/* a comma or a slash is a character of a tag like others */
	expect_status("GET", "/", "If-None-Match: \"/\", " ROOT "\r\n", 304);
	expect_status("GET", "/", "If-None-Match: \"x,\", " ROOT "\r\n", 304);
}

static void junk_in_a_list_of_tags_matches_nothing(void **state)
{
	static const char *const lists[] = {
		"\"x\" y", "\"x\" \"y\"", "\"x\"\"y\"",	  "x",	"\"x", "x\"", "W/", "W/x",
		"W",	   "W/\"x",	  "\"x\"; \"y\"", "**", "*x",  "\"",  "/",  "\"x\",y",
		"w/\"x\"", "W\"x\"",	  "\"x\"/",
	};
	char fields[256];

	(void)state;
	for (u32 i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		snprintf(fields, sizeof(fields), "If-None-Match: %s\r\n", lists[i]);
		expect_status("GET", "/", fields, 200);
		snprintf(fields, sizeof(fields), "If-Match: %s\r\n", lists[i]);
		expect_status("GET", "/", fields, 412);
	}
}

static void if_none_match_looks_at_the_variant_that_is_chosen(void **state)
{
	struct exchange x;

	(void)state;
	expect_status("GET", "/multi", "Accept-Encoding: gzip\r\nIf-None-Match: " BR "\r\n", 200);
	ask(&x, "GET", "/multi", "Accept-Encoding: gzip\r\nIf-None-Match: " BR ", " GZIP "\r\n");
	assert_int_equal(x.reply.status, 304);
	expect_field(&x, "ETag", GZIP);
	done(&x);
}

static void not_modified_has_etag_vary_cache_control_and_date(void **state)
{
	struct exchange x;

	(void)state;
	ask(&x, "GET", "/multi", "If-None-Match: *\r\n");
	assert_int_equal(x.reply.status, 304);
	expect_field(&x, "ETag", "\"multi-identity\"");
	expect_field(&x, "Vary", "Accept-Encoding");
	expect_field(&x, "Cache-Control", "max-age=60");
	expect_field(&x, "Date", "Fri, 20 Nov 2026 09:00:00 GMT");
	expect_field(&x, "Content-Length", NULL);
	expect_field(&x, "Content-Type", NULL);
	done(&x);
}

static void if_modified_since_counts_without_if_none_match(void **state)
{
	(void)state;
	expect_status("GET", "/", "If-Modified-Since: " SAME "\r\n", 304);
	expect_status("GET", "/", "If-Modified-Since: " LATER "\r\n", 304);
	expect_status("HEAD", "/", "If-Modified-Since: " LATER "\r\n", 304);
	expect_status("GET", "/", "If-Modified-Since: " EARLIER "\r\n", 200);
	expect_status("GET", "/", "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 304);
	expect_status("GET", "/", "If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n", 304);
}

static void if_none_match_beats_if_modified_since(void **state)
{
	(void)state;
	expect_status("GET", "/", "If-None-Match: \"x\"\r\nIf-Modified-Since: " LATER "\r\n", 200);
	expect_status("GET", "/", "If-Modified-Since: " LATER "\r\nIf-None-Match: \"x\"\r\n", 200);
	expect_status("GET", "/", "If-None-Match: *\r\nIf-Modified-Since: " EARLIER "\r\n", 304);
}

static void invalid_dates_are_ignored(void **state)
{
	static const char twice[] = SAME ", " SAME;
	static const char *const dates[] = { "",    "x",
					     "0",   "Sun, 31 Nov 1994 08:49:37 GMT",
					     twice, "Sun, 06 Nov 1994 08:49:37" };
	char fields[256];

	(void)state;
	for (u32 i = 0; i < sizeof(dates) / sizeof(*dates); i++) {
		snprintf(fields, sizeof(fields), "If-Modified-Since: %s\r\n", dates[i]);
		expect_status("GET", "/", fields, 200);
		snprintf(fields, sizeof(fields), "If-Unmodified-Since: %s\r\n", dates[i]);
		expect_status("GET", "/", fields, 200);
	}
}

static void precondition_failed_comes_before_not_modified(void **state)
{
	(void)state;
	expect_status("GET", "/", "If-None-Match: " ROOT "\r\nIf-Match: \"x\"\r\n", 412);
	expect_status("GET", "/", "If-Match: " ROOT "\r\nIf-None-Match: " ROOT "\r\n", 304);
	expect_status("GET", "/",
		      "If-Unmodified-Since: " EARLIER "\r\nIf-Modified-Since: " LATER "\r\n", 412);
	expect_status("GET", "/",
		      "If-Unmodified-Since: " SAME "\r\nIf-Modified-Since: " SAME "\r\n", 304);
}

static void preconditions_come_before_range(void **state)
{
	(void)state;
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-None-Match: " ROOT "\r\n", 304);
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Match: \"x\"\r\n", 412);
	expect_status("GET", "/", "Range: bytes=99-\r\nIf-None-Match: *\r\n", 304);
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Match: " ROOT "\r\n", 206);
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-None-Match: \"x\"\r\n", 206);
}

static void nothing_acceptable_comes_before_preconditions(void **state)
{
	(void)state;
	expect_status("GET", "/multi", "Accept-Encoding: *;q=0\r\nIf-None-Match: *\r\n", 406);
	expect_status("GET", "/multi", "Accept-Encoding: *;q=0\r\nIf-Match: \"x\"\r\n", 406);
	expect_status("GET", "/multi", "Accept-Encoding: *;q=0\r\nRange: bytes=0-1\r\n", 406);
}

/* --- ranges ----------------------------------------------------------------------------------- */

/* @content_range NULL: 200 with everything. */
static void expect_range(const char *range, const char *content_range, const char *body)
{
	char fields[512];
	struct exchange x;

	snprintf(fields, sizeof(fields), "Range: %s\r\n", range);
	ask(&x, "GET", "/", fields);
	engine_check(x.reply.status == (content_range ? 206 : 200), "'%s' is %u", range,
		     x.reply.status);
	expect_field(&x, "Content-Range", content_range);
	expect_body(&x, content_range ? body : ALPHABET);
	expect_field(&x, "ETag", ROOT);
	expect_field(&x, "Accept-Ranges", "bytes");
	done(&x);
}

static void expect_unsatisfiable(const char *path, const char *range, const char *content_range)
{
	char fields[512];
	struct exchange x;

	snprintf(fields, sizeof(fields), "Range: %s\r\n", range);
	ask(&x, "GET", path, fields);
	engine_check(x.reply.status == 416, "'%s' is %u", range, x.reply.status);
	assert_false(x.reply.close);
	expect_field(&x, "Content-Range", content_range);
	done(&x);
}

static void range_first_to_last(void **state)
{
	(void)state;
	expect_range("bytes=0-0", "bytes 0-0/26", "a");
	expect_range("bytes=2-4", "bytes 2-4/26", "cde");
	expect_range("bytes=25-25", "bytes 25-25/26", "z");
	expect_range("bytes=0-25", "bytes 0-25/26", ALPHABET);
	expect_range("bytes=00002-0004", "bytes 2-4/26", "cde");
}

static void range_open(void **state)
{
	(void)state;
	expect_range("bytes=0-", "bytes 0-25/26", ALPHABET);
	expect_range("bytes=24-", "bytes 24-25/26", "yz");
}

static void range_suffix(void **state)
{
	(void)state;
	expect_range("bytes=-1", "bytes 25-25/26", "z");
	expect_range("bytes=-3", "bytes 23-25/26", "xyz");
	expect_range("bytes=-26", "bytes 0-25/26", ALPHABET);
	expect_range("bytes=-1000", "bytes 0-25/26", ALPHABET);
}

static void range_past_the_end_is_cut(void **state)
{
	(void)state;
	expect_range("bytes=24-26", "bytes 24-25/26", "yz");
	expect_range("bytes=24-99999999", "bytes 24-25/26", "yz");
}

static void range_unsatisfiable_is_416(void **state)
{
	(void)state;
	expect_unsatisfiable("/", "bytes=26-", "bytes */26");
	expect_unsatisfiable("/", "bytes=26-26", "bytes */26");
	expect_unsatisfiable("/", "bytes=1000-2000", "bytes */26");
	expect_unsatisfiable("/", "bytes=-0", "bytes */26");
	expect_unsatisfiable("/empty", "bytes=0-", "bytes */0");
	expect_unsatisfiable("/empty", "bytes=0-0", "bytes */0");
}

static void range_unit_ignores_case(void **state)
{
	(void)state;
	expect_range("Bytes=2-4", "bytes 2-4/26", "cde");
}

static void several_ranges_are_200(void **state)
{
	(void)state;
	expect_range("bytes=0-1,3-4", NULL, NULL);
	expect_range("bytes=0-1, -1", NULL, NULL);
	expect_range("bytes=0-1,99-", NULL, NULL);
}

static void range_that_cannot_be_parsed_is_200(void **state)
{
	static const char *const ranges[] = {
		"",	      "bytes",	     "bytes=",	    "bytes=-",	   "bytes=a-b",
		"bytes=1",    "bytes=1-a",   "bytes=a-1",   "bytes=4-2",   "bytes=--1",
		"bytes=1--2", "bytes=+1-2",  "bytes=1-2x",  "bytes=0x1-2", "bytes 0-1",
		"bytes:0-1",  "items=0-1",   "byte=0-1",    "bytess=0-1",  "=0-1",
		"0-1",	      "bytes=1-2-3", "bytes=1.0-2", "bytes==0-1",  "none",
		"*",
	};

	(void)state;
	for (u32 i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		expect_range(ranges[i], NULL, NULL);
}

static void two_range_lines_are_200(void **state)
{
	(void)state;
	expect_status("GET", "/", "Range: bytes=0-1\r\nRange: bytes=3-4\r\n", 200);
	expect_status("GET", "/", "Range: bytes=0-1\r\nRange: bytes=0-1\r\n", 200);
}

/* Positions past 64 bits must not wrap around to a range that exists. */
static void enormous_range_positions_do_not_wrap(void **state)
{
	static const char *const unsatisfiable[] = {
		"18446744073709551615-",
		"18446744073709551616-",
		"18446744073709551617-18446744073709551618",
		"184467440737095516160-",
		"9223372036854775808-9223372036854775809",
		"99999999999999999999999999999999999999-",
	};
	static const char *const whole[] = {
		"0-18446744073709551615",	"0-18446744073709551616",
		"0-99999999999999999999999999", "-18446744073709551615",
		"-18446744073709551616",	"-18446744073709551617",
		"-99999999999999999999999999",
	};
	char fields[128];
	struct exchange x;

	(void)state;
	for (u32 i = 0; i < sizeof(unsatisfiable) / sizeof(*unsatisfiable); i++) {
		snprintf(fields, sizeof(fields), "Range: bytes=%s\r\n", unsatisfiable[i]);
		ask(&x, "GET", "/", fields);
		engine_check(x.reply.status == 416 || x.reply.status == 200, "'%s' is %u",
			     unsatisfiable[i], x.reply.status);
		done(&x);
	}
	for (u32 i = 0; i < sizeof(whole) / sizeof(*whole); i++) {
		snprintf(fields, sizeof(fields), "Range: bytes=%s\r\n", whole[i]);
		ask(&x, "GET", "/", fields);
		engine_check(x.reply.status == 206 || x.reply.status == 200, "'%s' is %u", whole[i],
			     x.reply.status);
		expect_body(&x, ALPHABET);
		done(&x);
	}
}

static void suffix_of_empty_content_is_no_206(void **state)
{
	struct exchange x;

	(void)state;
	ask(&x, "GET", "/empty", "Range: bytes=-5\r\n");
	assert_true(x.reply.status == 200 || x.reply.status == 416);
	done(&x);
}

static void range_is_of_the_variant_that_is_chosen(void **state)
{
	struct exchange x;

	(void)state;
	ask(&x, "GET", "/multi", "Accept-Encoding: gzip\r\nRange: bytes=4-9\r\n");
	assert_int_equal(x.reply.status, 206);
	expect_field(&x, "Content-Range", "bytes 4-9/21");
	expect_field(&x, "Content-Encoding", "gzip");
	expect_field(&x, "ETag", GZIP);
	expect_body(&x, "really");
	done(&x);
	expect_unsatisfiable("/multi", "bytes=52-", "bytes */52");
}

static void if_range_with_the_same_tag_lets_range_count(void **state)
{
	(void)state;
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Range: " ROOT "\r\n", 206);
	expect_status("GET", "/", "If-Range: " ROOT "\r\nRange: bytes=99-\r\n", 416);
	expect_status("GET", "/multi",
		      "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\nIf-Range: " GZIP "\r\n", 206);
}

static void if_range_compares_strongly(void **state)
{
	(void)state;
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Range: W/" ROOT "\r\n", 200);
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n", 200);
	expect_status("GET", "/", "Range: bytes=99-\r\nIf-Range: \"x\"\r\n", 200);
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Range: *\r\n", 200);
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Range:\r\n", 200);
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Range: " ROOT ", \"x\"\r\n", 200);
	expect_status("GET", "/multi",
		      "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\nIf-Range: " BR "\r\n", 200);
}

static void if_range_with_a_date_needs_the_very_date(void **state)
{
	(void)state;
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Range: " SAME "\r\n", 206);
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Range: " EARLIER "\r\n", 200);
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Range: " LATER "\r\n", 200);
	expect_status("GET", "/", "Range: bytes=0-1\r\nIf-Range: Sun, 06 Nov 1994\r\n", 200);
}

static void two_if_range_lines_are_200(void **state)
{
	(void)state;
	expect_status("GET", "/",
		      "Range: bytes=0-1\r\nIf-Range: " ROOT "\r\nIf-Range: " ROOT "\r\n", 200);
}

static void if_range_without_range_does_nothing(void **state)
{
	(void)state;
	expect_status("GET", "/", "If-Range: " ROOT "\r\n", 200);
	expect_status("GET", "/", "If-Range: \"x\"\r\n", 200);
}

/* --- the built-in site ---------------------------------------------------------------------- */

/* Serve the built-in site from now on; free what is returned. */
static void *built_in(struct khttpd_site *opened, u64 large_len)
{
	u64 size = khttpd_builtin_size(large_len);
	const char *why = "";
	void *image = calloc(1, size);

	assert_non_null(image);
	khttpd_builtin_write(image, large_len);
	if (!khttpd_site_open(opened, image, size, &why))
		fail_msg("%s", why);
	site = opened;
	return image;
}

static void the_built_in_page_is_served(void **state)
{
	struct khttpd_site opened;
	struct exchange x;
	void *image;

	(void)state;
	image = built_in(&opened, 100000);
	ask(&x, "GET", "/", "");
	assert_int_equal(x.reply.status, 200);
	assert_true(x.reply.body_len > 100);
	assert_non_null(memmem(x.reply.body, x.reply.body_len, "khttpd", 6));
	assert_non_null(head_get(&x.head, "ETag").p);
	assert_non_null(head_get(&x.head, "Accept-Ranges").p);
	assert_true(head_get(&x.head, "Content-Type").len >= 9);
	assert_memory_equal(head_get(&x.head, "Content-Type").p, "text/html", 9);
	done(&x);
	expect_status("HEAD", "/", "", 200);
	expect_status("OPTIONS", "/", "", 204);
	expect_status("GET", "/", "If-None-Match: *\r\n", 304);
	expect_status("GET", "/", "Range: bytes=0-9\r\n", 206);
	expect_status("GET", "/x", "", 404);

	ask(&x, "GET", "/large.bin", "");
	assert_int_equal(x.reply.status, 200);
	assert_int_equal(x.reply.body_len, 100000);
	for (u32 i = 0; i < 100000; i++)
		assert_int_equal(x.reply.body[i], (u8)(i * 31 + (i >> 8)));
	done(&x);
	free(image);

	image = built_in(&opened, 0);
	expect_status("GET", "/", "", 200);
	expect_status("GET", "/large.bin", "", 404);
	free(image);
	site = fixture_site();
}

/* A validator that a client got must be understood when it comes back. */
static void validators_that_were_sent_are_understood(void **state)
{
	static const char *const codings[] = { "identity", "gzip", "br", "zstd" };
	static const char *const paths[] = { "/", "/multi", "/two", "/empty" };
	struct exchange x, y;
	char fields[512];

	(void)state;
	for (u32 i = 0; i < 16; i++) {
		struct khttpd_str etag, date;

		snprintf(fields, sizeof(fields), "Accept-Encoding: %s\r\n", codings[i / 4]);
		ask(&x, "GET", paths[i % 4], fields);
		etag = head_get(&x.head, "ETag");
		date = head_get(&x.head, "Last-Modified");
		snprintf(fields, sizeof(fields), "Accept-Encoding: %s\r\nIf-None-Match: %.*s\r\n",
			 codings[i / 4], (int)etag.len, etag.p);
		ask(&y, "GET", paths[i % 4], fields);
		assert_int_equal(y.reply.status, 304);
		done(&y);
		snprintf(fields, sizeof(fields),
			 "Accept-Encoding: %s\r\nIf-Modified-Since: %.*s\r\n", codings[i / 4],
			 (int)date.len, date.p);
		ask(&y, "GET", paths[i % 4], fields);
		assert_int_equal(y.reply.status, 304);
		done(&y);
		done(&x);
	}
}

static void lookup_compares_the_whole_path(void **state)
{
	(void)state;
	for (u32 i = 0; i < site->n_entries; i++) {
		const struct khttpd_image_entry *e = &site->entries[i];
		struct khttpd_str path = khttpd_site_text(site, &e->path);

		assert_ptr_equal(khttpd_site_find(site, le32_to_cpu(e->host), path), e);
	}
	assert_null(khttpd_site_find(site, 0, KHTTPD_STR("")));
	assert_null(khttpd_site_find(site, 0, KHTTPD_STR("/multI")));
	assert_null(khttpd_site_find(site, 0, KHTTPD_STR("/multi ")));
	assert_null(khttpd_site_find(site, 0, KHTTPD_STR("/mult")));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(get_sends_the_content_with_its_fields),
		cmocka_unit_test(the_content_is_sent_from_where_it_lies),
		cmocka_unit_test(head_has_gets_head),
		cmocka_unit_test(head_ignores_range),
		cmocka_unit_test(empty_content_has_length_0),
		cmocka_unit_test(options_gets_204_with_allow),
		cmocka_unit_test(other_methods_get_405_with_allow),
		cmocka_unit_test(missing_path_is_404),
		cmocka_unit_test(path_of_the_request_is_looked_up_decoded),
		cmocka_unit_test(conditions_do_not_touch_other_methods),
		cmocka_unit_test(http10_is_answered_in_its_framing),
		cmocka_unit_test(close_is_said_in_the_head),
		cmocka_unit_test(an_engine_can_ask_for_close),
		cmocka_unit_test(every_error_has_a_reply_that_closes),
		cmocka_unit_test(a_time_out_before_the_method_is_known_has_no_content),
		cmocka_unit_test(a_head_that_does_not_fit_decides_nothing),
		cmocka_unit_test(the_longest_field_group_fits_with_everything_else),
		cmocka_unit_test(no_accept_encoding_is_identity),
		cmocka_unit_test(empty_accept_encoding_is_identity),
		cmocka_unit_test(the_only_coding_offered_is_sent),
		cmocka_unit_test(coding_names_ignore_case),
		cmocka_unit_test(x_gzip_is_gzip),
		cmocka_unit_test(parts_of_names_are_other_names),
		cmocka_unit_test(equal_weights_leave_the_servers_order),
		cmocka_unit_test(greater_weight_wins),
		cmocka_unit_test(weights_may_have_white_space),
		cmocka_unit_test(q_zero_excludes),
		cmocka_unit_test(star_stands_for_the_rest),
		cmocka_unit_test(identity_q0_gives_406),
		cmocka_unit_test(star_q0_gives_406),
		cmocka_unit_test(without_identity_the_only_coding_is_sent_unless_excluded),
		cmocka_unit_test(several_accept_encoding_lines_are_one_list),
		cmocka_unit_test(broken_accept_encoding_is_no_error),
		cmocka_unit_test(vary_wherever_variants_exist),
		cmocka_unit_test(if_match_compares_strongly),
		cmocka_unit_test(if_match_in_several_lines_is_one_list),
		cmocka_unit_test(if_match_looks_at_the_variant_that_is_chosen),
		cmocka_unit_test(if_unmodified_since_counts_without_if_match),
		cmocka_unit_test(if_match_beats_if_unmodified_since),
		cmocka_unit_test(if_none_match_compares_weakly),
		cmocka_unit_test(if_none_match_is_a_list),
		cmocka_unit_test(junk_in_a_list_of_tags_matches_nothing),
		cmocka_unit_test(if_none_match_looks_at_the_variant_that_is_chosen),
		cmocka_unit_test(not_modified_has_etag_vary_cache_control_and_date),
		cmocka_unit_test(if_modified_since_counts_without_if_none_match),
		cmocka_unit_test(if_none_match_beats_if_modified_since),
		cmocka_unit_test(invalid_dates_are_ignored),
		cmocka_unit_test(precondition_failed_comes_before_not_modified),
		cmocka_unit_test(preconditions_come_before_range),
		cmocka_unit_test(nothing_acceptable_comes_before_preconditions),
		cmocka_unit_test(range_first_to_last),
		cmocka_unit_test(range_open),
		cmocka_unit_test(range_suffix),
		cmocka_unit_test(range_past_the_end_is_cut),
		cmocka_unit_test(range_unsatisfiable_is_416),
		cmocka_unit_test(range_unit_ignores_case),
		cmocka_unit_test(several_ranges_are_200),
		cmocka_unit_test(range_that_cannot_be_parsed_is_200),
		cmocka_unit_test(two_range_lines_are_200),
		cmocka_unit_test(enormous_range_positions_do_not_wrap),
		cmocka_unit_test(suffix_of_empty_content_is_no_206),
		cmocka_unit_test(range_is_of_the_variant_that_is_chosen),
		cmocka_unit_test(if_range_with_the_same_tag_lets_range_count),
		cmocka_unit_test(if_range_compares_strongly),
		cmocka_unit_test(if_range_with_a_date_needs_the_very_date),
		cmocka_unit_test(two_if_range_lines_are_200),
		cmocka_unit_test(if_range_without_range_does_nothing),
		cmocka_unit_test(the_built_in_page_is_served),
		cmocka_unit_test(validators_that_were_sent_are_understood),
		cmocka_unit_test(a_ready_head_changes_no_reply),
		cmocka_unit_test(lookup_compares_the_whole_path),
	};

	site = fixture_site();
	return cmocka_run_group_tests_name("response", tests, NULL, NULL);
}
