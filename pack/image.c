// SPDX-License-Identifier: MIT OR GPL-2.0
/* Writes site images; the format is described in docs/site-image.md. */
#include "image.h"

#include <stdlib.h>

/* All of it inline: nothing more to link for who uses this file only */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../core/crc32c.h"
#include "../core/response.h"
#include "util.h"

#define ALIGN_UP(n, to) (((n) + (to)-1) / (to) * (to))

struct body {
	const void *data;
	uint64_t hash;
	uint32_t len;
	bool owned;
	uint32_t at; /* 0: not placed yet */
};

struct variant {
	enum khttpd_coding coding;
	uint32_t body;
	uint32_t head; /* in image.text */
	uint16_t head_len;
	uint16_t group[4];
};

struct entry {
	uint32_t id; /* of image_entry() */
	uint32_t hash;
	uint32_t host;
	uint16_t status;
	uint16_t n_variants;
	uint32_t first_variant; /* in image.variants */
	size_t path; /* in image.text */
	uint32_t path_len;
	size_t location;
	uint32_t location_len;
	int64_t last_modified;
};

struct rule {
	uint16_t status;
	size_t pattern; /* in image.text */
	uint32_t pattern_len;
	size_t target;
	uint32_t target_len;
};

struct host {
	uint32_t id; /* of image_host() */
	char *name;
	uint32_t not_found; /* id of an entry */
	struct rule *rules;
	uint32_t n_rules, cap_rules;
};

struct image {
	char name[32];
	struct host *hosts;
	uint32_t n_hosts, cap_hosts;
	struct entry *entries;
	uint32_t n_entries, cap_entries;
	struct variant *variants;
	uint32_t n_variants, cap_variants;
	struct body *bodies;
	uint32_t n_bodies, cap_bodies;
	uint32_t *slots; /* hash table of bodies: their number + 1, or 0 */
	uint32_t n_slots; /* a power of two, more than twice the bodies */
	char *text; /* paths, locations, heads, patterns */
	size_t n_text, cap_text;

	uint32_t seed;
	uint32_t bucket_bits;
	uint32_t n_rules;
	uint64_t hosts_at, buckets_at, entries_at, variants_at, rules_at, texts_at, size;
};

static size_t keep(struct image *img, const char *p, size_t len)
{
	size_t at = img->n_text;

	if (at + len > img->cap_text) {
		img->cap_text = 2 * (at + len) + 4096;
		img->text = must(realloc(img->text, img->cap_text));
	}
	if (len)
		memcpy(img->text + at, p, len);
	img->n_text += len;
	return at;
}

struct image *image_new(const char *name)
{
	struct image *img = must(calloc(1, sizeof(*img)));
	size_t i, n = 0;

	for (i = 0; name[i] && n < sizeof(img->name) - 1; i++)
		if (name[i] > ' ' && name[i] < 0x7f)
			img->name[n++] = name[i];
	image_host(img, "");
	return img;
}

void image_free(struct image *img)
{
	uint32_t i;

	for (i = 0; i < img->n_hosts; i++) {
		free(img->hosts[i].name);
		free(img->hosts[i].rules);
	}
	for (i = 0; i < img->n_bodies; i++)
		if (img->bodies[i].owned)
			free((void *)img->bodies[i].data);
	free(img->hosts);
	free(img->entries);
	free(img->variants);
	free(img->bodies);
	free(img->slots);
	free(img->text);
	free(img);
}

uint32_t image_host(struct image *img, const char *name)
{
	uint32_t i;

	for (i = 0; i < img->n_hosts; i++)
		if (!strcmp(img->hosts[i].name, name))
			return i;
	GROW(img->hosts, img->n_hosts, img->cap_hosts);
	img->hosts[i] = (struct host){
		.id = i,
		.name = must(strdup(name)),
		.not_found = KHTTPD_IMAGE_NONE,
	};
	return img->n_hosts++;
}

/* The slot of a body with this content, or the free one where it belongs. */
static uint32_t *find_slot(struct image *img, const struct body *body)
{
	uint32_t i = body->hash & (img->n_slots - 1);
	const struct body *b;

	for (; img->slots[i]; i = (i + 1) & (img->n_slots - 1)) {
		b = &img->bodies[img->slots[i] - 1];
		if (b->hash == body->hash && b->len == body->len &&
		    (!b->len || !memcmp(b->data, body->data, b->len)))
			break;
	}
	return &img->slots[i];
}

static void grow_slots(struct image *img)
{
	uint32_t i;

	img->n_slots = img->n_slots ? 2 * img->n_slots : 64;
	free(img->slots);
	img->slots = must(calloc(img->n_slots, sizeof(*img->slots)));
	for (i = 0; i < img->n_bodies; i++)
		*find_slot(img, &img->bodies[i]) = i + 1;
}

uint32_t image_body(struct image *img, const void *data, uint32_t len, bool owned)
{
	struct body body = { .data = data, .len = len, .owned = owned };
	uint32_t *slot;

	body.hash = len ? XXH3_64bits(data, len) : 0;
	if (2 * (img->n_bodies + 1) > img->n_slots)
		grow_slots(img);
	slot = find_slot(img, &body);
	if (*slot) {
		if (owned)
			free((void *)data);
		return *slot - 1;
	}
	GROW(img->bodies, img->n_bodies, img->cap_bodies);
	img->bodies[img->n_bodies++] = body;
	*slot = img->n_bodies;
	return img->n_bodies - 1;
}

static struct entry *add_entry(struct image *img, uint32_t host, struct khttpd_str path)
{
	struct entry *e;

	GROW(img->entries, img->n_entries, img->cap_entries);
	e = &img->entries[img->n_entries];
	*e = (struct entry){
		.id = img->n_entries++,
		.host = host,
		.path = keep(img, path.p, path.len),
		.path_len = path.len,
		.first_variant = img->n_variants,
	};
	return e;
}

uint32_t image_entry(struct image *img, uint32_t host, struct khttpd_str path,
		     int64_t last_modified)
{
	struct entry *e = add_entry(img, host, path);

	e->status = 200;
	e->last_modified = last_modified;
	return e->id;
}

void image_variant(struct image *img, enum khttpd_coding coding, const struct khttpd_str groups[4],
		   uint32_t body)
{
	char start[KHTTPD_READY_START];
	struct variant *v;
	uint32_t i;

	GROW(img->variants, img->n_variants, img->cap_variants);
	v = &img->variants[img->n_variants++];
	*v = (struct variant){ .coding = coding, .body = body };
	i = khttpd_ready_start(start, img->bodies[body].len);
	v->head = keep(img, start, i);
	for (i = 0; i < 4; i++) {
		v->group[i] = img->n_text - v->head;
		keep(img, groups[i].p, groups[i].len);
	}
	keep(img, "\r\n", 2);
	v->head_len = img->n_text - v->head;
	img->entries[img->n_entries - 1].n_variants++;
}

void image_redirect(struct image *img, uint32_t host, struct khttpd_str path, uint16_t status,
		    struct khttpd_str location)
{
	struct entry *e = add_entry(img, host, path);

	e->status = status;
	e->location = keep(img, location.p, location.len);
	e->location_len = location.len;
}

void image_rule(struct image *img, uint32_t host, uint16_t status, struct khttpd_str pattern,
		struct khttpd_str target)
{
	struct host *h = &img->hosts[host];

	GROW(h->rules, h->n_rules, h->cap_rules);
	h->rules[h->n_rules++] = (struct rule){
		.status = status,
		.pattern = keep(img, pattern.p, pattern.len),
		.pattern_len = pattern.len,
		.target = keep(img, target.p, target.len),
		.target_len = target.len,
	};
	img->n_rules++;
}

void image_not_found(struct image *img, uint32_t host, uint32_t entry)
{
	img->hosts[host].not_found = entry;
}

/* --- layout --- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct host *)a)->name, ((const struct host *)b)->name);
}

/* By bucket; the rest is only there so that the same input gives the same bytes. */
static int by_bucket(const void *a, const void *b, void *mask)
{
	const struct entry *x = a, *y = b;
	uint32_t p = x->hash & *(uint32_t *)mask, q = y->hash & *(uint32_t *)mask;

	if (p != q)
		return p < q ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* The seed is the first with which no bucket has too many entries. */
static bool sort_entries(struct image *img)
{
	uint32_t i, run, mask;
	struct entry *e;

	while ((1ULL << img->bucket_bits) < img->n_entries)
		img->bucket_bits++;
	if (img->bucket_bits > KHTTPD_IMAGE_MAX_BUCKET_BITS)
		return false;
	mask = (1U << img->bucket_bits) - 1;
	for (img->seed = 0; img->seed < 64; img->seed++) {
		for (i = 0; i < img->n_entries; i++) {
			e = &img->entries[i];
			e->hash = khttpd_site_hash(
				img->seed, e->host,
				(struct khttpd_str){ img->text + e->path, e->path_len });
		}
		if (img->n_entries)
			qsort_r(img->entries, img->n_entries, sizeof(*img->entries), by_bucket,
				&mask);
		for (i = run = 1; i < img->n_entries && run <= KHTTPD_IMAGE_MAX_CHAIN; i++)
			run = (img->entries[i].hash & mask) == (img->entries[i - 1].hash & mask) ?
				      run + 1 :
				      1;
		if (run <= KHTTPD_IMAGE_MAX_CHAIN)
			return true;
	}
	return false;
}

/* Hosts sorted by name; what refers to them follows. */
static void sort_hosts(struct image *img)
{
	uint32_t *rank = must(calloc(img->n_hosts, sizeof(*rank))), i;

	qsort(img->hosts, img->n_hosts, sizeof(*img->hosts), by_name);
	for (i = 0; i < img->n_hosts; i++)
		rank[img->hosts[i].id] = i;
	for (i = 0; i < img->n_entries; i++)
		img->entries[i].host = rank[img->entries[i].host];
	free(rank);
}

/* Small bodies beside their head, so that both come with the same memory accesses. */
static uint64_t place_texts(struct image *img, uint64_t at)
{
	uint32_t i, j;

	for (i = 0; i < img->n_hosts; i++)
		at += strlen(img->hosts[i].name);
	for (i = 0; i < img->n_entries; i++) {
		struct entry *e = &img->entries[i];

		at += e->path_len + e->location_len;
		for (j = 0; j < e->n_variants; j++) {
			struct variant *v = &img->variants[e->first_variant + j];
			struct body *b = &img->bodies[v->body];

			at += v->head_len;
			if (b->len >= KHTTPD_IMAGE_PAGES_MIN || b->at)
				continue;
			b->at = at;
			at += b->len;
		}
	}
	for (i = 0; i < img->n_hosts; i++)
		for (j = 0; j < img->hosts[i].n_rules; j++)
			at += img->hosts[i].rules[j].pattern_len +
			      img->hosts[i].rules[j].target_len;
	return at;
}

uint64_t image_layout(struct image *img, const char **why)
{
	uint64_t at = sizeof(struct khttpd_image_header);
	uint32_t i;

	sort_hosts(img);
	if (!sort_entries(img)) {
		*why = "there is no hash seed for so many entries";
		return 0;
	}
	img->hosts_at = at;
	at += img->n_hosts * sizeof(struct khttpd_image_host);
	img->buckets_at = at;
	at = ALIGN_UP(at + ((1ULL << img->bucket_bits) + 1) * sizeof(le32), 8);
	img->entries_at = at;
	at += img->n_entries * sizeof(struct khttpd_image_entry);
	img->variants_at = at;
	at += img->n_variants * sizeof(struct khttpd_image_variant);
	img->rules_at = at;
	at += img->n_rules * sizeof(struct khttpd_image_rule);
	img->texts_at = at;
	at = place_texts(img, at);
	for (i = 0; i < img->n_bodies && at <= UINT32_MAX; i++) {
		if (img->bodies[i].at || img->bodies[i].len < KHTTPD_IMAGE_PAGES_MIN)
			continue;
		at = ALIGN_UP(at, KHTTPD_IMAGE_PAGE);
		img->bodies[i].at = at;
		at += img->bodies[i].len;
	}
	if (at > UINT32_MAX) {
		*why = "it would be larger than 4 GiB";
		return 0;
	}
	img->size = at;
	return at;
}

/* --- writing --- */

/* Texts are written in the order in which place_texts() gave them room. */
struct writer {
	char *out;
	uint64_t at;
};

static struct khttpd_image_ref put(struct writer *w, const char *p, uint32_t len)
{
	struct khttpd_image_ref ref = { cpu_to_le32(w->at), cpu_to_le32(len) };

	if (len)
		memcpy(w->out + w->at, p, len);
	w->at += len;
	return ref;
}

static void write_entry(const struct image *img, const struct entry *e, struct writer *w,
			struct khttpd_image_entry *to, struct khttpd_image_variant *variants,
			uint32_t first_variant)
{
	uint32_t j, k;

	to->hash = cpu_to_le32(e->hash);
	to->host = cpu_to_le32(e->host);
	to->path = put(w, img->text + e->path, e->path_len);
	to->status = cpu_to_le16(e->status);
	to->n_variants = cpu_to_le16(e->n_variants);
	to->first_variant = cpu_to_le32(first_variant);
	if (e->status == 200)
		to->last_modified = cpu_to_le64(e->last_modified);
	else
		to->location = put(w, img->text + e->location, e->location_len);
	for (j = 0; j < e->n_variants; j++) {
		const struct variant *v = &img->variants[e->first_variant + j];
		const struct body *b = &img->bodies[v->body];

		variants[j].head = put(w, img->text + v->head, v->head_len).at;
		variants[j].head_len = cpu_to_le16(v->head_len);
		for (k = 0; k < 4; k++)
			variants[j].group[k] = cpu_to_le16(v->group[k]);
		variants[j].coding = cpu_to_le16(v->coding);
		variants[j].body.at = cpu_to_le32(b->at);
		variants[j].body.len = cpu_to_le32(b->len);
		if (b->at == w->at && b->len < KHTTPD_IMAGE_PAGES_MIN)
			put(w, b->data, b->len);
	}
}

void image_write(struct image *img, void *out)
{
	struct khttpd_image_header *h = out;
	struct khttpd_image_host *hosts = (void *)((char *)out + img->hosts_at);
	struct khttpd_image_entry *entries = (void *)((char *)out + img->entries_at);
	struct khttpd_image_variant *variants = (void *)((char *)out + img->variants_at);
	struct khttpd_image_rule *rules = (void *)((char *)out + img->rules_at);
	le32 *buckets = (void *)((char *)out + img->buckets_at);
	struct writer w = { out, img->texts_at };
	uint32_t *rank = must(calloc(img->n_entries + 1, sizeof(*rank)));
	uint32_t i, j, bucket = 0, n_variants = 0, n_rules = 0;

	for (i = 0; i < img->n_hosts; i++)
		hosts[i].name = put(&w, img->hosts[i].name, strlen(img->hosts[i].name));
	for (i = 0; i < img->n_entries; i++) {
		const struct entry *e = &img->entries[i];

		for (; bucket <= (e->hash & ((1U << img->bucket_bits) - 1)); bucket++)
			buckets[bucket] = cpu_to_le32(i);
		write_entry(img, e, &w, &entries[i], &variants[n_variants], n_variants);
		n_variants += e->n_variants;
		rank[e->id] = i;
	}
	for (; bucket <= 1U << img->bucket_bits; bucket++)
		buckets[bucket] = cpu_to_le32(i);
	for (i = 0; i < img->n_hosts; i++) {
		const struct host *host = &img->hosts[i];

		hosts[i].not_found =
			cpu_to_le32(host->not_found == KHTTPD_IMAGE_NONE ? KHTTPD_IMAGE_NONE :
									   rank[host->not_found]);
		hosts[i].first_rule = cpu_to_le32(n_rules);
		hosts[i].n_rules = cpu_to_le32(host->n_rules);
		for (j = 0; j < host->n_rules; j++, n_rules++) {
			const struct rule *r = &host->rules[j];
			uint32_t captures = 0, k;

			for (k = 0; k < r->pattern_len; k++)
				captures += !img->text[r->pattern + k];
			rules[n_rules].status = cpu_to_le16(r->status);
			rules[n_rules].n_captures = cpu_to_le16(captures);
			rules[n_rules].pattern = put(&w, img->text + r->pattern, r->pattern_len);
			rules[n_rules].target = put(&w, img->text + r->target, r->target_len);
		}
	}
	free(rank);
	for (i = 0; i < img->n_bodies; i++) {
		struct body *b = &img->bodies[i];

		if (b->len < KHTTPD_IMAGE_PAGES_MIN)
			continue;
		memcpy((char *)out + b->at, b->data, b->len);
		/* At once: a large site need not be in memory twice */
		if (b->owned)
			free((void *)b->data);
		b->data = NULL;
		b->owned = false;
	}

	memcpy(h->magic, KHTTPD_IMAGE_MAGIC, sizeof(h->magic));
	memcpy(h->name, img->name, sizeof(h->name));
	image_digest(out, img->size, h->digest);
	h->version = cpu_to_le32(KHTTPD_IMAGE_VERSION);
	h->size = cpu_to_le32(img->size);
	h->seed = cpu_to_le32(img->seed);
	h->bucket_bits = cpu_to_le32(img->bucket_bits);
	h->n_hosts = cpu_to_le32(img->n_hosts);
	h->hosts = cpu_to_le32(img->hosts_at);
	h->buckets = cpu_to_le32(img->buckets_at);
	h->n_entries = cpu_to_le32(img->n_entries);
	h->entries = cpu_to_le32(img->entries_at);
	h->n_variants = cpu_to_le32(img->n_variants);
	h->variants = cpu_to_le32(img->variants_at);
	h->n_rules = cpu_to_le32(img->n_rules);
	h->rules = cpu_to_le32(img->rules_at);
	h->content_crc = cpu_to_le32(khttpd_crc32c(0, h + 1, img->size - sizeof(*h)));
	h->header_crc = cpu_to_le32(khttpd_crc32c(0, h, sizeof(*h)));
}

void image_digest(const void *image, uint64_t size, uint8_t digest[16])
{
	const struct khttpd_image_header *h = image;
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits(h + 1, size - sizeof(*h)));
	memcpy(digest, canonical.digest, sizeof(canonical.digest));
}
