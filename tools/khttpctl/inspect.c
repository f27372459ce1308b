// SPDX-License-Identifier: MIT OR GPL-2.0
/* khttpctl inspect: what a site image holds, as text or as JSON. */
#include <argp.h>
#include <err.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/date.h"
#include "../../pack/coding.h"
#include "../../pack/image.h"
#include "khttpctl.h"

/* --- texts --- */

static void *must(void *p)
{
	if (!p)
		err(EXIT_FAILURE, "out of memory");
	return p;
}

/* Bytes of a path as they would stand in a URL. */
static size_t encode(char *out, unsigned char c)
{
	if (c > ' ' && c < 0x7f && !strchr("\"#%<>?\\^`{|}", c)) {
		*out = c;
		return 1;
	}
	return sprintf(out, "%%%02X", c);
}

/*
 * A path, or a pattern or target of a rule, to be freed. Placeholders, whose names an image does
 * not have, are numbered. A location is as it is.
 */
static char *show(struct khttpd_str s, const struct khttpd_str *pattern, bool location)
{
	uint32_t i, capture = 0, splat = UINT32_MAX, n = 0;
	char *text = must(malloc(8 * (size_t)s.len + 1));
	size_t len = 0;

	for (i = 0; pattern && i < pattern->len; i++) {
		if (pattern->p[i])
			continue;
		if (pattern->p[++i] == KHTTPD_RULE_SPLAT)
			splat = n;
		n++;
	}
	for (i = 0; i < s.len; i++) {
		if (s.p[i] && location) {
			text[len++] = s.p[i];
		} else if (s.p[i]) {
			len += encode(text + len, s.p[i]);
		} else if (pattern) {
			capture = (unsigned char)s.p[++i];
			len += capture == splat ? sprintf(text + len, ":splat") :
						  sprintf(text + len, ":%u", capture + 1);
		} else if (s.p[++i] == KHTTPD_RULE_SPLAT) {
			text[len++] = '*';
		} else {
			len += sprintf(text + len, ":%u", ++capture);
		}
	}
	text[len] = 0;
	return text;
}

static char *show_path(const struct khttpd_site *site, const struct khttpd_image_entry *e)
{
	return show(khttpd_site_text(site, &e->path), NULL, false);
}

static bool is_redirect(uint16_t status)
{
	return status >= 300 && status < 400;
}

static void show_rule(const struct khttpd_site *site, const struct khttpd_image_rule *r,
		      char **pattern, char **target)
{
	struct khttpd_str from = khttpd_site_text(site, &r->pattern);

	*pattern = show(from, NULL, false);
	*target = show(khttpd_site_text(site, &r->target), &from,
		       is_redirect(le16_to_cpu(r->status)));
}

/* The value of the first line "@name: ..." among field lines; empty if there is none. */
static struct khttpd_str field(struct khttpd_str lines, const char *name)
{
	size_t n = strlen(name);
	const char *p = lines.p, *end = p + lines.len, *eol;

	for (; p < end; p = eol + 2) {
		eol = memmem(p, end - p, "\r\n", 2);
		if ((size_t)(eol - p) >= n + 2 && !strncasecmp(p, name, n) && p[n] == ':')
			return (struct khttpd_str){ p + n + 2, eol - p - n - 2 };
	}
	return (struct khttpd_str){ "", 0 };
}

/* --- order --- */

static int by_path(const void *a, const void *b, void *arg)
{
	const struct khttpd_site *site = arg;
	const struct khttpd_image_entry *x = &site->entries[*(const uint32_t *)a];
	const struct khttpd_image_entry *y = &site->entries[*(const uint32_t *)b];
	struct khttpd_str p = khttpd_site_text(site, &x->path);
	struct khttpd_str q = khttpd_site_text(site, &y->path);
	int order;

	if (x->host != y->host)
		return le32_to_cpu(x->host) < le32_to_cpu(y->host) ? -1 : 1;
	order = memcmp(p.p, q.p, p.len < q.len ? p.len : q.len);
	return order ? order : p.len < q.len ? -1 : p.len > q.len;
}

/* Numbers of all entries, by host and then by path; to be freed. */
static uint32_t *sorted(const struct khttpd_site *site)
{
	uint32_t *order = must(malloc((site->n_entries + 1ULL) * sizeof(*order))), i;

	for (i = 0; i < site->n_entries; i++)
		order[i] = i;
	if (site->n_entries)
		qsort_r(order, site->n_entries, sizeof(*order), by_path, (void *)site);
	return order;
}

/* --- as text --- */

static void print_entry(const struct khttpd_site *site, const struct khttpd_image_entry *e)
{
	const struct khttpd_image_variant *v = site->variants + le32_to_cpu(e->first_variant);
	struct khttpd_str text;
	char *path = show_path(site, e);
	uint32_t i;

	printf("%u  %s", le16_to_cpu(e->status), path);
	free(path);
	if (le16_to_cpu(e->status) != 200) {
		text = khttpd_site_text(site, &e->location);
		printf("  -> %.*s\n", (int)text.len, text.p);
		return;
	}
	text = field(khttpd_site_fields(site, v, 0, 1), "Content-Type");
	printf("  %.*s ", (int)text.len, text.p);
	for (i = 0; i < le16_to_cpu(e->n_variants); i++)
		printf(" %s=%u", coding_names[le16_to_cpu(v[i].coding)],
		       le32_to_cpu(v[i].body.len));
	putchar('\n');
}

static void print_rules(const struct khttpd_site *site, const struct khttpd_image_host *h)
{
	const struct khttpd_image_rule *r = site->rules + le32_to_cpu(h->first_rule);
	const struct khttpd_image_rule *end = r + le32_to_cpu(h->n_rules);
	char *pattern, *target;

	for (; r < end; r++) {
		show_rule(site, r, &pattern, &target);
		printf("%u  %s  => %s\n", le16_to_cpu(r->status), pattern, target);
		free(pattern);
		free(target);
	}
}

void image_list(const struct khttpd_site *site)
{
	uint32_t *order = sorted(site), i, host;

	for (host = i = 0; host < site->n_hosts; host++) {
		struct khttpd_str name = khttpd_site_text(site, &site->hosts[host].name);

		if (host)
			printf("\nhost %.*s\n", (int)name.len, name.p);
		for (; i < site->n_entries && le32_to_cpu(site->entries[order[i]].host) == host;
		     i++)
			print_entry(site, &site->entries[order[i]]);
		print_rules(site, &site->hosts[host]);
	}
	free(order);
}

static void hex(char out[33], const uint8_t digest[16])
{
	int i;

	for (i = 0; i < 16; i++)
		sprintf(out + 2 * i, "%02x", digest[i]);
}

/* The name is padded with NUL, and only by agreement printable. */
static void site_name(char out[33], const struct khttpd_image_header *h)
{
	size_t i;

	memcpy(out, h->name, sizeof(h->name));
	out[sizeof(h->name)] = 0;
	for (i = 0; out[i]; i++)
		if (out[i] < ' ' || out[i] == 0x7f)
			out[i] = '?';
}

static const char *verdict(const struct khttpd_site *site)
{
	const struct khttpd_image_header *h = (const void *)site->image;
	uint8_t digest[16];

	image_digest(site->image, site->size, digest);
	return memcmp(digest, h->digest, sizeof(digest)) ? "not that of the content" : NULL;
}

static void print_site(const struct khttpd_site *site, const char *file)
{
	const struct khttpd_image_header *h = (const void *)site->image;
	const char *wrong = verdict(site);
	char name[33], digest[33];
	uint32_t i, longest = 0;

	for (i = 0; i <= site->mask; i++)
		if (le32_to_cpu(site->buckets[i + 1]) - le32_to_cpu(site->buckets[i]) > longest)
			longest = le32_to_cpu(site->buckets[i + 1]) - le32_to_cpu(site->buckets[i]);
	site_name(name, h);
	hex(digest, h->digest);
	printf("%s: a site image, format %u\n", file, le32_to_cpu(h->version));
	printf("name:     %s\n", name);
	printf("digest:   %s%s%s\n", digest, wrong ? ", " : "", wrong ? wrong : "");
	printf("size:     %u bytes\n", site->size);
	printf("hosts:    %u\n", site->n_hosts);
	printf("paths:    %u, in %llu buckets of at most %u\n", site->n_entries, site->mask + 1ULL,
	       longest);
	printf("variants: %u\n", le32_to_cpu(h->n_variants));
	printf("rules:    %u\n\n", le32_to_cpu(h->n_rules));
	image_list(site);
}

/* --- as JSON, piece by piece: all of a large site would not fit into memory --- */

static json_t *json_bytes(struct khttpd_str s)
{
	json_t *json = json_stringn(s.p, s.len);
	char *latin;
	size_t len = 0;
	uint32_t i;

	if (json)
		return json;
	/*
	 * A field value that is not UTF-8: its bytes as ISO 8859-1, which they were in HTTP's
	 * first years
	 */
	latin = must(malloc(2 * (size_t)s.len + 1));
	for (i = 0; i < s.len; i++) {
		unsigned char c = s.p[i];

		if (c >= 0x80) {
			latin[len++] = 0xc0 | c >> 6;
			c = 0x80 | (c & 0x3f);
		}
		latin[len++] = c;
	}
	json = json_stringn(latin, len);
	free(latin);
	return must(json);
}

static json_t *json_text(char *text)
{
	json_t *json = must(json_string(text));

	free(text);
	return json;
}

static json_t *json_fields(struct khttpd_str lines)
{
	const char *p = lines.p, *end = p + lines.len, *eol, *colon;
	json_t *list = must(json_array());

	for (; p < end; p = eol + 2) {
		eol = memmem(p, end - p, "\r\n", 2);
		colon = memchr(p, ':', eol - p);
		json_array_append_new(
			list,
			json_pack("[o,o]", json_bytes((struct khttpd_str){ p, colon - p }),
				  json_bytes((struct khttpd_str){ colon + 2, eol - colon - 2 })));
	}
	return list;
}

static json_t *json_entry(const struct khttpd_site *site, const struct khttpd_image_entry *e)
{
	const struct khttpd_image_variant *v = site->variants + le32_to_cpu(e->first_variant);
	json_t *json = must(json_pack("{s:o,s:i}", "path", json_text(show_path(site, e)), "status",
				      le16_to_cpu(e->status)));
	json_t *variants;
	uint32_t i;

	if (le16_to_cpu(e->status) != 200) {
		json_object_set_new(json, "location",
				    json_bytes(khttpd_site_text(site, &e->location)));
		return json;
	}
	json_object_set_new(json, "last_modified",
			    json_integer((json_int_t)le64_to_cpu(e->last_modified)));
	variants = must(json_array());
	for (i = 0; i < le16_to_cpu(e->n_variants); i++)
		json_array_append_new(
			variants, json_pack("{s:s,s:I,s:o,s:o}", "coding",
					    coding_names[le16_to_cpu(v[i].coding)], "bytes",
					    (json_int_t)le32_to_cpu(v[i].body.len), "etag",
					    json_bytes(khttpd_site_etag(site, &v[i])), "fields",
					    json_fields(khttpd_site_fields(site, &v[i], 0, 4))));
	json_object_set_new(json, "variants", variants);
	return json;
}

static json_t *json_rule(const struct khttpd_site *site, const struct khttpd_image_rule *r)
{
	char *pattern, *target;

	show_rule(site, r, &pattern, &target);
	return must(json_pack("{s:i,s:o,s:o}", "status", le16_to_cpu(r->status), "pattern",
			      json_text(pattern), "target", json_text(target)));
}

static void print_json(json_t *json, const char *before)
{
	fputs(before, stdout);
	json_dumpf(json, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(json);
}

static void print_json_host(const struct khttpd_site *site, uint32_t host, const uint32_t *order,
			    uint32_t *next)
{
	const struct khttpd_image_host *h = &site->hosts[host];
	uint32_t not_found = le32_to_cpu(h->not_found), i;
	const char *before = "";

	print_json(json_bytes(khttpd_site_text(site, &h->name)), "{\"name\":");
	if (not_found != KHTTPD_IMAGE_NONE)
		print_json(json_text(show_path(site, &site->entries[not_found])),
			   ",\"not_found\":");
	fputs(",\n\"rules\":[", stdout);
	for (i = 0; i < le32_to_cpu(h->n_rules); i++)
		print_json(json_rule(site, &site->rules[le32_to_cpu(h->first_rule) + i]),
			   i ? ",\n" : "\n");
	fputs("],\n\"entries\":[\n", stdout);
	for (; *next < site->n_entries && le32_to_cpu(site->entries[order[*next]].host) == host;
	     ++*next) {
		print_json(json_entry(site, &site->entries[order[*next]]), before);
		before = ",\n";
	}
	fputs("]}", stdout);
}

static void print_json_site(const struct khttpd_site *site)
{
	const struct khttpd_image_header *h = (const void *)site->image;
	uint32_t *order = sorted(site), next = 0, host;
	char name[33], digest[33];

	site_name(name, h);
	hex(digest, h->digest);
	fputs("{", stdout);
	print_json(json_bytes((struct khttpd_str){ name, strlen(name) }), "\"name\":");
	printf(",\"version\":%u,\"digest\":\"%s\",\"digest_ok\":%s,\"size\":%u,\"hosts\":[",
	       le32_to_cpu(h->version), digest, verdict(site) ? "false" : "true", site->size);
	for (host = 0; host < site->n_hosts; host++) {
		fputs(host ? ",\n" : "\n", stdout);
		print_json_host(site, host, order, &next);
	}
	puts("]}");
	free(order);
}

/* --- */

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "as JSON, with all fields", 0 },
	{ 0 },
};

struct arguments {
	const char *file;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'j':
		a->json = true;
		break;
	case ARGP_KEY_ARG:
		if (a->file)
			argp_error(state, "more than one file");
		a->file = arg;
		break;
	case ARGP_KEY_END:
		if (!a->file)
			argp_error(state, "no site image");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int cmd_inspect(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "FILE", "Show what a site image holds.",
					  NULL,	   NULL,  NULL };
	struct arguments a = { 0 };
	struct khttpd_site site;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (image_load(a.file, &site) < 0)
		return EXIT_FAILURE;
	if (a.json)
		print_json_site(&site);
	else
		print_site(&site, a.file);
	return EXIT_SUCCESS;
}
