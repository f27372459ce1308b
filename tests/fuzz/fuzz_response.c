// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Fuzz core/response: any fields of a request against a site with several variants.
 *
 * Input: four bytes that select method, path, connection and size of the head, then lines: the
 * first byte is the field ('A' the first of enum khttpd_field_id, and so on), the rest its value.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "../unit/fixture.h"

#define N_FIELD_IDS (KHTTPD_ACCEPT_ENCODING + 1)

static void add_field(struct khttpd_request *req, const u8 *line, size_t len)
{
	struct khttpd_field *f = &req->fields[req->n_fields++];

	f->id = (line[0] - 'A' + 256) % N_FIELD_IDS;
	f->value = (struct khttpd_str){ (const char *)line + 1, len - 1 };
}

static bool has(const struct khttpd_request *req, enum khttpd_field_id id)
{
	for (u32 i = 0; i < req->n_fields; i++)
		if (req->fields[i].id == id)
			return true;
	return false;
}

/* Is the body a slice of one of the variants of path @shown? */
static void check_slice(const char *shown, const struct khttpd_reply *reply)
{
	const struct khttpd_image_variant *v;

	engine_check(shown, "%u for a path that is not there", reply->status);
	if (!reply->body_len)
		return;
	for (u32 i = 0; (v = fixture_variant(shown, i)); i++) {
		const u8 *body = fixture_site()->image + le32_to_cpu(v->body.at);
		u32 len = le32_to_cpu(v->body.len);

		if ((uintptr_t)reply->body >= (uintptr_t)body &&
		    reply->body + reply->body_len <= body + len) {
			if (reply->status == 200)
				engine_check(reply->body_len == len, "200 with a part");
			return;
		}
	}
	engine_fail("body is no slice of a variant");
}

/* What is asked for, and the path of what is shown for it: NULL where nothing or a redirect is. */
static const struct {
	const char *path;
	const char *shown;
	u16 otherwise;
} asked[] = {
	{ "/", "/" },
	{ "/multi", "/multi" },
	{ "/two", "/two" },
	{ "/empty", "/empty" },
	{ "/long", "/long" },
	{ "/missing", NULL, 404 },
	{ "/coded", "/coded" },
	{ "/dir", NULL, 301 },
	{ "/old/x/y", NULL, 301 },
	{ "/r//x", NULL, 307 },
	{ "/app/x", "/" },
	{ "/any/multi", "/multi" },
	{ "/any/missing", NULL, 404 },
	{ "/lost/x", NULL, 404 },
};

/* A status is allowed only where a field asks for it. */
static void check_cause(const struct khttpd_request *req, const struct khttpd_reply *reply,
			const char *shown, u16 otherwise)
{
	bool served = req->method == KHTTPD_GET || req->method == KHTTPD_HEAD;

	if (req->error)
		return;
	switch (reply->status) {
	case 200:
		engine_check(served, "200 to method %u", req->method);
		check_slice(shown, reply);
		break;
	case 206:
		engine_check(req->method == KHTTPD_GET && has(req, KHTTPD_RANGE), "206 unasked");
		check_slice(shown, reply);
		break;
	case 204:
		engine_check(req->method == KHTTPD_OPTIONS, "204 to method %u", req->method);
		break;
	case 304:
		engine_check(served && (has(req, KHTTPD_IF_NONE_MATCH) ||
					has(req, KHTTPD_IF_MODIFIED_SINCE)),
			     "304 unasked");
		break;
	case 301:
	case 307:
	case 404:
		engine_check(served && !shown && reply->status == otherwise,
			     "%u for a path that is there", reply->status);
		break;
	case 405:
		engine_check(!served && req->method != KHTTPD_OPTIONS, "405 to method %u",
			     req->method);
		break;
	case 406:
		engine_check(served && has(req, KHTTPD_ACCEPT_ENCODING), "406 unasked");
		break;
	case 412:
		engine_check(served && (has(req, KHTTPD_IF_MATCH) ||
					has(req, KHTTPD_IF_UNMODIFIED_SINCE)),
			     "412 unasked");
		break;
	case 416:
		engine_check(req->method == KHTTPD_GET && has(req, KHTTPD_RANGE), "416 unasked");
		break;
	default:
		engine_fail("%u without an error", reply->status);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u16 errors[] = { 400, 408, 413, 414, 431, 501, 503, 505 };
	struct khttpd_request req = { 0 };
	struct khttpd_reply reply;
	size_t head_size = KHTTPD_MAX_REPLY_HEAD;
	u32 path;
	char *head;

	if (size < 4)
		return 0;
	/* mostly GET and HEAD */
	req.method = data[0] & 0x80 ? 1 + data[0] % KHTTPD_PATCH : 1 + data[0] % 2;
	path = data[1] % (sizeof(asked) / sizeof(*asked));
	req.path = (struct khttpd_str){ asked[path].path, strlen(asked[path].path) };
	req.target = req.path;
	req.minor = !(data[2] & 1);
	req.close = data[2] & 2;
	if ((data[2] & 0xf0) == 0xf0) {
		req.error = errors[data[2] % 8];
		req.close = true;
	}
	if (req.method == KHTTPD_OPTIONS)
		req.any_server = data[2] & 4;
	if (data[3] >= 0x80)
		head_size = (data[3] & 0x7f) * 8;
	data += 4;
	size -= 4;
	while (size && req.n_fields < KHTTPD_MAX_FIELDS) {
		const u8 *nl = memchr(data, '\n', size);
		size_t len = nl ? (size_t)(nl - data) : size;

		if (len)
			add_field(&req, data, len);
		data += nl ? len + 1 : len;
		size -= nl ? len + 1 : len;
	}

	head = reply_plan(fixture_site(), &req, 1795165200, head_size, &reply);
	if (head) {
		check_cause(&req, &reply, asked[path].shown, asked[path].otherwise);
		free(head);
	}
	return 0;
}
