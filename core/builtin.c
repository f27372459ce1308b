// SPDX-License-Identifier: MIT OR GPL-2.0
/* The site that is served while no image is loaded. */
#include "builtin.h"

#include "crc32c.h"
#include "date.h"
#include "image.h"
#include "response.h"
#include "site.h"

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

/* One page for everything but the large object, which begins at the next. */
#define BUILTIN_SIZE KHTTPD_IMAGE_PAGE
#define BUILTIN_MAX_ENTRIES 2

/* The tables, in their order. There is one bucket, so that all entries are in it. */
struct builtin {
	struct khttpd_image_header header;
	struct khttpd_image_host host;
	le32 buckets[2];
	struct khttpd_image_entry entries[BUILTIN_MAX_ENTRIES];
	struct khttpd_image_variant variants[BUILTIN_MAX_ENTRIES];
};

/* Where the next text goes. */
struct builtin_out {
	struct builtin *b;
	u32 at; /* from the image's beginning */
};

static void add_text(struct builtin_out *o, const char *s, size_t len)
{
	memcpy((char *)o->b + o->at, s, len);
	o->at += len;
}

#define ADD(o, lit) add_text(o, lit, sizeof(lit) - 1)

static void add_hex(struct builtin_out *o, u64 value, u32 digits)
{
	while (digits--)
		add_text(o, &"0123456789abcdef"[value >> 4 * digits & 15], 1);
}

static void begin_group(struct builtin_out *o, struct khttpd_image_variant *v, u32 i)
{
	v->group[i] = cpu_to_le16(o->at - le32_to_cpu(v->head));
}

/* The body lies at @body and ends before the texts begin, or behind them. */
static void add_entry(struct builtin_out *o, struct khttpd_str path, struct khttpd_str type,
		      u32 body, u32 body_len)
{
	struct khttpd_image_header *h = &o->b->header;
	u32 i = le32_to_cpu(h->n_entries), digits;
	struct khttpd_image_entry *e = &o->b->entries[i];
	struct khttpd_image_variant *v = &o->b->variants[i];
	char buf[KHTTPD_READY_START];

	e->hash = cpu_to_le32(khttpd_site_hash(0, 0, path));
	e->path.at = cpu_to_le32(o->at);
	e->path.len = cpu_to_le32(path.len);
	add_text(o, path.p, path.len);
	e->last_modified = cpu_to_le64(PAGE_DATE);
	e->first_variant = cpu_to_le32(i);
	e->status = cpu_to_le16(200);
	e->n_variants = cpu_to_le16(1);

	v->coding = cpu_to_le16(KHTTPD_IDENTITY);
	v->body.at = cpu_to_le32(body);
	v->body.len = cpu_to_le32(body_len);
	v->head = cpu_to_le32(o->at);
	add_text(o, buf, khttpd_ready_start(buf, body_len));
	begin_group(o, v, 0);
	ADD(o, "Content-Type: ");
	add_text(o, type.p, type.len);
	ADD(o, "\r\n");
	begin_group(o, v, 1);
	begin_group(o, v, 2);
	ADD(o, "ETag: \"");
	add_hex(o, khttpd_crc32c(0, (u8 *)o->b + body, body_len), 8);
	ADD(o, "-");
	for (digits = 1; body_len >> 4 * digits && digits < 8;)
		digits++;
	add_hex(o, body_len, digits);
	ADD(o, "\"\r\n");
	begin_group(o, v, 3);
	ADD(o, "Last-Modified: ");
	khttpd_date_format(buf, PAGE_DATE);
	add_text(o, buf, KHTTPD_DATE_LEN);
	ADD(o, "\r\nAccept-Ranges: bytes\r\n\r\n");
	v->head_len = cpu_to_le16(o->at - le32_to_cpu(v->head));

	h->n_entries = cpu_to_le32(i + 1);
	h->n_variants = cpu_to_le32(i + 1);
	o->b->buckets[1] = h->n_entries;
}

u64 khttpd_builtin_size(u64 large_len)
{
	return BUILTIN_SIZE + large_len;
}

void khttpd_builtin_write(void *image, u64 large_len)
{
	struct builtin *b = image;
	struct khttpd_image_header *h = &b->header;
	struct builtin_out o = { b, sizeof(*b) };
	u64 size = khttpd_builtin_size(large_len), i;
	u8 *large = (u8 *)image + BUILTIN_SIZE;

	memcpy(h->magic, KHTTPD_IMAGE_MAGIC, sizeof(h->magic));
	memcpy(h->name, "built-in", 8);
	h->version = cpu_to_le32(KHTTPD_IMAGE_VERSION);
	h->size = cpu_to_le32(size);
	h->n_hosts = cpu_to_le32(1);
	h->hosts = cpu_to_le32(offsetof(struct builtin, host));
	h->buckets = cpu_to_le32(offsetof(struct builtin, buckets));
	h->entries = cpu_to_le32(offsetof(struct builtin, entries));
	h->variants = cpu_to_le32(offsetof(struct builtin, variants));
	h->rules = cpu_to_le32(sizeof(*b)); /* none */
	b->host.name.at = cpu_to_le32(sizeof(*b));
	b->host.not_found = cpu_to_le32(KHTTPD_IMAGE_NONE);

	ADD(&o, page);
	add_entry(&o, KHTTPD_STR("/"), KHTTPD_STR("text/html"), sizeof(*b), sizeof(page) - 1);
	if (large_len) {
		for (i = 0; i < large_len; i++)
			large[i] = i * 31 + (i >> 8);
		add_entry(&o, KHTTPD_STR("/large.bin"), KHTTPD_STR("application/octet-stream"),
			  BUILTIN_SIZE, large_len);
	}
	h->content_crc = cpu_to_le32(khttpd_crc32c(0, h + 1, size - sizeof(*h)));
	h->header_crc = cpu_to_le32(khttpd_crc32c(0, h, sizeof(*h)));
}
