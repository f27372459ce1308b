// SPDX-License-Identifier: MIT OR GPL-2.0
/* The site in memory: look-up, and the built-in page that is there before any image. */
#include "site.h"

#include "crc32c.h"
#include "date.h"
#include "response.h"

static const char page[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<title>khttpd</title>\n"
	"<style>\n"
	":root { color-scheme: light dark }\n"
	"body { margin: 12vh auto; max-width: 34rem; padding: 0 1.5rem;\n"
	"  font: 1.1rem/1.6 system-ui, sans-serif }\n"
	"h1 { font: 600 2.6rem/1 ui-monospace, monospace; margin: 0 }\n"
	"h1::after { content: \"_\"; color: #2a9d5c }\n"
	"code { font-family: ui-monospace, monospace }\n"
	"footer { border-top: 1px solid #8886; margin-top: 2.5rem; padding-top: .6rem;\n"
	"  font-size: .9rem; opacity: .75 }\n"
	"</style>\n"
	"</head>\n"
	"<body>\n"
	"<h1>khttpd</h1>\n"
	"<p>It works. khttpd is a static web server that lives inside the Linux kernel: a module\n"
	"that speaks HTTP/1.1 on the kernel's own TCP sockets, without a process behind it.</p>\n"
	"<p>Its HTTP core, which made this reply, is the same code in the kernel and in user\n"
	"space. Try <code>curl -v</code>, a <code>Range</code> or an <code>If-None-Match</code>\n"
	"on this page.</p>\n"
	"<footer>The built-in page. It is served while no site is loaded.</footer>\n"
	"</body>\n"
	"</html>\n";

/* When the page was last edited: Fri, 20 Nov 2026 00:00:00 GMT. Change it with the page. */
#define PAGE_DATE 1795132800

/*
 * Linear: a site has two resources at most until site images bring their hash table, and one
 * host, the default one.
 */
const struct khttpd_resource *khttpd_site_find(const struct khttpd_site *site,
					       struct khttpd_str host, struct khttpd_str path)
{
	const struct khttpd_resource *res = site->resources;
	u32 i;

	(void)host;
	for (i = 0; i < site->n_resources; i++, res++)
		if (res->path.len == path.len && !memcmp(res->path.p, path.p, path.len))
			return res;
	return NULL;
}

static char *append(char *p, const char *s, size_t len)
{
	memcpy(p, s, len);
	return p + len;
}

#define APPEND(p, lit) append(p, lit, sizeof(lit) - 1)

static char *append_hex(char *p, u64 value, u32 digits)
{
	while (digits--)
		*p++ = "0123456789abcdef"[value >> 4 * digits & 15];
	return p;
}

static void add_resource(struct khttpd_builtin *b, struct khttpd_str path, struct khttpd_str type,
			 const u8 *body, u64 body_len)
{
	u32 i = b->site.n_resources++;
	struct khttpd_variant *v = &b->variants[i];
	u32 digits;
	char *p;

	v->coding = KHTTPD_IDENTITY;
	v->body = body;
	v->body_len = body_len;

	p = APPEND(b->etag[i], "\"");
	p = append_hex(p, khttpd_crc32c(0, body, body_len), 8);
	p = APPEND(p, "-");
	for (digits = 1; body_len >> 4 * digits;)
		digits++;
	p = append_hex(p, body_len, digits);
	p = APPEND(p, "\"");
	v->etag = (struct khttpd_str){ b->etag[i], p - b->etag[i] };

	p = APPEND(b->fields_304[i], "ETag: ");
	p = append(p, v->etag.p, v->etag.len);
	p = APPEND(p, "\r\n");
	v->fields_304 = (struct khttpd_str){ b->fields_304[i], p - b->fields_304[i] };

	p = APPEND(b->fields[i], "Content-Type: ");
	p = append(p, type.p, type.len);
	p = APPEND(p, "\r\nLast-Modified: ");
	khttpd_date_format(p, PAGE_DATE);
	p += KHTTPD_DATE_LEN;
	p = APPEND(p, "\r\nAccept-Ranges: bytes\r\n");
	p = append(p, v->fields_304.p, v->fields_304.len);
	v->fields = (struct khttpd_str){ b->fields[i], p - b->fields[i] };

	v->ready = (struct khttpd_str){ NULL, 0 };
	v->ready = (struct khttpd_str){ b->ready[i],
					khttpd_reply_ready(v, b->ready[i], sizeof(b->ready[i])) };

	b->resources[i] = (struct khttpd_resource){
		.path = path,
		.last_modified = PAGE_DATE,
		.n_variants = 1,
		.variants = v,
	};
}

void khttpd_builtin_init(struct khttpd_builtin *b, const u8 *large, u64 large_len)
{
	b->site.resources = b->resources;
	b->site.n_resources = 0;
	add_resource(b, KHTTPD_STR("/"), KHTTPD_STR("text/html"), (const u8 *)page,
		     sizeof(page) - 1);
	if (large)
		add_resource(b, KHTTPD_STR("/large.bin"), KHTTPD_STR("application/octet-stream"),
			     large, large_len);
}
