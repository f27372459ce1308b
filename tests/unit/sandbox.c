// SPDX-License-Identifier: MIT OR GPL-2.0
/* A temporary folder with a site in it, packed and asked. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void message(void *context, enum pack_severity severity, const char *text)
{
	struct sandbox *s = context;
	char *all;

	engine_check(asprintf(&all, "%s%s: %s\n", s->messages ? s->messages : "",
			      severity == PACK_ERROR ? "error" : "warning", text) >= 0,
		     "asprintf");
	free(s->messages);
	s->messages = all;
}

void sandbox_begin(struct sandbox *s)
{
	memset(s, 0, sizeof(*s));
	strcpy(s->dir, "/tmp/khttpd-pack.XXXXXX");
	engine_check(mkdtemp(s->dir), "%s: %s", s->dir, strerror(errno));
	chmod(s->dir, 0755);
	mkdir(sandbox_name(s, "site"), 0755);
	s->hosts[0] = (struct pack_host){ "", strdup(sandbox_name(s, "site")) };
	s->options = (struct pack_options){
		.name = "sandbox",
		.hosts = s->hosts,
		.n_hosts = 1,
		.level = PACK_LEVEL,
		.codings = 1U << KHTTPD_GZIP | 1U << KHTTPD_BR | 1U << KHTTPD_ZSTD,
		.jobs = 2,
		.mime_types = PACK_MIME_TYPES,
		.message = message,
		.context = s,
	};
}

static int remove_it(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void sandbox_end(struct sandbox *s)
{
	packed_free(&s->packed);
	free(s->messages);
	free((char *)s->hosts[0].dir);
	nftw(s->dir, remove_it, 32, FTW_DEPTH | FTW_PHYS);
}

const char *sandbox_name(const struct sandbox *s, const char *path)
{
	static char names[4][8192];
	static int next;

	next = (next + 1) % 4;
	snprintf(names[next], sizeof(names[next]), "%s/%s", s->dir, path);
	return names[next];
}

void sandbox_put(const struct sandbox *s, const char *path, const void *data, size_t len)
{
	const char *name = sandbox_name(s, path);
	char *slash, *copy = strdup(name);
	FILE *out;

	for (slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(copy, 0755);
		*slash = '/';
	}
	free(copy);
	out = fopen(name, "w");
	engine_check(out && fwrite(data, 1, len, out) == len && !fclose(out), "%s: %s", name,
		     strerror(errno));
	sandbox_modified(s, path, SANDBOX_TIME);
}

void sandbox_text(const struct sandbox *s, const char *path, const char *text)
{
	sandbox_put(s, path, text, strlen(text));
}

void sandbox_modified(const struct sandbox *s, const char *path, time_t when)
{
	const struct timespec times[2] = { { .tv_sec = when }, { .tv_sec = when } };

	engine_check(!utimensat(AT_FDCWD, sandbox_name(s, path), times, 0), "%s: %s", path,
		     strerror(errno));
}

bool sandbox_pack(struct sandbox *s)
{
	const char *why;

	packed_free(&s->packed);
	free(s->messages);
	s->messages = NULL;
	if (!pack_site(&s->options, &s->packed)) {
		engine_check(s->messages && strstr(s->messages, "error: "), "no reason is given");
		engine_check(!s->packed.image, "an image in spite of an error");
		return false;
	}
	engine_check(!s->messages || !strstr(s->messages, "error: "), "packed in spite of: %s",
		     s->messages);
	engine_check(khttpd_site_open(&s->site, s->packed.image, s->packed.size, &why), "%s", why);
	return true;
}

void sandbox_must_pack(struct sandbox *s)
{
	engine_check(sandbox_pack(s) && !s->messages, "%s", s->messages);
}

void sandbox_must_fail(struct sandbox *s, const char *text)
{
	engine_check(!sandbox_pack(s), "packed; it should say: %s", text);
	engine_check(strstr(s->messages, text), "it should say '%s', but says: %s", text,
		     s->messages);
}

void sandbox_ask(struct sandbox *s, struct exchange *x, const char *host, const char *method,
		 const char *target, const char *fields)
{
	static const struct khttpd_limits limits = { .max_head = 16384,
						     .max_target = 8192,
						     .max_body = 100 };
	char text[16384];
	int len = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method,
			   target, host, fields);

	engine_check(len > 0 && (size_t)len < sizeof(text), "request too long");
	engine_init(&x->e, &limits, &s->site);
	engine_feed(&x->e, text, len);
	engine_check(x->e.n_events == 1, "%u replies", x->e.n_events);
	x->reply = x->e.events[0].reply;
	head_parse(&x->head, x->e.events[0].head, x->reply.head_len);
}

void exchange_end(struct exchange *x)
{
	engine_free(&x->e);
}

void sandbox_expect(struct sandbox *s, const char *target, const char *fields, u16 status,
		    const char *name, const char *value)
{
	struct khttpd_str got;
	struct exchange x;

	sandbox_ask(s, &x, "a", "GET", target, fields);
	engine_check(x.reply.status == status, "GET %s: %u, not %u", target, x.reply.status,
		     status);
	if (name) {
		got = head_get(&x.head, name);
		engine_check(!got.p == !value, "GET %s: %s %s", target, name,
			     value ? "is missing" : "should not be there");
		engine_check(!value || str_is(got, value), "GET %s: %s is '%.*s', not '%s'", target,
			     name, (int)got.len, got.p, value);
	}
	exchange_end(&x);
}

void sandbox_expect_body(struct sandbox *s, const char *target, const char *fields, u16 status,
			 const void *body, size_t len)
{
	struct exchange x;

	sandbox_ask(s, &x, "a", "GET", target, fields);
	engine_check(x.reply.status == status, "GET %s: %u, not %u", target, x.reply.status,
		     status);
	engine_check(x.reply.body_len == len && !memcmp(x.reply.body, body, len),
		     "GET %s: another body of %llu bytes: %.*s", target,
		     (unsigned long long)x.reply.body_len,
		     x.reply.body_len < 100 ? (int)x.reply.body_len : 100, x.reply.body);
	exchange_end(&x);
}

const struct khttpd_image_entry *sandbox_entry(const struct sandbox *s, const char *path)
{
	return khttpd_site_find(&s->site, 0, (struct khttpd_str){ path, strlen(path) });
}
