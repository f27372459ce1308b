/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* A temporary folder with a site in it, packed and asked. */
#ifndef KHTTPD_TESTS_SANDBOX_H
#define KHTTPD_TESTS_SANDBOX_H

#include <time.h>

#include "unit.h"
#include "../../pack/pack.h"

/**
 * struct sandbox - a folder and what was packed of it
 * @dir: the folder, which goes with the sandbox
 * @options: for sandbox_pack(); hosts[0] is "site" in @dir
 * @hosts: of @options
 * @messages: all that the packer said, a line each: "error: ..." or "warning: ..."
 * @packed: the result
 * @site: the same, opened
 */
struct sandbox {
	char dir[64];
	struct pack_options options;
	struct pack_host hosts[4];
	char *messages;
	struct packed packed;
	struct khttpd_site site;
};

/* One exchange with the packed site; its strings live in @e. */
struct exchange {
	struct engine e;
	struct head head;
	struct khttpd_reply reply;
};

void sandbox_begin(struct sandbox *s);
void sandbox_end(struct sandbox *s);

/* "dir/path", until the next call but three. */
const char *sandbox_name(const struct sandbox *s, const char *path);

/* Writes a file and the folders that it is in, all below @s->dir; modified at SANDBOX_TIME. */
#define SANDBOX_TIME 1000000000
#define SANDBOX_TIME_TEXT "Sun, 09 Sep 2001 01:46:40 GMT"
void sandbox_put(const struct sandbox *s, const char *path, const void *data, size_t len);
void sandbox_text(const struct sandbox *s, const char *path, const char *text);
void sandbox_modified(const struct sandbox *s, const char *path, time_t when);

/* Packs; true if it worked. */
bool sandbox_pack(struct sandbox *s);

/* Packs what must work without any message. */
void sandbox_must_pack(struct sandbox *s);

/* Packs what must fail with a message that has @text in it. */
void sandbox_must_fail(struct sandbox *s, const char *text);

void sandbox_ask(struct sandbox *s, struct exchange *x, const char *host, const char *method,
		 const char *target, const char *fields);
void exchange_end(struct exchange *x);

/* One GET of the default host: status and, unless NULL, the value of a field. */
void sandbox_expect(struct sandbox *s, const char *target, const char *fields, u16 status,
		    const char *name, const char *value);

/* One GET of the default host: status and body. */
void sandbox_expect_body(struct sandbox *s, const char *target, const char *fields, u16 status,
			 const void *body, size_t len);

/* The entry of a path, which is decoded; NULL if there is none. */
const struct khttpd_image_entry *sandbox_entry(const struct sandbox *s, const char *path);

#endif
