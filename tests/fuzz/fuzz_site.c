// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Fuzz core/site and core/route: any bytes as an image. What is not refused must be safe to serve,
 * whatever a client asks.
 *
 * Input: an image, as long as its header says, then a request: one byte that selects method,
 * version and room for the head, then lines: the host, the path, the query, and fields as in
 * fuzz_response.c. An image that is refused is tried again with its checksums made right.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "../unit/probe.h"
#include "../../pack/image.h"

#define HEADER sizeof(struct khttpd_image_header)
#define N_FIELD_IDS (KHTTPD_ACCEPT_ENCODING + 1)

/* Bytes of the input that are the image. */
static size_t image_size(const u8 *data, size_t size)
{
	le32 said;

	if (size < HEADER)
		return size;
	memcpy(&said, data + offsetof(struct khttpd_image_header, size), sizeof(said));
	return le32_to_cpu(said) >= HEADER && le32_to_cpu(said) <= size ? le32_to_cpu(said) : size;
}

/* --- the target ------------------------------------------------------------------------------ */

static struct khttpd_str take_line(const u8 **data, size_t *size)
{
	const u8 *nl = *size ? memchr(*data, '\n', *size) : NULL;
	struct khttpd_str line = { (const char *)*data, nl ? nl - *data : *size };

	*data += line.len + !!nl;
	*size -= line.len + !!nl;
	return line;
}

static void ask(const struct khttpd_site *site, const u8 *data, size_t size)
{
	static const u32 rooms[] = { KHTTPD_MAX_REPLY_HEAD, 0, 130, 300 };
	struct khttpd_request req = { 0 };
	char *path, *query;
	u8 select;
	u32 i;

	if (!size)
		return;
	select = *data++;
	size--;
	req.method = select & 1 ? KHTTPD_HEAD : KHTTPD_GET;
	req.minor = !(select & 2);
	req.close = select & 4;
	req.host = take_line(&data, &size);

	/* as core/request promises them */
	req.path = take_line(&data, &size);
	path = malloc(req.path.len + 1);
	path[0] = '/';
	for (i = 0; i < req.path.len; i++)
		path[i + 1] = req.path.p[i] ? req.path.p[i] : '/';
	req.path = (struct khttpd_str){ path, req.path.len + 1 };
	req.target = req.path;
	req.query = take_line(&data, &size);
	query = malloc(req.query.len);
	for (i = 0; i < req.query.len; i++)
		query[i] = '$' + (u8)req.query.p[i] % ('~' - '$' + 1);
	req.query.p = select & 8 ? query : NULL;
	if (!req.query.p)
		req.query.len = 0;
	while (size && req.n_fields < KHTTPD_MAX_FIELDS) {
		struct khttpd_str line = take_line(&data, &size);
		struct khttpd_field *f = &req.fields[req.n_fields];

		if (!line.len)
			continue;
		f->id = (u8)(line.p[0] - 'A') % N_FIELD_IDS;
		f->value = (struct khttpd_str){ line.p + 1, line.len - 1 };
		req.n_fields++;
	}
	probe_reply(site, &req, rooms[select >> 4 & 3]);
	free(path);
	free(query);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	size_t image_len = image_size(data, size);
	u8 *image = malloc(image_len);
	struct khttpd_site site;
	const char *why = NULL;
	bool opened;

	if (image_len)
		memcpy(image, data, image_len);
	opened = khttpd_site_open(&site, image, image_len, &why);
	engine_check(opened || why, "refused without a word");
	if (!opened) {
		probe_seal(image, image_len);
		opened = khttpd_site_open(&site, image, image_len, &why);
	}
	if (opened) {
		probe_site(&site);
		ask(&site, data + image_len, size - image_len);
	}
	free(image);
	return 0;
}

/* --- mutations ------------------------------------------------------------------------------- */

static struct khttpd_str str(const char *s)
{
	return (struct khttpd_str){ s, strlen(s) };
}

static void add_variant(struct image *img, enum khttpd_coding coding, const char *first)
{
	const struct khttpd_str groups[4] = { str(first),
					      str(coding ? "Vary: Accept-Encoding\r\n" : ""),
					      str("ETag: \"t\"\r\n"), str("") };

	image_variant(img, coding, groups, image_body(img, "body", 4, false));
}

#define RULE(img, host, status, pattern, target)                              \
	image_rule(img, host, status, (struct khttpd_str)KHTTPD_STR(pattern), \
		   (struct khttpd_str)KHTTPD_STR(target))

/* An image to begin with, in one of its shapes, with a request. Returns its size; 0: no room. */
static size_t make_seed(u8 *data, size_t most, u32 shape)
{
	static const char request[] = "\x08\nx\nq\nFbytes=1-\nGgzip";
	struct image *img = image_new("x");
	u32 host = shape & 1 ? image_host(img, "i") : 0;
	const char *why;
	u8 *image;
	u64 size;

	if (host)
		image_host(img, "h"); /* so that hosts can be in disorder */
	image_entry(img, 0, str("/"), 1);
	if (shape & 2)
		add_variant(img, KHTTPD_GZIP, "");
	add_variant(img, KHTTPD_IDENTITY, "X: y\r\n");
	if (shape & 4)
		image_redirect(img, host, str("/d"), 301, str("/d/"));
	if (shape & 8) {
		image_not_found(img, host, image_entry(img, host, str("/4"), 1));
		add_variant(img, KHTTPD_IDENTITY, "");
	}
	if (shape & 16)
		RULE(img, host, 302, "/\0p/\0s", "/\0\1/\0\0?q");
	if (shape & 32)
		RULE(img, 0, 200, "/r\0s", "/\0\0");
	if (shape & 64)
		RULE(img, host, 404, "/\0s", "/4");
	size = image_layout(img, &why);
	engine_check(size, "%s", why);
	image = calloc(1, size);
	image_write(img, image);
	image_free(img);
	if (shape & 128) { /* one bucket for all, so that no hash is in a wrong one */
		struct khttpd_image_header *h = (void *)image;
		le32 *buckets = (void *)(image + le32_to_cpu(h->buckets));

		h->bucket_bits = 0;
		buckets[0] = 0;
		buckets[1] = h->n_entries;
		probe_seal(image, size);
	}
	if (size + sizeof(request) > most) {
		size = 0;
	} else {
		memcpy(data, image, size);
		memcpy(data + size, request, sizeof(request) - 1);
		size += sizeof(request) - 1;
	}
	free(image);
	return size;
}

static u32 get32(const u8 *p)
{
	le32 value;

	memcpy(&value, p, sizeof(value));
	return le32_to_cpu(value);
}

static void put32(u8 *p, u32 value)
{
	le32 v = cpu_to_le32(value);

	memcpy(p, &v, sizeof(v));
}

/* A number of the tables becomes another that means something there. */
static void change_number(u8 *image, size_t size, u64 *seed)
{
	u32 tables = 8 + random_next(seed) % (size - 11) / 2 * 2; /* le16 begin there, too */
	u8 *p = image + tables, *other = image + random_next(seed) % (size / 4) * 4;
	u32 was = get32(p);
	const u32 values[] = {
		0,	 1,	   was + 1,	 was - 1,    was ^ 1U << random_next(seed) % 32,
		size,	 size - 1, get32(other), (u32)-1,    random_next(seed) % 64,
		was + 8, was - 8,  0x10000,	 0x80000000, random_next(seed) % size
	};
	u32 value = values[random_next(seed) % (sizeof(values) / sizeof(*values))];

	if (random_next(seed) % 2) {
		put32(p, value);
	} else {
		p[0] = value;
		p[1] = value >> 8;
	}
}

/*
 * A table moves to the end of the image, where a reader that goes past it leaves the image. Returns
 * the image's new size, or the old one if there is no room.
 */
static size_t move_table(u8 *data, size_t image_len, size_t size, size_t most, u64 *seed)
{
	static const struct {
		size_t at; /* in the header: where it lies */
		size_t n; /* likewise: its records */
		size_t record;
	} tables[] = {
		{ offsetof(struct khttpd_image_header, hosts),
		  offsetof(struct khttpd_image_header, n_hosts), sizeof(struct khttpd_image_host) },
		{ offsetof(struct khttpd_image_header, entries),
		  offsetof(struct khttpd_image_header, n_entries),
		  sizeof(struct khttpd_image_entry) },
		{ offsetof(struct khttpd_image_header, variants),
		  offsetof(struct khttpd_image_header, n_variants),
		  sizeof(struct khttpd_image_variant) },
		{ offsetof(struct khttpd_image_header, rules),
		  offsetof(struct khttpd_image_header, n_rules), sizeof(struct khttpd_image_rule) },
	};
	u32 i = random_next(seed) % (sizeof(tables) / sizeof(*tables));
	u64 from = get32(data + tables[i].at), to = (image_len + 7) / 8 * 8;
	u64 len = (u64)get32(data + tables[i].n) * tables[i].record;
	size_t added = to + len - image_len;

	if (from + len > image_len || len > most || size + added > most)
		return image_len;
	memmove(data + to + len, data + image_len, size - image_len);
	memset(data + image_len, 0, to - image_len);
	memmove(data + to, data + from, len);
	put32(data + tables[i].at, to);
	return image_len + added;
}

/* Entries whose paths lie in the image get the hash that they should have. */
static void fix_hashes(u8 *image, size_t size)
{
	const struct khttpd_image_header *h = (const void *)image;
	u64 at = le32_to_cpu(h->entries);

	for (u32 i = 0; i < le32_to_cpu(h->n_entries) && i < 100; i++) {
		struct khttpd_image_entry e;
		struct khttpd_str path;
		u64 begin, len;
		u32 hash;

		if (at + sizeof(e) > size || at < HEADER)
			return;
		memcpy(&e, image + at, sizeof(e));
		begin = le32_to_cpu(e.path.at);
		len = le32_to_cpu(e.path.len);
		if (begin + len <= size) {
			path = (struct khttpd_str){ (char *)image + begin, len };
			hash = khttpd_site_hash(le32_to_cpu(h->seed), le32_to_cpu(e.host), path);
			e.hash = cpu_to_le32(hash);
			memcpy(image + at, &e, sizeof(e));
		}
		at += sizeof(e);
	}
}

/* Most mutations keep the image an image: its checksums are made right, often its hashes, too. */
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t most, unsigned int seed_given)
{
	u64 seed = seed_given + 1ULL;
	size_t image_len = image_size(data, size), n;
	u8 *image;

	if (image_len < HEADER || !(random_next(&seed) % 256)) {
		n = make_seed(data, most, random_next(&seed) % 256);
		return n ? n : LLVMFuzzerMutate(data, size, most);
	}
	switch (random_next(&seed) % 8) {
	case 0: /* all of it: bytes come and go */
		size = LLVMFuzzerMutate(data, size, most);
		image_len = image_size(data, size);
		break;
	case 1: /* the request */
		if (image_len == most)
			break;
		return image_len +
		       LLVMFuzzerMutate(data + image_len, size - image_len, most - image_len);
	case 2: /* bytes behind the header, as many as before */
	case 3:
		if (image_len == HEADER)
			break;
		n = HEADER + random_next(&seed) % (image_len - HEADER);
		LLVMFuzzerMutate(data + n, image_len - n, image_len - n);
		break;
	case 4:
		n = move_table(data, image_len, size, most, &seed);
		size += n - image_len;
		image_len = n;
		break;
	default:
		for (n = 1 + random_next(&seed) % 3; n; n--)
			change_number(data, image_len, &seed);
	}
	if (image_len < HEADER)
		return size;
	image = malloc(image_len); /* aligned */
	memcpy(image, data, image_len);
	if (random_next(&seed) % 4)
		fix_hashes(image, image_len);
	if (random_next(&seed) % 16)
		probe_seal(image, image_len);
	memcpy(data, image, image_len);
	free(image);
	return size;
}
