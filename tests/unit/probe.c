// SPDX-License-Identifier: MIT OR GPL-2.0
/* Uses a site that may come from a hostile image in every way that a client can. */
#include <stdlib.h>

#include "probe.h"
#include "../../core/crc32c.h"
#include "../../core/route.h"

#define NOW 1795165200 /* 2026-11-20 */

/* Where bytes go that are read for ASan's sake */
static volatile u8 sink;

void probe_seal(void *image, u64 size)
{
	struct khttpd_image_header *h = image;

	if (size < sizeof(*h))
		return;
	h->size = cpu_to_le32(size);
	h->header_crc = 0;
	h->content_crc = cpu_to_le32(khttpd_crc32c(0, h + 1, size - sizeof(*h)));
	h->header_crc = cpu_to_le32(khttpd_crc32c(0, h, sizeof(*h)));
}

static bool is_redirect(u16 status)
{
	return status >= 301 && status <= 308 && status != 304;
}

/* A local target must not have become another server's. */
static void check_location(const struct khttpd_site *site, const struct khttpd_request *req,
			   struct khttpd_str location)
{
	u32 host = khttpd_site_host(site, req->host);
	const struct khttpd_image_entry *e = khttpd_site_find(site, host, req->path);
	struct khttpd_route route;
	struct khttpd_str target;

	for (u32 i = 0; i < location.len; i++)
		engine_check(location.p[i] > ' ' && location.p[i] < 0x7f,
			     "bad character in Location");
	if (e && le16_to_cpu(e->status) != 200) {
		target = khttpd_site_text(site, &e->location);
	} else {
		engine_check(khttpd_route_find(site, host, req->path, &route),
			     "a redirect from nowhere");
		if (le16_to_cpu(route.rule->status) == 200)
			return; /* a rewrite to an entry whose location is fixed */
		target = khttpd_site_text(site, &route.rule->target);
	}
	if (khttpd_is_local(target))
		engine_check(khttpd_is_local(location), "open redirect to %.*s", (int)location.len,
			     location.p);
}

static void check_reply(const struct khttpd_site *site, const struct khttpd_request *req,
			const struct khttpd_reply *reply, const char *head,
			const struct khttpd_clock *clock)
{
	bool bodyless = reply->status == 204 || reply->status == 304;
	uintptr_t begin = (uintptr_t)reply->body, image = (uintptr_t)site->image;
	struct khttpd_str v;
	struct head h;
	u64 len = 0;

	head_parse(&h, head, reply->head_len);
	engine_check(h.status == reply->status, "head says %u, plan %u", h.status, reply->status);
	v = head_get(&h, "Date");
	engine_check(v.len == KHTTPD_DATE_LEN && !memcmp(v.p, clock->date, v.len), "wrong Date");
	engine_check(str_is(head_get(&h, "Server"), "khttpd"), "wrong Server");
	engine_check(!head_get(&h, "Transfer-Encoding").p, "Transfer-Encoding");
	engine_check(reply->close == req->close, "close is not as it was asked for");
	v = head_get(&h, "Connection");
	if (reply->close || !req->minor)
		engine_check(v.p && str_is(v, reply->close ? "close" : "keep-alive"),
			     "wrong Connection");
	else
		engine_check(!v.p, "Connection in HTTP/1.1 keep-alive");

	v = head_get(&h, "Content-Length");
	engine_check(!v.p == bodyless, "%u and Content-Length", reply->status);
	for (u32 i = 0; i < v.len; i++)
		len = len * 10 + v.p[i] - '0';
	if (bodyless || req->method == KHTTPD_HEAD)
		engine_check(!reply->body_len, "%u with content", reply->status);
	else
		engine_check(len == reply->body_len, "Content-Length is not the body's");
	for (u64 i = 0; i < reply->body_len; i++)
		sink += reply->body[i];
	if (reply->body_len && (reply->status == 200 || reply->status == 206))
		engine_check(begin >= image && begin - image <= site->size - reply->body_len,
			     "body outside of the image");

	v = head_get(&h, "Location");
	engine_check(!v.p == !is_redirect(reply->status), "%u and Location", reply->status);
	if (v.p)
		check_location(site, req, v);
	engine_check(reply->head_len <= site->longest_head, "head of %u bytes, longest %u",
		     reply->head_len, site->longest_head);
}

bool probe_reply(const struct khttpd_site *site, const struct khttpd_request *req, size_t size)
{
	struct khttpd_clock clock = { .seconds = NOW };
	struct khttpd_reply reply;
	char *head = malloc(size);
	bool fits;

	khttpd_date_format(clock.date, NOW);
	memset(&reply, 0xa5, sizeof(reply));
	fits = khttpd_reply_plan(site, req, &clock, head, size, &reply);
	if (fits) {
		engine_check(reply.head_len <= size, "head of %u bytes in %zu", reply.head_len,
			     size);
		check_reply(site, req, &reply, head, &clock);
	} else {
		engine_check(size < site->longest_head, "no reply fits %zu bytes", size);
	}
	free(head);
	return fits;
}

void probe_path(const struct khttpd_site *site, struct khttpd_str host, struct khttpd_str path)
{
	static const struct {
		enum khttpd_field_id id;
		const char *value;
	} fields[] = {
		{ KHTTPD_RANGE, "bytes=1-" },
		{ KHTTPD_RANGE, "bytes=-1" },
		{ KHTTPD_RANGE, "bytes=4294967295-" },
		{ KHTTPD_IF_NONE_MATCH, "*" },
		{ KHTTPD_IF_MATCH, "\"x\"" },
		{ KHTTPD_IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT" },
		{ KHTTPD_ACCEPT_ENCODING, "gzip, br;q=0.5" },
		{ KHTTPD_ACCEPT_ENCODING, "*;q=0" },
	};
	struct khttpd_request req = { .method = KHTTPD_GET, .minor = 1, .host = host };
	char *copy = malloc(path.len);

	/* alone in exact-size memory */
	memcpy(copy, path.p, path.len);
	req.path = (struct khttpd_str){ copy, path.len };
	req.target = req.path;
	probe_reply(site, &req, site->longest_head);
	probe_reply(site, &req, path.len % 97);
	probe_reply(site, &req, 150 + path.len % 97);
	req.query = KHTTPD_STR("q=1");
	req.close = true;
	probe_reply(site, &req, site->longest_head);
	req.close = false;
	req.minor = 0;
	req.method = KHTTPD_HEAD;
	probe_reply(site, &req, KHTTPD_MAX_REPLY_HEAD);
	req.minor = 1;
	req.method = KHTTPD_GET;
	req.n_fields = 1;
	for (u32 i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		req.fields[0].id = fields[i].id;
		req.fields[0].value =
			(struct khttpd_str){ fields[i].value, strlen(fields[i].value) };
		probe_reply(site, &req, site->longest_head);
	}
	free(copy);
}

/* A path that @pattern may match: placeholders become something nasty, or as little as can be. */
static u32 invent(struct khttpd_str pattern, bool nasty, char *out)
{
	const char *segment = nasty ? "%\\\xff." : "s", *rest = nasty ? "/x//\r\n?#" : "";
	u32 n = 0;

	for (u32 i = 0; i < pattern.len; i++) {
		const char *capture;

		if (pattern.p[i]) {
			out[n++] = pattern.p[i];
			continue;
		}
		capture = pattern.p[++i] == KHTTPD_RULE_SEGMENT ? segment : rest;
		memcpy(out + n, capture, strlen(capture));
		n += strlen(capture);
	}
	return n;
}

static void probe_rules(const struct khttpd_site *site, const struct khttpd_image_host *h)
{
	const struct khttpd_image_rule *r = site->rules + le32_to_cpu(h->first_rule);

	for (u32 i = 0; i < le32_to_cpu(h->n_rules); i++, r++) {
		struct khttpd_str pattern = khttpd_site_text(site, &r->pattern);
		struct khttpd_str path = { malloc(pattern.len * 8), 0 };

		for (u32 nasty = 0; nasty < 2; nasty++) {
			path.len = invent(pattern, nasty, (char *)path.p);
			probe_path(site, khttpd_site_text(site, &h->name), path);
		}
		free((char *)path.p);
	}
}

void probe_site(const struct khttpd_site *site)
{
	const struct khttpd_str nobody = KHTTPD_STR("nobody.example.");

	for (u32 i = 0; i < site->n_entries; i++) {
		const struct khttpd_image_entry *e = &site->entries[i];
		u32 host = le32_to_cpu(e->host);
		struct khttpd_str path = khttpd_site_text(site, &e->path);
		struct khttpd_str name = khttpd_site_text(site, &site->hosts[host].name);

		engine_check(khttpd_site_host(site, name) == host, "host %u is not found", host);
		engine_check(khttpd_site_find(site, host, path) == e, "entry %u is not found", i);
		probe_path(site, name, path);
		probe_path(site, nobody, path);
	}
	for (u32 i = 0; i < site->n_hosts; i++) {
		struct khttpd_str name = khttpd_site_text(site, &site->hosts[i].name);

		probe_path(site, name, KHTTPD_STR("/"));
		probe_path(site, name, KHTTPD_STR("/nowhere/to be\xff seen"));
		probe_rules(site, &site->hosts[i]);
	}
}
