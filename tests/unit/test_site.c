// SPDX-License-Identifier: MIT OR GPL-2.0
/* Rules of core/site and core/route: which images are refused, and what is found in the others. */
#include <stdio.h>
#include <stdlib.h>

#include "unit.h"
#include "fixture.h"
#include "probe.h"
#include "../../core/builtin.h"
#include "../../core/route.h"
#include "../../pack/image.h"

#define ETAG "ETag: \"tag\"\r\n"
#define STR(lit) ((struct khttpd_str)KHTTPD_STR(lit))

static struct khttpd_str str(const char *s)
{
	return (struct khttpd_str){ s, strlen(s) };
}

/* --- images for one test -------------------------------------------------------------------- */

/* An image in memory of exactly its size, and what khttpd_site_open() makes of it. */
struct built {
	u8 *image;
	u64 size;
	struct khttpd_site site;
};

static bool open_built(struct built *b, const char **why)
{
	*why = NULL;
	return khttpd_site_open(&b->site, b->image, b->size, why);
}

/* Lays out, writes, opens and frees @img. */
static void build(struct built *b, struct image *img)
{
	const char *why;

	b->size = image_layout(img, &why);
	assert_true(b->size > 0);
	b->image = calloc(1, b->size);
	image_write(img, b->image);
	image_free(img);
	if (!open_built(b, &why))
		fail_msg("%s", why);
}

static void copy_built(struct built *to, const struct built *from, u64 size)
{
	to->size = size;
	to->image = malloc(size);
	memcpy(to->image, from->image, size < from->size ? size : from->size);
}

static void variant(struct image *img, enum khttpd_coding coding, const char *first,
		    const char *body)
{
	const struct khttpd_str groups[4] = { str(first), STR("Vary: Accept-Encoding\r\n"),
					      STR(ETAG), STR("Accept-Ranges: bytes\r\n") };

	image_variant(img, coding, groups, image_body(img, body, strlen(body), false));
}

static u32 plain(struct image *img, u32 host, const char *path, const char *body)
{
	u32 entry = image_entry(img, host, str(path), FIXTURE_MODIFIED);

	variant(img, KHTTPD_IDENTITY, "Content-Type: text/plain\r\n", body);
	return entry;
}

#define RULE(img, status, pattern, target) image_rule(img, 0, status, STR(pattern), STR(target))

/* One of everything, in as few bytes as possible. */
static void build_small(struct built *b)
{
	struct image *img = image_new("small");
	u32 a = image_host(img, "a.example"), b_host = image_host(img, "b.example");

	image_entry(img, 0, STR("/"), FIXTURE_MODIFIED);
	variant(img, KHTTPD_GZIP, "Content-Encoding: gzip\r\n", "packed");
	variant(img, KHTTPD_IDENTITY, "X: y\r\n", "plain");
	image_redirect(img, 0, STR("/dir"), 301, STR("/dir/"));
	plain(img, a, "/", "a");
	image_not_found(img, a, plain(img, a, "/404", "none"));
	plain(img, b_host, "/", "");
	image_rule(img, a, 302, STR("/o/\0p/\0s"), STR("/\0\1/\0\0"));
	image_rule(img, a, 200, STR("/a/\0s"), STR("/\0\0"));
	image_rule(img, b_host, 404, STR("/b"), STR("/"));
	build(b, img);
}

/* --- one exchange ---------------------------------------------------------------------------- */

static const struct khttpd_limits limits = { .max_head = 65536,
					     .max_target = 60000,
					     .max_body = 100 };

struct exchange {
	struct engine e;
	struct head head;
	struct khttpd_reply reply;
};

static void ask(struct exchange *x, const struct khttpd_site *site, const char *method,
		const char *host, const char *target, const char *fields)
{
	char *text;
	int len = asprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, target, host,
			   fields);

	assert_true(len > 0);
	engine_init(&x->e, &limits, site);
	engine_feed(&x->e, text, len);
	free(text);
	assert_int_equal(x->e.n_events, 1);
	x->reply = x->e.events[0].reply;
	head_parse(&x->head, x->e.events[0].head, x->reply.head_len);
}

static void done(struct exchange *x)
{
	engine_free(&x->e);
}

static void expect_field(const struct exchange *x, const char *name, const char *value)
{
	struct khttpd_str v = head_get(&x->head, name);

	engine_check(value ? v.p && str_is(v, value) : !v.p, "%s is '%.*s', not '%s'", name,
		     (int)v.len, v.p, value ? value : "absent");
}

static void expect_body(const struct exchange *x, const char *body)
{
	engine_check(x->reply.body_len == strlen(body) &&
			     !memcmp(x->reply.body, body, x->reply.body_len),
		     "body is '%.*s', not '%s'", (int)x->reply.body_len, x->reply.body, body);
}

/* GET @target of @host: @status, and @location or @body; NULL: whatever it is. */
static void expect(const struct khttpd_site *site, const char *host, const char *target, u16 status,
		   const char *location, const char *body)
{
	struct exchange x;

	ask(&x, site, "GET", host, target, "");
	engine_check(x.reply.status == status, "%s%s is %u, not %u", host, target, x.reply.status,
		     status);
	if (location)
		expect_field(&x, "Location", location);
	if (body)
		expect_body(&x, body);
	done(&x);
}

/* --- images that are refused ----------------------------------------------------------------- */

/* The small image as it was, and the copy that a test spoils, with parts of it. */
static struct built small, spoilt;
static struct khttpd_image_header *header;
static struct khttpd_image_host *hosts;
static le32 *buckets;
static struct khttpd_image_entry *entries, *root, *dir;
static struct khttpd_image_variant *gzip, *identity;
static struct khttpd_image_rule *rules;

/* What was said so far. */
static const char *sentences[256];
static u32 n_sentences;

static int set_up(void **state)
{
	(void)state;
	build_small(&small);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(small.image);
	free(spoilt.image);
	return 0;
}

static char *text(const struct khttpd_image_ref *ref)
{
	return (char *)spoilt.image + le32_to_cpu(ref->at);
}

static char *head_of(const struct khttpd_image_variant *v)
{
	return (char *)spoilt.image + le32_to_cpu(v->head);
}

/* The entry of a path, in the copy. */
static struct khttpd_image_entry *entry(u32 host, const char *path)
{
	struct khttpd_image_entry *e = entries;

	while (le32_to_cpu(e->host) != host || le32_to_cpu(e->path.len) != strlen(path) ||
	       memcmp(text(&e->path), path, strlen(path)) != 0)
		e++;
	return e;
}

/* Begin anew: spoil what the variables above point at, then call refused(). */
static void fresh(void)
{
	free(spoilt.image);
	copy_built(&spoilt, &small, small.size);
	header = (void *)spoilt.image;
	hosts = (void *)(spoilt.image + le32_to_cpu(header->hosts));
	buckets = (void *)(spoilt.image + le32_to_cpu(header->buckets));
	entries = (void *)(spoilt.image + le32_to_cpu(header->entries));
	rules = (void *)(spoilt.image + le32_to_cpu(header->rules));
	root = entry(0, "/");
	dir = entry(0, "/dir");
	gzip = (void *)(spoilt.image + le32_to_cpu(header->variants));
	gzip += le32_to_cpu(root->first_variant);
	identity = gzip + 1;
}

static void refused_as_it_is(const char *sentence)
{
	struct built b;
	const char *why;

	copy_built(&b, &spoilt, spoilt.size); /* no byte more than that */
	if (open_built(&b, &why))
		fail_msg("not refused: '%s'", sentence);
	engine_check(!strcmp(why, sentence), "'%s' is not '%s'", why, sentence);
	free(b.image);
	sentences[n_sentences++] = sentence;
	assert_true(n_sentences < sizeof(sentences) / sizeof(*sentences));
}

static void refused(const char *sentence)
{
	probe_seal(spoilt.image, spoilt.size);
	refused_as_it_is(sentence);
}

/* Replaces @from, which must be in the head of @v, by @to, as long. */
static void edit(const struct khttpd_image_variant *v, const char *from, const char *to)
{
	char *at = memmem(head_of(v), le16_to_cpu(v->head_len), from, strlen(from));

	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
}

/* Entry @e gets another path, as long, and its hash. */
static void rename_entry(struct khttpd_image_entry *e, const char *path)
{
	memcpy(text(&e->path), path, strlen(path));
	e->hash = cpu_to_le32(khttpd_site_hash(small.site.seed, le32_to_cpu(e->host), str(path)));
}

/* All entries are in one bucket, where no hash is wrong. */
static void one_bucket(void)
{
	header->bucket_bits = 0;
	buckets[0] = 0;
	buckets[1] = header->n_entries;
}

static void the_header_is_checked(void **state)
{
	(void)state;

	fresh();
	spoilt.size = sizeof(struct khttpd_image_header) - 1;
	refused("it is shorter than the header of a site image");

	fresh();
	spoilt.size = 0;
	refused("it is shorter than the header of a site image");

	fresh();
	header->magic[7] = 0;
	refused("it is not a site image");

	fresh();
	header->version = cpu_to_le32(2);
	refused("it has another version of the format");

	fresh();
	header->seed ^= cpu_to_le32(1);
	refused_as_it_is("the checksum of its header is wrong");

	fresh();
	spoilt.size--;
	refused_as_it_is("it is cut short, or longer than its header says");

	fresh();
	spoilt.image[small.size - 1] ^= 1;
	refused_as_it_is("the checksum of its content is wrong");

	fresh();
	header->bucket_bits = cpu_to_le32(KHTTPD_IMAGE_MAX_BUCKET_BITS + 1);
	refused("a number in its header is out of range");

	fresh();
	header->bucket_bits = cpu_to_le32(32);
	refused("a number in its header is out of range");

	fresh();
	header->n_hosts = 0;
	refused("a number in its header is out of range");

	fresh();
	header->n_hosts = cpu_to_le32(KHTTPD_IMAGE_MAX_HOSTS + 1);
	refused("a number in its header is out of range");

	fresh();
	header->n_entries = cpu_to_le32(KHTTPD_IMAGE_NONE);
	refused("a number in its header is out of range");

	fresh();
	header->reserved[2] = cpu_to_le32(1);
	refused("a reserved field of its header is not zero");

	fresh();
	memset(header->name, 'x', sizeof(header->name));
	refused("its name is malformed");

	fresh();
	header->name[0] = '\033';
	refused("its name is malformed");

	fresh();
	header->name[20] = 'x';
	refused("its name is malformed");

	fresh();
	header->hosts = cpu_to_le32(sizeof(struct khttpd_image_header) - 8);
	refused("a table lies outside of it");

	fresh();
	header->entries = cpu_to_le32(le32_to_cpu(header->entries) + 4);
	refused("a table lies outside of it");

	fresh();
	header->bucket_bits = cpu_to_le32(KHTTPD_IMAGE_MAX_BUCKET_BITS);
	refused("a table lies outside of it");

	fresh();
	header->n_entries = cpu_to_le32(KHTTPD_IMAGE_NONE - 1);
	refused("a table lies outside of it");

	fresh();
	header->n_variants = cpu_to_le32(0xffffffff);
	refused("a table lies outside of it");

	fresh();
	header->n_rules = cpu_to_le32(0xffffffff);
	refused("a table lies outside of it");

	fresh();
	header->rules = cpu_to_le32(small.size / 8 * 8);
	refused("a table lies outside of it");

	fresh();
	header->variants = cpu_to_le32(0xfffffff8);
	refused("a table lies outside of it");
}

static void hosts_are_checked(void **state)
{
	(void)state;

	fresh();
	hosts[1].name.at = cpu_to_le32(small.size - 1);
	refused("the name of a host is out of range");

	fresh();
	hosts[1].name.len = 0;
	refused("the name of a host is out of range");

	fresh();
	hosts[0].name.len = cpu_to_le32(1);
	refused("the name of a host is out of range");

	fresh();
	hosts[1].name.len = cpu_to_le32(KHTTPD_IMAGE_MAX_HOST_NAME + 1);
	refused("the name of a host is out of range");

	/* would let each of many hosts be as long as the image */
	fresh();
	hosts[2].name = hosts[1].name;
	refused("the name of a host is out of range");

	fresh();
	text(&hosts[1].name)[0] = 'A';
	refused("the name of a host has a wrong character");

	fresh();
	text(&hosts[1].name)[3] = ' ';
	refused("the name of a host has a wrong character");

	fresh();
	text(&hosts[1].name)[3] = '\xe4';
	refused("the name of a host has a wrong character");

	fresh();
	text(&hosts[1].name)[8] = '.';
	refused("the name of a host ends with a dot");

	fresh();
	text(&hosts[1].name)[0] = 'b';
	refused("the hosts are not sorted");

	fresh();
	text(&hosts[1].name)[0] = 'c';
	refused("the hosts are not sorted");

	fresh();
	hosts[1].not_found = header->n_entries;
	refused("the error page of a host does not exist");

	fresh();
	hosts[1].not_found = cpu_to_le32(dir - entries);
	refused("the error page of a host does not exist");

	fresh();
	hosts[2].first_rule = cpu_to_le32(1);
	refused("the rules of a host are out of range");

	fresh();
	hosts[2].n_rules = cpu_to_le32(2);
	refused("the rules of a host are out of range");

	fresh();
	hosts[2].reserved = cpu_to_le32(1);
	refused("a reserved field of a host is not zero");
}

static void entries_are_checked(void **state)
{
	struct khttpd_image_entry *other;
	u32 i;

	(void)state;

	fresh();
	root->path.len = 0;
	refused("the path of an entry is out of range");

	fresh();
	root->path.at = cpu_to_le32(small.size);
	refused("the path of an entry is out of range");

	fresh();
	root->path.len = cpu_to_le32(0xffffffff);
	refused("the path of an entry is out of range");

	fresh();
	root->path.at = cpu_to_le32(8);
	refused("the path of an entry is out of range");

	fresh();
	text(&dir->path)[0] = 'd';
	refused("the path of an entry is malformed");

	fresh();
	text(&dir->path)[3] = 0;
	refused("the path of an entry is malformed");

	fresh();
	root->host = cpu_to_le32(3);
	refused("the host of an entry does not exist");

	fresh();
	root->hash ^= cpu_to_le32(0x80000000);
	refused("the hash of an entry is wrong");

	fresh();
	text(&dir->path)[3] = 'x';
	refused("the hash of an entry is wrong");

	fresh();
	root->first_variant = cpu_to_le32(le32_to_cpu(root->first_variant) + 1);
	refused("the variants of an entry are out of range");

	fresh();
	root->n_variants = cpu_to_le16(0xffff);
	refused("the variants of an entry are out of range");

	/* the table has entries, but none of the variants is left */
	fresh();
	header->n_variants = cpu_to_le32(1);
	refused("the variants of an entry are out of range");

	fresh();
	dir->location.len = 0;
	refused("the location of a redirect is malformed");

	fresh();
	dir->location.at = dir->path.at;
	refused("the location of a redirect is malformed");

	fresh();
	dir->location.len = cpu_to_le32(small.size);
	refused("the location of a redirect is malformed");

	fresh();
	text(&dir->location)[2] = '\r';
	refused("the location of a redirect is malformed");

	fresh();
	text(&dir->location)[2] = ' ';
	refused("the location of a redirect is malformed");

	fresh();
	text(&dir->location)[2] = '\x80';
	refused("the location of a redirect is malformed");

	fresh();
	root->status = cpu_to_le16(301);
	refused("the location of a redirect is malformed");

	fresh();
	dir->status = cpu_to_le16(304);
	refused("the status of an entry is neither 200 nor a redirect");

	fresh();
	dir->status = cpu_to_le16(200);
	refused("the status of an entry is neither 200 nor a redirect");

	fresh();
	root->status = cpu_to_le16(404);
	refused("the status of an entry is neither 200 nor a redirect");

	fresh();
	identity->coding = gzip->coding;
	refused("an entry has two variants of one coding");

	fresh();
	buckets[0] = cpu_to_le32(1);
	refused("a bucket of its hash table is out of range");

	fresh();
	buckets[small.site.mask + 1] = cpu_to_le32(small.site.n_entries + 1);
	refused("a bucket of its hash table is out of range");

	fresh();
	buckets[1] = cpu_to_le32(0xffffffff);
	refused("a bucket of its hash table is out of range");

	fresh();
	i = le32_to_cpu(entries[0].hash) & small.site.mask;
	assert_true(i < small.site.mask);
	buckets[i + 1] = 0;
	refused("an entry is in the wrong bucket");

	fresh();
	one_bucket();
	other = entry(1, "/404");
	other->host = 0;
	rename_entry(other, "/dir");
	refused("it has two entries for one path");

	fresh();
	one_bucket();
	buckets[1] = cpu_to_le32(small.site.n_entries - 1);
	refused("it has entries that nothing leads to");
}

static void heads_and_bodies_are_checked(void **state)
{
	(void)state;

	fresh();
	edit(identity, "X: y", "X:yy");
	refused("a field line of a variant is malformed");

	fresh();
	edit(identity, "X: y", "X: \001");
	refused("a field line of a variant is malformed");

	fresh();
	edit(identity, "X: y", "X: \x7f");
	refused("a field line of a variant is malformed");

	fresh();
	edit(identity, "X: y", "X:  ");
	refused("a field line of a variant is malformed");

	fresh();
	edit(identity, "X: y", "\x80: y");
	refused("a field line of a variant is malformed");

	fresh();
	edit(identity, "X: y", ": yy");
	refused("a field line of a variant is malformed");

	fresh();
	edit(identity, "X: y\r\n", "\r\nX: y");
	refused("a field line of a variant is malformed");

	/* the line goes on in the next group */
	fresh();
	identity->group[1] = cpu_to_le16(le16_to_cpu(identity->group[1]) - 1);
	refused("a field line of a variant is malformed");

	fresh();
	edit(gzip, "Content-Encoding: gzip", "Transfer-Encoding:gzip");
	refused("a field line of a variant is malformed");

	fresh();
	edit(gzip, "Content-Encoding: gzip", "coNtent-length: 100000");
	refused("a field line of a variant is for the server to write");

	/* a second one */
	fresh();
	edit(gzip, "Content-Encoding: gzip", "ETag: \"xxxxxxxxxxxxxx\"");
	refused("a field line of a variant is for the server to write");

	fresh();
	identity->head = cpu_to_le32(small.size - 1);
	refused("the head of a variant is out of range");

	fresh();
	identity->head = cpu_to_le32(0);
	refused("the head of a variant is out of range");

	fresh();
	identity->head = gzip->head;
	identity->head_len = gzip->head_len;
	refused("the head of a variant is out of range");

	fresh();
	identity->head_len = cpu_to_le16(1);
	refused("the head of a variant is out of range");

	fresh();
	identity->body.at = cpu_to_le32(small.size - 4);
	refused("the body of a variant is out of range");

	fresh();
	identity->body.len = cpu_to_le32(0xffffffff);
	refused("the body of a variant is out of range");

	fresh();
	identity->body.at = cpu_to_le32(0);
	refused("the body of a variant is out of range");

	fresh();
	identity->coding = cpu_to_le16(KHTTPD_CODINGS);
	refused("a variant has an unknown coding");

	fresh();
	identity->group[3] = cpu_to_le16(le16_to_cpu(identity->head_len) - 1);
	refused("the field groups of a variant are out of order");

	fresh();
	identity->group[1] = identity->group[3];
	refused("the field groups of a variant are out of order");

	fresh();
	identity->group[0] = cpu_to_le16(0xffff);
	refused("the field groups of a variant are out of order");

	/* no ETag but two lines of others */
	fresh();
	edit(identity, "ETag: \"tag\"", "Etag: \"tag\"");
	refused("a variant has no entity tag");

	fresh();
	identity->group[2] = identity->group[3];
	refused("a field line of a variant is for the server to write");

	fresh();
	identity->group[3] = identity->group[2];
	edit(identity, "ETag: \"tag\"", "Dtag: \"tag\"");
	refused("a variant has no entity tag");

	fresh();
	edit(identity, "\"tag\"", "\"ta\"\"");
	refused("the entity tag of a variant is malformed");

	fresh();
	edit(identity, "\"tag\"", "\"t g\"");
	refused("the entity tag of a variant is malformed");

	fresh();
	edit(identity, "\"tag\"", "\"tag'");
	refused("the entity tag of a variant is malformed");

	/* two lines */
	fresh();
	identity->group[3] = cpu_to_le16(le16_to_cpu(identity->head_len) - 2);
	refused("the entity tag of a variant is malformed");

	fresh();
	edit(identity, "Content-Length: 5", "Content-Length: 6");
	refused("the head of a variant does not fit its body");

	fresh();
	edit(identity, "200 OK", "201 OK");
	refused("the head of a variant does not fit its body");

	fresh();
	identity->body.len = cpu_to_le32(4);
	refused("the head of a variant does not fit its body");

	fresh();
	head_of(identity)[le16_to_cpu(identity->head_len) - 1] = ' ';
	refused("the head of a variant does not fit its body");

	/* its first line becomes one of the server's own */
	fresh();
	identity->group[0] = identity->group[1];
	refused("the head of a variant does not fit its body");
}

static void rules_are_checked(void **state)
{
	(void)state;

	fresh();
	rules[0].status = cpu_to_le16(204);
	refused("a rule has a status that is not supported");

	fresh();
	rules[0].reserved = cpu_to_le32(1);
	refused("a reserved field of a rule is not zero");

	fresh();
	rules[0].pattern.at = cpu_to_le32(small.size);
	refused("a text of a rule is out of range");

	fresh();
	rules[1].pattern = rules[0].pattern;
	refused("a text of a rule is out of range");

	fresh();
	rules[0].target.len = cpu_to_le32(0xffffffff);
	refused("a text of a rule is out of range");

	fresh();
	rules[2].pattern.len = 0;
	refused("the pattern of a rule is malformed");

	fresh();
	text(&rules[2].pattern)[0] = 'b';
	refused("the pattern of a rule is malformed");

	/* an escape without its letter */
	fresh();
	text(&rules[2].pattern)[1] = 0;
	refused("the pattern of a rule is malformed");

	fresh();
	text(&rules[0].pattern)[4] = 'q';
	refused("the pattern of a rule is malformed");

	/* a splat that is not the last */
	fresh();
	text(&rules[0].pattern)[4] = KHTTPD_RULE_SPLAT;
	refused("the pattern of a rule is malformed");

	/* would let a target name a capture that nobody sets */
	fresh();
	rules[0].n_captures = cpu_to_le16(3);
	refused("the pattern of a rule is malformed");

	fresh();
	rules[2].target.len = 0;
	refused("the target of a rule is malformed");

	fresh();
	text(&rules[2].target)[0] = 'x';
	refused("the target of a rule is malformed");

	fresh();
	text(&rules[0].target)[2] = 2;
	refused("the target of a rule is malformed");

	fresh();
	text(&rules[0].target)[2] = '\xff';
	refused("the target of a rule is malformed");

	fresh();
	rules[0].target.len = cpu_to_le32(2);
	refused("the target of a rule is malformed");

	fresh();
	text(&rules[0].target)[3] = '\n';
	refused("the target of a rule is malformed");

	fresh();
	text(&rules[0].target)[3] = '\x80';
	refused("the target of a rule is malformed");

	fresh();
	rules[0].target.at = cpu_to_le32(le32_to_cpu(rules[0].target.at) + 1);
	rules[0].target.len = cpu_to_le32(2);
	refused("a placeholder comes before the path of a target");

	fresh();
	text(&rules[0].target)[0] = 'x';
	refused("a placeholder comes before the path of a target");

	fresh();
	memcpy(text(&rules[0].target), "//\0\0/x", 6);
	refused("a placeholder comes before the path of a target");

	fresh();
	hosts[2].n_rules = 0;
	refused("it has rules that no host uses");
}

/* The four groups of a variant together, with their lines' ends. */
static void field_lines_have_4096_bytes(void **state)
{
	char first[KHTTPD_MAX_FIELD_GROUP + 2];
	const char *why;
	u32 len;

	(void)state;
	len = KHTTPD_MAX_FIELD_GROUP -
	      strlen("Vary: Accept-Encoding\r\n" ETAG "Accept-Ranges: bytes\r\n");
	for (u32 more = 0; more < 2; more++) {
		struct image *img = image_new("long");

		memset(first, 'x', len + more);
		memcpy(first, "X: ", 3);
		strcpy(first + len + more - 2, "\r\n");
		image_entry(img, 0, STR("/"), FIXTURE_MODIFIED);
		variant(img, KHTTPD_IDENTITY, first, "body");
		free(spoilt.image);
		spoilt.size = image_layout(img, &why);
		spoilt.image = calloc(1, spoilt.size);
		image_write(img, spoilt.image);
		image_free(img);
		if (more)
			refused("the field lines of a variant are too long");
		else
			assert_true(open_built(&spoilt, &why));
	}
}

/* A route has room for no more. */
static void a_rule_has_at_most_16_placeholders(void **state)
{
	char pattern[1 + 2 * (KHTTPD_IMAGE_MAX_CAPTURES + 1)] = "/";
	const char *why;

	(void)state;
	for (u32 i = 2; i < sizeof(pattern); i += 2)
		pattern[i] = KHTTPD_RULE_SEGMENT;
	for (u32 n = KHTTPD_IMAGE_MAX_CAPTURES; n <= KHTTPD_IMAGE_MAX_CAPTURES + 1; n++) {
		struct image *img = image_new("rules");

		image_rule(img, 0, 301, (struct khttpd_str){ pattern, 1 + 2 * n }, STR("/"));
		free(spoilt.image);
		spoilt.size = image_layout(img, &why);
		spoilt.image = calloc(1, spoilt.size);
		image_write(img, spoilt.image);
		image_free(img);
		if (n > KHTTPD_IMAGE_MAX_CAPTURES)
			refused("the pattern of a rule is malformed");
		else
			assert_true(open_built(&spoilt, &why));
	}
}

/* Whoever adds a refusal adds a test of it. */
static void every_sentence_was_said(void **state)
{
	FILE *f = fopen("core/site.c", "r");
	char line[256], *begin, *end;
	u32 i, n = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		begin = strstr(line, "return refuse(");
		if (!begin)
			continue;
		begin = strchr(begin, '"');
		end = begin ? strchr(begin + 1, '"') : NULL;
		engine_check(end, "not in one line: %s", line);
		*end = '\0';
		n++;
		for (i = 0; i < n_sentences && strcmp(sentences[i], begin + 1) != 0; i++)
			;
		engine_check(i < n_sentences, "never provoked: %s", begin + 1);
	}
	fclose(f);
	assert_true(n > 40);
}

/* --- images that are damaged ------------------------------------------------------------------ */

/* Opens and, if it is not refused, uses the @size first bytes of @image in memory of that size. */
static bool survives(const void *image, u64 size, bool seal)
{
	struct built b = { .image = malloc(size), .size = size };
	const char *why;
	bool opened;

	memcpy(b.image, image, size);
	if (seal)
		probe_seal(b.image, size);
	opened = open_built(&b, &why);
	if (opened)
		probe_site(&b.site);
	else
		assert_non_null(why);
	free(b.image);
	return opened;
}

static void a_cut_image_is_refused(void **state)
{
	u32 opened = 0;

	(void)state;
	for (u64 size = 0; size < small.size; size++) {
		assert_false(survives(small.image, size, false));
		opened += survives(small.image, size, true);
	}
	/* its end is the content of one entry, or text of a rule, and nothing is left over */
	assert_int_equal(opened, 0);
	assert_true(survives(small.image, small.size, true));
}

static void a_longer_image_is_refused(void **state)
{
	struct built b;

	(void)state;
	copy_built(&b, &small, small.size + 8);
	memset(b.image + small.size, 0, 8);
	assert_false(survives(b.image, b.size, false));
	assert_true(survives(b.image, b.size, true));
	free(b.image);
}

static void a_changed_byte_is_refused_or_harmless(void **state)
{
	u32 opened = 0;

	(void)state;
	for (u64 at = 0; at < small.size; at++) {
		for (u32 i = 0; i < 12; i++) {
			u8 was = small.image[at];
			const u8 to[] = {
				was ^ 1,  was ^ 2,   was ^ 4, was ^ 8, was ^ 16, was ^ 32,
				was ^ 64, was ^ 128, 0,	      0xff,    was + 1,	 was - 1
			};

			if (to[i] == was)
				continue;
			small.image[at] = to[i];
			assert_false(survives(small.image, small.size, false));
			opened += survives(small.image, small.size, true);
			small.image[at] = was;
		}
	}
	/* contents, names, times: there is much that may be anything */
	assert_true(opened > 100);
}

/* Several numbers reach what one alone cannot: a length with its offset, a status with its text. */
static void changed_numbers_are_refused_or_harmless(void **state)
{
	u64 seed = unit_seed();
	u32 opened = 0;

	(void)state;
	for (u32 i = 0; i < 30000; i++) {
		struct built b;

		copy_built(&b, &small, small.size);
		for (u32 n = 1 + random_next(&seed) % 3; n; n--) {
			u64 at = random_next(&seed) % (small.size / 4) * 4;
			const u32 to[] = { 0,
					   1,
					   small.size,
					   small.size - 1,
					   0xffffffff,
					   random_next(&seed) % small.size,
					   random_next(&seed) % 8,
					   random_next(&seed) };
			le32 value = cpu_to_le32(to[random_next(&seed) % 8]);

			memcpy(b.image + at, &value, 1 + random_next(&seed) % 4);
		}
		opened += survives(b.image, b.size, true);
		free(b.image);
	}
	assert_true(opened > 100);
}

static void the_built_in_image_and_the_fixture_can_be_probed(void **state)
{
	struct built b = { .size = khttpd_builtin_size(20000) };
	const char *why;

	(void)state;
	b.image = calloc(1, b.size);
	khttpd_builtin_write(b.image, 20000);
	assert_true(open_built(&b, &why));
	probe_site(&b.site);
	free(b.image);
	probe_site(fixture_site());
	probe_site(&small.site);
}

static void fields_that_frame_a_reply_are_the_servers(void **state)
{
	static const char *const names[] = { "Content-Length",
					     "transfer-encoding",
					     "CONNECTION",
					     "Keep-Alive",
					     "Upgrade",
					     "Trailer",
					     "Date",
					     "Server",
					     "ETag",
					     "Content-Range",
					     "Location",
					     "Allow",
					     "Proxy-Connection" };
	static const char *const others[] = { "Content-Type",  "Content-Encoding",
					      "Vary",	       "X",
					      "Cache-Control", "Last-Modified",
					      "Set-Cookie",    "Content-Lengths",
					      "Dat",	       "Accept-Ranges" };

	(void)state;
	for (u32 i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_true(khttpd_site_reserves(str(names[i])));
	for (u32 i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(khttpd_site_reserves(str(others[i])));
}

/* --- hosts and look-up ------------------------------------------------------------------------ */

static void host_names_ignore_case_a_final_dot_and_the_port(void **state)
{
	static const char *const names[] = { "other.example",	 "OTHER.example",
					     "Other.Example.",	 "other.example:8081",
					     "other.example.:1", "oTHER.EXAMPLe:" };

	(void)state;
	for (u32 i = 0; i < sizeof(names) / sizeof(*names); i++)
		expect(fixture_site(), names[i], "/", 200, NULL, "the other host");
	expect(fixture_site(), "a.example", "/", 200, NULL, "host a");
	expect(fixture_site(), "x", "http://OTHER.example:80/", 200, NULL, "the other host");
}

static void a_host_that_is_not_known_is_the_default_host(void **state)
{
	static const char *const names[] = { "",
					     ".",
					     "other.exampl",
					     "other.examples",
					     "www.other.example",
					     "other.example..",
					     "127.0.0.1",
					     "[::1]:80",
					     "%61.example" };

	(void)state;
	for (u32 i = 0; i < sizeof(names) / sizeof(*names); i++) {
		expect(fixture_site(), names[i], "/", 200, NULL, ALPHABET);
		expect(fixture_site(), names[i], "/exact", 302, "/to#there", NULL);
	}
}

static void paths_and_rules_of_one_host_are_not_anothers(void **state)
{
	(void)state;
	expect(fixture_site(), "other.example", "/multi", 404, NULL, "nothing here\n");
	expect(fixture_site(), "other.example", "/exact", 404, NULL, "nothing here\n");
	expect(fixture_site(), "a.example", "/404.html", 404, NULL, "404 Not Found\n");
}

static void each_of_many_hosts_is_found(void **state)
{
	static char bodies[KHTTPD_IMAGE_MAX_HOST_NAME][8];
	struct image *img = image_new("hosts");
	char name[KHTTPD_IMAGE_MAX_HOST_NAME + 2] = "", body[8];
	struct built b;

	(void)state;
	/* of every length, and each the beginning of the next */
	for (u32 i = 0; i < KHTTPD_IMAGE_MAX_HOST_NAME; i++) {
		name[i] = 'h';
		snprintf(bodies[i], sizeof(bodies[i]), "%u", i);
		plain(img, image_host(img, name), "/", bodies[i]);
	}
	build(&b, img);
	for (u32 i = 0; i < KHTTPD_IMAGE_MAX_HOST_NAME; i++) {
		memset(name, i % 2 ? 'h' : 'H', i + 1);
		name[i + 1] = '\0';
		snprintf(body, sizeof(body), "%u", i);
		expect(&b.site, name, "/", 200, NULL, body);
	}
	memset(name, 'h', KHTTPD_IMAGE_MAX_HOST_NAME + 1);
	name[KHTTPD_IMAGE_MAX_HOST_NAME + 1] = '\0';
	expect(&b.site, name, "/", 404, NULL, NULL);
	free(b.image);
}

static void a_site_may_have_nothing(void **state)
{
	struct built b;

	(void)state;
	build(&b, image_new("empty"));
	assert_int_equal(b.site.n_entries, 0);
	expect(&b.site, "a", "/", 404, NULL, "404 Not Found\n");
	probe_site(&b.site);
	free(b.image);
}

static void a_site_may_have_one_entry(void **state)
{
	struct image *img = image_new("one");
	struct built b;

	(void)state;
	plain(img, 0, "/one", "1");
	build(&b, img);
	expect(&b.site, "a", "/one", 200, NULL, "1");
	expect(&b.site, "a", "/", 404, NULL, NULL);
	probe_site(&b.site);
	free(b.image);
}

/* @n entries in one bucket. */
static bool open_chain(u32 n)
{
	struct image *img = image_new("chain");
	const char *why;
	struct built b;
	char path[16];
	bool opened;

	for (u32 i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/%u", 1000 + i);
		plain(img, 0, path, path[4] % 2 ? "odd" : "even");
	}
	build(&b, img);
	((struct khttpd_image_header *)b.image)->bucket_bits = 0;
	((le32 *)b.site.buckets)[0] = 0;
	((le32 *)b.site.buckets)[1] = cpu_to_le32(n);
	probe_seal(b.image, b.size);
	opened = open_built(&b, &why);
	if (opened) {
		for (u32 i = 0; i < n; i++) {
			snprintf(path, sizeof(path), "/%u", 1000 + i);
			expect(&b.site, "a", path, 200, NULL, path[4] % 2 ? "odd" : "even");
		}
		expect(&b.site, "a", "/999", 404, NULL, NULL);
	} else {
		assert_string_equal(why, "a bucket of its hash table is out of range");
	}
	free(b.image);
	return opened;
}

static void a_bucket_has_at_most_16_entries(void **state)
{
	(void)state;
	assert_true(open_chain(KHTTPD_IMAGE_MAX_CHAIN));
	assert_false(open_chain(KHTTPD_IMAGE_MAX_CHAIN + 1));
}

static void each_of_70000_entries_is_found(void **state)
{
	struct image *img = image_new("many");
	char path[64];
	struct built b;
	u32 n = 70000, len;

	(void)state;
	for (u32 i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/folder%u/some-page-%u.html", i % 100, i);
		plain(img, i % 2 ? image_host(img, "odd.example") : 0, path, "many");
	}
	build(&b, img);
	assert_int_equal(b.site.n_entries, n);
	for (u32 i = 0; i < n; i++) {
		const struct khttpd_image_entry *e;

		len = snprintf(path, sizeof(path), "/folder%u/some-page-%u.html", i % 100, i);
		e = khttpd_site_find(&b.site, i % 2, (struct khttpd_str){ path, len });
		assert_non_null(e);
		assert_int_equal(le32_to_cpu(e->path.len), len);
		assert_memory_equal(b.image + le32_to_cpu(e->path.at), path, len);
		assert_int_equal(le32_to_cpu(e->host), i % 2);
		assert_null(khttpd_site_find(&b.site, !(i % 2), (struct khttpd_str){ path, len }));
		path[i % len] ^= 0x80;
		assert_null(khttpd_site_find(&b.site, i % 2, (struct khttpd_str){ path, len }));
	}
	free(b.image);
}

static void the_same_input_gives_the_same_bytes(void **state)
{
	struct image *img = image_new("twice");
	const char *why;
	u8 *a, *b;
	u64 size;
	struct built again;

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		build_small(&again);
		assert_int_equal(again.size, small.size);
		assert_memory_equal(again.image, small.image, small.size);
		free(again.image);
	}
	for (u32 i = 0; i < 100; i++) {
		char path[16];

		snprintf(path, sizeof(path), "/%u", i);
		plain(img, 0, path, "body");
	}
	size = image_layout(img, &why);
	a = calloc(1, size);
	b = calloc(1, size);
	image_write(img, a);
	image_write(img, b);
	assert_memory_equal(a, b, size);
	image_free(img);
	free(a);
	free(b);
}

/* --- redirects -------------------------------------------------------------------------------- */

static void an_entry_can_be_a_redirect(void **state)
{
	struct exchange x;

	(void)state;
	ask(&x, fixture_site(), "GET", "a", "/dir", "");
	assert_int_equal(x.reply.status, 301);
	expect_field(&x, "Location", "/dir/");
	expect_field(&x, "ETag", NULL);
	expect_body(&x, "301 Moved Permanently\n");
	done(&x);
	expect(fixture_site(), "a", "/gone", 308, "https://example.net/x", NULL);
	expect(fixture_site(), "a", "/%64ir", 301, "/dir/", NULL);
}

static void preconditions_and_ranges_do_not_touch_redirects(void **state)
{
	static const char *const fields[] = { "If-None-Match: *\r\n", "If-Match: \"x\"\r\n",
					      "Range: bytes=0-1\r\n",
					      "Accept-Encoding: *;q=0\r\n" };
	static const char *const paths[] = { "/dir", "/exact" };
	struct exchange x;

	(void)state;
	for (u32 i = 0; i < 8; i++) {
		ask(&x, fixture_site(), "GET", "a", paths[i / 4], fields[i % 4]);
		assert_int_equal(x.reply.status, i / 4 ? 302 : 301);
		done(&x);
	}
}

static void only_get_and_head_are_redirected(void **state)
{
	struct exchange x;

	(void)state;
	ask(&x, fixture_site(), "HEAD", "a", "/dir", "");
	assert_int_equal(x.reply.status, 301);
	assert_int_equal(x.reply.body_len, 0);
	expect_field(&x, "Content-Length", "22");
	done(&x);
	ask(&x, fixture_site(), "HEAD", "a", "/exact", "");
	assert_int_equal(x.reply.status, 302);
	done(&x);
	ask(&x, fixture_site(), "DELETE", "a", "/exact", "");
	assert_int_equal(x.reply.status, 405);
	done(&x);
	ask(&x, fixture_site(), "OPTIONS", "a", "/dir", "");
	assert_int_equal(x.reply.status, 204);
	done(&x);
}

static void the_query_follows_a_redirect_unless_it_has_its_own(void **state)
{
	struct image *img = image_new("queries");
	struct built b;

	(void)state;
	image_redirect(img, 0, STR("/plain"), 301, STR("/p"));
	image_redirect(img, 0, STR("/own"), 301, STR("/p?own=1"));
	image_redirect(img, 0, STR("/fragment"), 301, STR("/p#there"));
	image_redirect(img, 0, STR("/both"), 301, STR("/p?own=1#there?"));
	image_redirect(img, 0, STR("/late"), 301, STR("/p#there?no=query"));
	RULE(img, 301, "/rule/plain", "/p");
	RULE(img, 301, "/rule/own", "/p?own=1");
	RULE(img, 301, "/rule/fragment", "/p#there");
	RULE(img, 301, "/rule/both", "/p?own=1#there?");
	RULE(img, 301, "/rule/late", "/p#there?no=query");
	build(&b, img);
	for (u32 rule = 0; rule < 2; rule++) {
		const char *const steps[][2] = {
			{ "plain", "/p" },
			{ "plain?", "/p?" },
			{ "plain?a=1&b=%20/?", "/p?a=1&b=%20/?" },
			{ "own", "/p?own=1" },
			{ "own?a=1", "/p?own=1" },
			{ "fragment", "/p#there" },
			{ "fragment?a=1", "/p?a=1#there" },
			{ "both?a=1", "/p?own=1#there?" },
			{ "late?a=1", "/p?a=1#there?no=query" },
		};

		for (u32 i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
			char target[64];

			snprintf(target, sizeof(target), "/%s%s", rule ? "rule/" : "", steps[i][0]);
			expect(&b.site, "a", target, 301, steps[i][1], NULL);
		}
	}
	free(b.image);
}

static void placeholders_stand_for_a_segment_and_a_splat_for_the_rest(void **state)
{
	const struct khttpd_site *site = fixture_site();

	(void)state;
	expect(site, "a", "/old/x/y/z", 301, "/new/y/z?from=x", NULL);
	expect(site, "a", "/old/x/", 301, "/new/?from=x", NULL);
	expect(site, "a", "/old/x/?q", 301, "/new/?from=x", NULL);
	expect(site, "a", "/old/x", 404, NULL, NULL);
	expect(site, "a", "/old//y", 404, NULL, NULL);
	expect(site, "a", "/old/", 404, NULL, NULL);
	expect(site, "a", "/exact", 302, "/to#there", NULL);
	expect(site, "a", "/exact?q", 302, "/to?q#there", NULL);
	expect(site, "a", "/exact/", 404, NULL, NULL);
	expect(site, "a", "/exac", 404, NULL, NULL);
	expect(site, "a", "/a/1/b/2", 303, "https://example.com/2/1", NULL);
	expect(site, "a", "/a/1/b/2?x=y", 303, "https://example.com/2/1?x=y", NULL);
	expect(site, "a", "/a/1/b/2/", 404, NULL, NULL);
	expect(site, "a", "/a/1/b/", 404, NULL, NULL);
	expect(site, "a", "/a/1/c/2", 404, NULL, NULL);
	/* what the decoded path has decides */
	expect(site, "a", "/old/x%2Fy", 301, "/new/y?from=x", NULL);
	expect(site, "a", "/%6fld/x/y", 301, "/new/y?from=x", NULL);
	expect(site, "a", "/old/./x/q/../y", 301, "/new/y?from=x", NULL);
}

static void the_first_rule_that_matches_decides(void **state)
{
	struct image *img = image_new("order");
	struct built b;

	(void)state;
	plain(img, 0, "/is/there", "there");
	RULE(img, 301, "/is/\0p", "/1");
	RULE(img, 302, "/is/\0s", "/2");
	RULE(img, 307, "/\0s", "/3");
	build(&b, img);
	expect(&b.site, "a", "/is/there", 200, NULL, "there");
	expect(&b.site, "a", "/is/x", 301, "/1", NULL);
	expect(&b.site, "a", "/is/x/y", 302, "/2", NULL);
	expect(&b.site, "a", "/is/", 302, "/2", NULL);
	expect(&b.site, "a", "/is", 307, "/3", NULL);
	expect(&b.site, "a", "/", 307, "/3", NULL);
	free(b.image);
}

/* Whatever bytes a client sends, a location stays one, and means what the client meant. */
static void captures_are_percent_encoded(void **state)
{
	const struct khttpd_site *site = fixture_site();
	char path[1024] = "/r/", expected[1024] = "/", *p = path + 3, *e = expected + 1;

	(void)state;
	expect(site, "a", "/r/%0d%0aX:%20y", 307, "/%0D%0AX:%20y", NULL);
	expect(site, "a", "/r/%e4%b8%80", 307, "/%E4%B8%80", NULL);
	expect(site, "a", "/r/100%25", 307, "/100%25", NULL);
	expect(site, "a", "/r/%41%62", 307, "/Ab", NULL);
	expect(site, "a", "/r/%3Fa%23b", 307, "/%3Fa%23b", NULL);
	expect(site, "a", "/old/a&b=c+d/x", 301, "/new/x?from=a%26b%3Dc%2Bd", NULL);
	for (u32 c = 1; c < 256; c++) {
		p += sprintf(p, "%%%02x", c);
		if (c && strchr("!$&'()*+,;=:@/-._~", c))
			*e++ = c;
		else if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'))
			*e++ = c;
		else
			e += sprintf(e, "%%%02X", c);
	}
	*e = '\0';
	expect(site, "a", path, 307, expected, NULL);
}

static void no_capture_leads_to_another_server(void **state)
{
	static const char *const targets[][2] = {
		{ "/r/", "/" },
		{ "/r//evil.example", "/evil.example" },
		{ "/r/%2fevil.example", "/evil.example" },
		{ "/r////evil.example", "/evil.example" },
		{ "/r/%5c/evil.example", "/%5C/evil.example" },
		{ "/r/%09/evil.example", "/%09/evil.example" },
		{ "/swap/evil.example/", "/evil.example" },
		{ "/swap/evil.example//", "/evil.example" },
		{ "/swap/evil.example/x", "/x/evil.example" },
		{ "/in//x", "/x/evil" },
		{ "/in/", "/evil" },
		{ "/twice/", "/" },
		{ "/twice//", "/" },
	};
	struct image *img = image_new("open");
	struct built b;

	(void)state;
	RULE(img, 301, "/r/\0s", "/\0\0");
	RULE(img, 301, "/swap/\0p/\0s", "/\0\1/\0\0");
	RULE(img, 301, "/in/\0s", "/\0\0/evil");
	RULE(img, 301, "/twice/\0s", "/\0\0/\0\0/");
	RULE(img, 301, "/far/\0s", "//far.example/\0\0");
	RULE(img, 301, "/query/\0s", "https://far.example?\0\0");
	build(&b, img);
	for (u32 i = 0; i < sizeof(targets) / sizeof(*targets); i++)
		expect(&b.site, "a", targets[i][0], 301, targets[i][1], NULL);
	/* where the site itself wants another server, that one */
	expect(&b.site, "a", "/far//evil.example", 301, "//far.example//evil.example", NULL);
	expect(&b.site, "a", "/far/@evil.example", 301, "//far.example/@evil.example", NULL);
	expect(&b.site, "a", "/query/.evil/@x", 301, "https://far.example?.evil%2F%40x", NULL);
	free(b.image);
}

static bool can_be_a_target(const char *target, u32 len)
{
	struct built b = { 0 };
	struct image *img = image_new("target");
	const char *why;
	bool opened;

	image_rule(img, 0, 301, STR("/\0s"), (struct khttpd_str){ target, len });
	b.size = image_layout(img, &why);
	b.image = calloc(1, b.size);
	image_write(img, b.image);
	image_free(img);
	opened = open_built(&b, &why);
	free(b.image);
	return opened;
}

#define CAN(target) can_be_a_target(target, sizeof(target) - 1)

static void placeholders_come_after_the_path_has_begun(void **state)
{
	(void)state;
	assert_true(CAN("/\0\0"));
	assert_true(CAN("/x\0\0"));
	assert_true(CAN("//host/\0\0"));
	assert_true(CAN("https://host/\0\0"));
	assert_true(CAN("https://host?\0\0"));
	assert_true(CAN("https://host#\0\0"));
	assert_true(CAN("https://host"));
	assert_true(CAN("relative"));
	assert_false(CAN("\0\0"));
	assert_false(CAN("relative\0\0"));
	assert_false(CAN("//\0\0/"));
	assert_false(CAN("//host\0\0/"));
	assert_false(CAN("https:\0\0"));
	assert_false(CAN("https://\0\0.example/"));
	assert_false(CAN("https://host\0\0"));
	assert_false(CAN("https://host:\0\0/x"));
	assert_false(CAN("\0\0//host/"));
	assert_false(CAN("https:/\0\0/host/"));
}

/* The longest Location that fits its line, and one byte more. */
static void a_location_that_is_too_long_is_414(void **state)
{
	const u32 most = KHTTPD_MAX_FIELD_GROUP - strlen("Location: \r\n");
	struct exchange x;

	(void)state;
	for (u32 way = 0; way < 3; way++) {
		/* a capture, a query behind a rule, a query behind an entry */
		const char *const begin = way == 0 ? "/r/" : way == 1 ? "/exact?" : "/dir?";
		const u32 fixed = way == 0 ? strlen("/") :
				  way == 1 ? strlen("/to?#there") :
					     strlen("/dir/?");

		for (u32 more = 0; more < 2; more++) {
			u32 n = most - fixed + more;
			char *target = malloc(16 + n);

			memset(stpcpy(target, begin), 'x', n);
			target[strlen(begin) + n] = '\0';
			ask(&x, fixture_site(), "GET", "a", target, "");
			if (more) {
				assert_int_equal(x.reply.status, 414);
				assert_false(x.reply.close);
				expect_field(&x, "Location", NULL);
			} else {
				assert_int_equal(x.reply.status, way == 0 ? 307 :
								 way == 1 ? 302 :
									    301);
				assert_int_equal(head_get(&x.head, "Location").len, most);
			}
			done(&x);
			free(target);
		}
	}
}

/* Where a segment ends is found out once, by whatever rule needs it first. */
static void rules_share_what_is_known_of_a_path(void **state)
{
	static const char *const paths[] = { "/abcdefg/h/y", "/abcdefg/hijklmn/y", "/a/b/y",
					     "/abcdefghijklmno/p/y" };
	struct image *img = image_new("segments");
	struct khttpd_route route;
	struct built b;

	(void)state;
	image_rule(img, 0, 301, STR("/\0p/\0p/x"), STR("/x"));
	image_rule(img, 0, 301, STR("/\0p/\0p"), STR("/short"));
	image_rule(img, 0, 301, STR("/\0p/\0p/y"), STR("/y"));
	build(&b, img);
	for (u32 i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const char *second = strchr(paths[i] + 1, '/');
		const char *third = strchr(second + 1, '/');

		assert_true(khttpd_route_find(&b.site, 0, str(paths[i]), &route));
		assert_true(str_is(khttpd_site_text(&b.site, &route.rule->target), "/y"));
		assert_ptr_equal(route.captures[0].p, paths[i] + 1);
		assert_int_equal(route.captures[0].len, second - paths[i] - 1);
		assert_ptr_equal(route.captures[1].p, second + 1);
		assert_int_equal(route.captures[1].len, third - second - 1);
	}
	free(b.image);
}

/* One that grows through its captures must cost no more than what it may have. */
static void a_target_full_of_captures_costs_little(void **state)
{
	struct image *img = image_new("greedy");
	char target[KHTTPD_IMAGE_MAX_PATH] = "/", request[8192] = "/long/";
	struct khttpd_route route;
	struct built b;
	char out[1];
	u64 len;

	(void)state;
	/* the rest are NULs: placeholders for capture 0 */
	image_rule(img, 0, 301, STR("/long/\0s"), (struct khttpd_str){ target, 4095 });
	image_rule(img, 0, 200, STR("/path/\0s"), (struct khttpd_str){ target, 4095 });
	build(&b, img);
	memset(request + 6, 'x', sizeof(request) - 7);
	request[sizeof(request) - 1] = '\0';
	for (u32 i = 0; i < 2; i++) {
		memcpy(request, i ? "/path/" : "/long/", 6);
		assert_true(khttpd_route_find(&b.site, 0, str(request), &route));
		len = i ? khttpd_route_path(&b.site, &route, out, 1) :
			  khttpd_route_location(&b.site, &route, STR(""), out, 1);
		assert_true(len > KHTTPD_MAX_FIELD_GROUP && len < 2 * sizeof(request));
		expect(&b.site, "a", request, i ? 404 : 414, NULL, NULL);
	}
	free(b.image);
}

/* --- rewrites and pages for what is not found ------------------------------------------------ */

static void a_rewrite_shows_another_path(void **state)
{
	struct exchange x;

	(void)state;
	ask(&x, fixture_site(), "GET", "a", "/app/any/where?q", "");
	assert_int_equal(x.reply.status, 200);
	expect_body(&x, ALPHABET);
	expect_field(&x, "ETag", "\"root-identity\"");
	expect_field(&x, "Location", NULL);
	done(&x);
	ask(&x, fixture_site(), "GET", "a", "/app/x", "If-None-Match: \"root-identity\"\r\n");
	assert_int_equal(x.reply.status, 304);
	done(&x);
	ask(&x, fixture_site(), "GET", "a", "/app/", "Range: bytes=2-4\r\n");
	assert_int_equal(x.reply.status, 206);
	expect_body(&x, "cde");
	done(&x);
	ask(&x, fixture_site(), "GET", "a", "/any/multi", "Accept-Encoding: gzip\r\n");
	assert_int_equal(x.reply.status, 200);
	expect_field(&x, "Content-Encoding", "gzip");
	done(&x);
	ask(&x, fixture_site(), "HEAD", "a", "/app/x", "");
	assert_int_equal(x.reply.status, 200);
	assert_int_equal(x.reply.body_len, 0);
	done(&x);
	expect(fixture_site(), "a", "/any/dir?q", 301, "/dir/?q", NULL);
}

static void a_rewrite_is_not_tried_against_rules_again(void **state)
{
	(void)state;
	expect(fixture_site(), "a", "/any/exact", 404, NULL, "404 Not Found\n");
	expect(fixture_site(), "a", "/any/any", 404, NULL, NULL);
	expect(fixture_site(), "a", "/any/missing", 404, NULL, NULL);
}

static void a_host_has_its_own_page_for_what_is_not_found(void **state)
{
	static const char *const fields[] = { "",
					      "If-None-Match: *\r\n",
					      "If-None-Match: \"missing-identity\"\r\n",
					      "If-Match: \"x\"\r\n",
					      "Range: bytes=0-1\r\n",
					      "If-Modified-Since: " FIXTURE_MODIFIED_TEXT "\r\n" };
	struct exchange x;

	(void)state;
	for (u32 i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		ask(&x, fixture_site(), "GET", "other.example", "/missing", fields[i]);
		assert_int_equal(x.reply.status, 404);
		assert_false(x.reply.close);
		expect_body(&x, "nothing here\n");
		expect_field(&x, "Content-Type", "text/plain");
		expect_field(&x, "Cache-Control", "max-age=60");
		/* nothing that would let it be taken for what was asked for */
		expect_field(&x, "ETag", NULL);
		expect_field(&x, "Last-Modified", NULL);
		expect_field(&x, "Accept-Ranges", NULL);
		done(&x);
	}
	ask(&x, fixture_site(), "HEAD", "other.example", "/missing", "");
	assert_int_equal(x.reply.status, 404);
	assert_int_equal(x.reply.body_len, 0);
	expect_field(&x, "Content-Length", "13");
	done(&x);
	expect(fixture_site(), "other.example", "/404.html", 200, NULL, "nothing here\n");
	expect(fixture_site(), "a", "/missing", 404, NULL, "404 Not Found\n");
}

static void a_rule_can_have_a_page_for_what_is_not_found(void **state)
{
	struct exchange x;

	(void)state;
	expect(fixture_site(), "a", "/lost/x", 404, NULL, "lost\n");
	expect(fixture_site(), "a", "/lost", 200, NULL, "lost\n");
	ask(&x, fixture_site(), "GET", "a", "/lost/x", "Accept-Encoding: gzip\r\n");
	assert_int_equal(x.reply.status, 404);
	expect_field(&x, "Content-Encoding", "gzip");
	expect_field(&x, "Vary", "Accept-Encoding");
	expect_body(&x, "not really compressed");
	done(&x);
	ask(&x, fixture_site(), "GET", "a", "/lost/x", "Accept-Encoding: *;q=0\r\n");
	assert_int_equal(x.reply.status, 404);
	expect_body(&x, "404 Not Found\n");
	expect_field(&x, "Content-Encoding", NULL);
	expect_field(&x, "Vary", "Accept-Encoding");
	done(&x);
}

static void a_page_that_is_no_page_leaves_the_hosts(void **state)
{
	struct image *img = image_new("pages");
	struct built b;

	(void)state;
	image_not_found(img, 0, plain(img, 0, "/404", "the host's"));
	image_redirect(img, 0, STR("/dir"), 301, STR("/dir/"));
	RULE(img, 404, "/missing/\0s", "/nothing");
	RULE(img, 404, "/redirect/\0s", "/dir");
	RULE(img, 404, "/captured/\0s", "/\0\0");
	RULE(img, 200, "/rewrite/\0s", "/nothing");
	build(&b, img);
	expect(&b.site, "a", "/missing/x", 404, NULL, "the host's");
	expect(&b.site, "a", "/redirect/x", 404, NULL, "the host's");
	expect(&b.site, "a", "/captured/404", 404, NULL, "the host's");
	expect(&b.site, "a", "/rewrite/x", 404, NULL, "the host's");
	free(b.image);
}

/* As a_head_that_does_not_fit_decides_nothing: the same head for each size, or none. */
static void a_reply_does_not_depend_on_the_room_for_its_head(void **state)
{
	static const char *const asked[][2] = {
		{ "a", "/dir" },	  { "a", "/exact" },
		{ "a", "/old/x/y" },	  { "a", "/app/x" },
		{ "a", "/any/multi" },	  { "a", "/any/missing" },
		{ "a", "/lost/x" },	  { "other.example", "/missing" },
		{ "a", "/any/long" },	  { "a", "/any/dir" },
		{ "a", "/r//%ff%ff%ff" },
	};

	(void)state;
	for (u32 i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
		struct khttpd_request req = { .method = KHTTPD_GET, .minor = 1 };
		struct khttpd_reply whole, reply;
		char *head, *other;

		req.host = str(asked[i][0]);
		req.path = str(asked[i][1]);
		req.target = req.path;
		req.query = STR("a=1");
		for (u32 closing = 0; closing < 2; closing++) {
			req.close = closing;
			head = reply_plan(fixture_site(), &req, 0, KHTTPD_MAX_REPLY_HEAD, &whole);
			assert_non_null(head);
			for (u32 size = 0; size < KHTTPD_MAX_REPLY_HEAD; size++) {
				other = reply_plan(fixture_site(), &req, 0, size, &reply);
				assert_int_equal(!!other, size >= whole.head_len);
				if (!other)
					continue;
				assert_int_equal(reply.head_len, whole.head_len);
				assert_memory_equal(other, head, reply.head_len);
				assert_ptr_equal(reply.body, whole.body);
				assert_int_equal(reply.body_len, whole.body_len);
				free(other);
			}
			free(head);
		}
	}
}

/* What engines give a reply must be enough for any, or they would wait for room for ever. */
static void the_longest_head_is_enough_and_no_more_than_any(void **state)
{
	struct image *img = image_new("long");
	char first[KHTTPD_MAX_FIELD_GROUP + 1];
	struct built b;
	u32 len;

	(void)state;
	assert_true(fixture_site()->longest_head <= KHTTPD_MAX_REPLY_HEAD);
	len = KHTTPD_MAX_FIELD_GROUP -
	      strlen("Vary: Accept-Encoding\r\n" ETAG "Accept-Ranges: bytes\r\n");
	memset(first, 'x', len);
	memcpy(first, "X: ", 3);
	strcpy(first + len - 2, "\r\n");
	image_entry(img, 0, STR("/"), FIXTURE_MODIFIED);
	variant(img, KHTTPD_IDENTITY, first, "body");
	build(&b, img);
	assert_int_equal(b.site.longest_head, KHTTPD_MAX_REPLY_HEAD);
	probe_site(&b.site);
	free(b.image);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_is_checked),
		cmocka_unit_test(hosts_are_checked),
		cmocka_unit_test(entries_are_checked),
		cmocka_unit_test(heads_and_bodies_are_checked),
		cmocka_unit_test(rules_are_checked),
		cmocka_unit_test(field_lines_have_4096_bytes),
		cmocka_unit_test(a_rule_has_at_most_16_placeholders),
		cmocka_unit_test(every_sentence_was_said),
		cmocka_unit_test(a_cut_image_is_refused),
		cmocka_unit_test(a_longer_image_is_refused),
		cmocka_unit_test(a_changed_byte_is_refused_or_harmless),
		cmocka_unit_test(changed_numbers_are_refused_or_harmless),
		cmocka_unit_test(the_built_in_image_and_the_fixture_can_be_probed),
		cmocka_unit_test(fields_that_frame_a_reply_are_the_servers),
		cmocka_unit_test(host_names_ignore_case_a_final_dot_and_the_port),
		cmocka_unit_test(a_host_that_is_not_known_is_the_default_host),
		cmocka_unit_test(paths_and_rules_of_one_host_are_not_anothers),
		cmocka_unit_test(each_of_many_hosts_is_found),
		cmocka_unit_test(a_site_may_have_nothing),
		cmocka_unit_test(a_site_may_have_one_entry),
		cmocka_unit_test(a_bucket_has_at_most_16_entries),
		cmocka_unit_test(each_of_70000_entries_is_found),
		cmocka_unit_test(the_same_input_gives_the_same_bytes),
		cmocka_unit_test(an_entry_can_be_a_redirect),
		cmocka_unit_test(preconditions_and_ranges_do_not_touch_redirects),
		cmocka_unit_test(only_get_and_head_are_redirected),
		cmocka_unit_test(the_query_follows_a_redirect_unless_it_has_its_own),
		cmocka_unit_test(placeholders_stand_for_a_segment_and_a_splat_for_the_rest),
		cmocka_unit_test(the_first_rule_that_matches_decides),
		cmocka_unit_test(captures_are_percent_encoded),
		cmocka_unit_test(no_capture_leads_to_another_server),
		cmocka_unit_test(placeholders_come_after_the_path_has_begun),
		cmocka_unit_test(a_location_that_is_too_long_is_414),
		cmocka_unit_test(rules_share_what_is_known_of_a_path),
		cmocka_unit_test(a_target_full_of_captures_costs_little),
		cmocka_unit_test(a_rewrite_shows_another_path),
		cmocka_unit_test(a_rewrite_is_not_tried_against_rules_again),
		cmocka_unit_test(a_host_has_its_own_page_for_what_is_not_found),
		cmocka_unit_test(a_rule_can_have_a_page_for_what_is_not_found),
		cmocka_unit_test(a_page_that_is_no_page_leaves_the_hosts),
		cmocka_unit_test(a_reply_does_not_depend_on_the_room_for_its_head),
		cmocka_unit_test(the_longest_head_is_enough_and_no_more_than_any),
	};

	return cmocka_run_group_tests_name("site", tests, set_up, tear_down);
}
