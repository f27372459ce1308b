// SPDX-License-Identifier: MIT OR GPL-2.0
/* Site images: the checks that make them safe to read, and the look-up. docs/site-image.md */
#include "site.h"

#include "crc32c.h"
#include "response.h"
#include "text.h"

_Static_assert(sizeof(struct khttpd_image_header) == 128, "as docs/site-image.md says");
_Static_assert(sizeof(struct khttpd_image_host) == 24, "as docs/site-image.md says");
_Static_assert(sizeof(struct khttpd_image_entry) == 32, "as docs/site-image.md says");
_Static_assert(sizeof(struct khttpd_image_variant) == 24, "as docs/site-image.md says");
_Static_assert(sizeof(struct khttpd_image_rule) == 24, "as docs/site-image.md says");

#define CRC_PART 65536 /* bytes between two pauses */

/* --- look-up --- */

static u64 load64(const char *p)
{
	le64 value;

	memcpy(&value, p, 8);
	return le64_to_cpu(value);
}

static u32 load32(const char *p)
{
	le32 value;

	memcpy(&value, p, 4);
	return le32_to_cpu(value);
}

/*
 * A multiplication by an odd number, folded: quick and even. It need not stand against attackers,
 * who do not choose what is stored, and the chains are short in any case.
 */
static u64 mix(u64 h, u64 value)
{
	h = (h ^ value) * 0x9e3779b97f4a7c15;
	return h ^ h >> 32;
}

u32 khttpd_site_hash(u32 seed, u32 host, struct khttpd_str path)
{
	u64 h = (u64)host << 32 | seed;
	const char *p = path.p;
	u32 len = path.len;

	h = mix(h, len);
	for (; len >= 8; p += 8, len -= 8)
		h = mix(h, load64(p));
	if (len >= 4)
		h = mix(h, (u64)load32(p) << 32 | load32(p + len - 4));
	else if (len)
		h = mix(h, (u32)(u8)p[0] << 16 | (u32)(u8)p[len / 2] << 8 | (u8)p[len - 1]);
	return mix(h, 0) >> 16;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* As memcmp() and then by length; @a in any case, @b in lower case. */
static int compare_names(struct khttpd_str a, struct khttpd_str b)
{
	u32 i;
	u8 c;

	for (i = 0; i < a.len && i < b.len; i++) {
		c = lower(a.p[i]);
		if (c != (u8)b.p[i])
			return c < (u8)b.p[i] ? -1 : 1;
	}
	return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

u32 khttpd_site_host(const struct khttpd_site *site, struct khttpd_str name)
{
	u32 low = 1, high = site->n_hosts, middle;
	int order;

	if (name.len && name.p[name.len - 1] == '.')
		name.len--;
	while (low < high) {
		middle = low + (high - low) / 2;
		order = compare_names(name, khttpd_site_text(site, &site->hosts[middle].name));
		if (!order)
			return middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return 0;
}

const struct khttpd_image_entry *khttpd_site_find(const struct khttpd_site *site, u32 host,
						  struct khttpd_str path)
{
	u32 hash = khttpd_site_hash(site->seed, host, path);
	const le32 *bucket = &site->buckets[hash & site->mask];
	const struct khttpd_image_entry *e = site->entries + le32_to_cpu(bucket[0]);
	const struct khttpd_image_entry *end = site->entries + le32_to_cpu(bucket[1]);

	for (; e < end; e++)
		if (le32_to_cpu(e->hash) == hash && le32_to_cpu(e->path.len) == path.len &&
		    le32_to_cpu(e->host) == host &&
		    !memcmp(site->image + le32_to_cpu(e->path.at), path.p, path.len))
			return e;
	return NULL;
}

/* --- checks --- */

/* An image that is being checked, and how far its texts have come. */
struct check {
	struct khttpd_site *site;
	const char **why;
	u32 n_variants;
	u32 n_rules;
	u64 paths; /* no path or location may begin before */
	u64 heads;
	u64 patterns;
};

static bool refuse(struct check *c, const char *why)
{
	*c->why = why;
	return false;
}

/* Is @ref inside of the image, behind its header, and behind *@from, which it moves? */
static bool in_order(const struct check *c, const struct khttpd_image_ref *ref, u64 *from)
{
	u64 at = le32_to_cpu(ref->at), end = at + le32_to_cpu(ref->len);

	if (at < *from || end > c->site->size)
		return false;
	*from = end;
	return true;
}

static const void *table(struct check *c, le32 at, u64 n, size_t size)
{
	u64 begin = le32_to_cpu(at);

	if (begin < sizeof(struct khttpd_image_header) || begin % 8 ||
	    begin + n * size > c->site->size)
		return NULL;
	return c->site->image + begin;
}

/* Printable, then only NULs, at least one: a string that can be shown as it is. */
static bool is_name(const char *name, size_t size)
{
	size_t i = 0;

	while (i < size && name[i] >= ' ' && name[i] <= '~')
		i++;
	if (i == size)
		return false;
	while (i < size && !name[i])
		i++;
	return i == size;
}

/* The CRC of everything behind the header. Of a large image it takes seconds. */
static u32 content_crc(const u8 *p, u64 len)
{
	u64 part;
	u32 crc;

	for (crc = 0; len; p += part, len -= part) {
		part = len < CRC_PART ? len : CRC_PART;
		crc = khttpd_crc32c(crc, p, part);
		khttpd_pause();
	}
	return crc;
}

static bool check_header(struct check *c, const struct khttpd_image_header *h, u64 size)
{
	struct khttpd_site *site = c->site;
	struct khttpd_image_header copy;
	u32 bits;

	if (size < sizeof(*h))
		return refuse(c, "it is shorter than the header of a site image");
	if (memcmp(h->magic, KHTTPD_IMAGE_MAGIC, sizeof(h->magic)))
		return refuse(c, "it is not a site image");
	if (le32_to_cpu(h->version) != KHTTPD_IMAGE_VERSION)
		return refuse(c, "it has another version of the format");
	copy = *h;
	copy.header_crc = 0;
	if (khttpd_crc32c(0, &copy, sizeof(copy)) != le32_to_cpu(h->header_crc))
		return refuse(c, "the checksum of its header is wrong");
	if (le32_to_cpu(h->size) != size)
		return refuse(c, "it is cut short, or longer than its header says");
	if (content_crc((const u8 *)(h + 1), size - sizeof(*h)) != le32_to_cpu(h->content_crc))
		return refuse(c, "the checksum of its content is wrong");

	bits = le32_to_cpu(h->bucket_bits);
	site->image = (const u8 *)h;
	site->size = size;
	site->seed = le32_to_cpu(h->seed);
	site->n_hosts = le32_to_cpu(h->n_hosts);
	site->n_entries = le32_to_cpu(h->n_entries);
	c->n_variants = le32_to_cpu(h->n_variants);
	c->n_rules = le32_to_cpu(h->n_rules);
	if (bits > KHTTPD_IMAGE_MAX_BUCKET_BITS || !site->n_hosts ||
	    site->n_hosts > KHTTPD_IMAGE_MAX_HOSTS || site->n_entries == KHTTPD_IMAGE_NONE)
		return refuse(c, "a number in its header is out of range");
	if (h->reserved[0] || h->reserved[1] || h->reserved[2])
		return refuse(c, "a reserved field of its header is not zero");
	if (!is_name(h->name, sizeof(h->name)))
		return refuse(c, "its name is malformed");
	site->mask = (1U << bits) - 1;
	site->hosts = table(c, h->hosts, site->n_hosts, sizeof(*site->hosts));
	site->buckets = table(c, h->buckets, (1ULL << bits) + 1, sizeof(*site->buckets));
	site->entries = table(c, h->entries, site->n_entries, sizeof(*site->entries));
	site->variants = table(c, h->variants, c->n_variants, sizeof(*site->variants));
	site->rules = table(c, h->rules, c->n_rules, sizeof(*site->rules));
	if (!site->hosts || !site->buckets || !site->entries || !site->variants || !site->rules)
		return refuse(c, "a table lies outside of it");
	return true;
}

static bool check_host(struct check *c, u32 i, u64 *names, u32 *next_rule)
{
	const struct khttpd_site *site = c->site;
	const struct khttpd_image_host *h = &site->hosts[i];
	u32 not_found = le32_to_cpu(h->not_found), len = le32_to_cpu(h->name.len), j;
	struct khttpd_str name;

	if (!in_order(c, &h->name, names) || len > KHTTPD_IMAGE_MAX_HOST_NAME || !len != !i)
		return refuse(c, "the name of a host is out of range");
	name = khttpd_site_text(site, &h->name);
	for (j = 0; j < len; j++)
		if ((u8)name.p[j] <= ' ' || (u8)name.p[j] >= 0x7f || lower(name.p[j]) != name.p[j])
			return refuse(c, "the name of a host has a wrong character");
	if (len && name.p[len - 1] == '.')
		return refuse(c, "the name of a host ends with a dot");
	if (i && compare_names(khttpd_site_text(site, &h[-1].name), name) >= 0)
		return refuse(c, "the hosts are not sorted");
	if (not_found != KHTTPD_IMAGE_NONE &&
	    (not_found >= site->n_entries || le16_to_cpu(site->entries[not_found].status) != 200))
		return refuse(c, "the error page of a host does not exist");
	if (le32_to_cpu(h->first_rule) != *next_rule ||
	    le32_to_cpu(h->n_rules) > KHTTPD_IMAGE_MAX_RULES ||
	    le32_to_cpu(h->n_rules) > c->n_rules - *next_rule)
		return refuse(c, "the rules of a host are out of range");
	if (h->reserved)
		return refuse(c, "a reserved field of a host is not zero");
	*next_rule += le32_to_cpu(h->n_rules);
	return true;
}

static bool is_redirect(u16 status)
{
	return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

/* Visible ASCII only: nothing that could end a line or make two words. */
static bool is_visible(struct khttpd_str s)
{
	u32 i;

	for (i = 0; i < s.len; i++)
		if ((u8)s.p[i] <= ' ' || (u8)s.p[i] >= 0x7f)
			return false;
	return true;
}

/* Take a line "name: value" CRLF, without any other control character, off @s. */
static bool take_line(struct khttpd_str *s, struct khttpd_str *name)
{
	struct khttpd_str value;
	u32 i = 0, begin;

	while (i < s->len && khttpd_is_class(s->p[i], KHTTPD_TOKEN))
		i++;
	*name = (struct khttpd_str){ s->p, i };
	if (!i || s->len - i < 4 || s->p[i] != ':' || s->p[i + 1] != ' ')
		return false;
	begin = i + 2;
	for (i = begin; i < s->len && ((u8)s->p[i] >= ' ' || s->p[i] == '\t'); i++)
		if (s->p[i] == 0x7f)
			return false;
	value = (struct khttpd_str){ s->p + begin, i - begin };
	if (khttpd_trim(value).len != value.len || s->len - i < 2 || s->p[i] != '\r' ||
	    s->p[i + 1] != '\n')
		return false;
	s->p += i + 2;
	s->len -= i + 2;
	return true;
}

bool khttpd_site_reserves(struct khttpd_str field)
{
	return khttpd_is(field, "allow") || khttpd_is(field, "connection") ||
	       khttpd_is(field, "content-length") || khttpd_is(field, "content-range") ||
	       khttpd_is(field, "date") || khttpd_is(field, "etag") ||
	       khttpd_is(field, "keep-alive") || khttpd_is(field, "location") ||
	       khttpd_is(field, "proxy-connection") || khttpd_is(field, "server") ||
	       khttpd_is(field, "trailer") || khttpd_is(field, "transfer-encoding") ||
	       khttpd_is(field, "upgrade");
}

static bool check_field_lines(struct check *c, struct khttpd_str lines, bool etag)
{
	struct khttpd_str name;

	while (lines.len) {
		if (!take_line(&lines, &name))
			return refuse(c, "a field line of a variant is malformed");
		if (!etag && khttpd_site_reserves(name))
			return refuse(c, "a field line of a variant is for the server to write");
	}
	return true;
}

/* The head must be, byte for byte, what we would write for its field lines and body. */
static bool check_variant(struct check *c, const struct khttpd_image_variant *v)
{
	const struct khttpd_site *site = c->site;
	struct khttpd_image_ref head_ref = { v->head, cpu_to_le32(le16_to_cpu(v->head_len)) };
	u32 end = le16_to_cpu(v->head_len), len = le32_to_cpu(v->body.len), i;
	u64 body = sizeof(struct khttpd_image_header);
	struct khttpd_str etag, fields, head;
	char start[KHTTPD_READY_START];

	if (!in_order(c, &head_ref, &c->heads) || end < 2)
		return refuse(c, "the head of a variant is out of range");
	if (!in_order(c, &v->body, &body) ||
	    (len >= KHTTPD_IMAGE_PAGES_MIN && le32_to_cpu(v->body.at) % KHTTPD_IMAGE_PAGE))
		return refuse(c, "the body of a variant is out of range");
	if (le16_to_cpu(v->coding) >= KHTTPD_CODINGS)
		return refuse(c, "a variant has an unknown coding");
	end -= 2;
	for (i = 4; i--; end = le16_to_cpu(v->group[i]))
		if (le16_to_cpu(v->group[i]) > end)
			return refuse(c, "the field groups of a variant are out of order");
	head = khttpd_site_head(site, v);
	fields = khttpd_site_fields(site, v, 0, 4);
	if (fields.len > KHTTPD_MAX_FIELD_GROUP)
		return refuse(c, "the field lines of a variant are too long");
	for (i = 0; i < 4; i++)
		if (!check_field_lines(c, khttpd_site_fields(site, v, i, i + 1), i == 2))
			return false;
	etag = khttpd_site_fields(site, v, 2, 3);
	if (etag.len < 10 || memcmp(etag.p, "ETag: \"", 7))
		return refuse(c, "a variant has no entity tag");
	etag = khttpd_site_etag(site, v);
	for (i = 1; i < etag.len; i++)
		if (((u8)etag.p[i] <= '"' || etag.p[i] == 0x7f) &&
		    (etag.p[i] != '"' || i != etag.len - 1) && etag.p[i] != '!')
			return refuse(c, "the entity tag of a variant is malformed");
	if (etag.p[etag.len - 1] != '"')
		return refuse(c, "the entity tag of a variant is malformed");

	end = khttpd_ready_start(start, len);
	if (le16_to_cpu(v->group[0]) != end || memcmp(head.p, start, end) ||
	    memcmp(head.p + head.len - 2, "\r\n", 2))
		return refuse(c, "the head of a variant does not fit its body");
	if (head.len > site->longest_head)
		c->site->longest_head = head.len;
	return true;
}

static bool check_entry(struct check *c, const struct khttpd_image_entry *e, u32 *next_variant)
{
	const struct khttpd_site *site = c->site;
	u32 n = le16_to_cpu(e->n_variants), codings = 0, i;
	const struct khttpd_image_variant *v;
	struct khttpd_str path;

	if (!in_order(c, &e->path, &c->paths) || !le32_to_cpu(e->path.len) ||
	    le32_to_cpu(e->path.len) > KHTTPD_IMAGE_MAX_PATH)
		return refuse(c, "the path of an entry is out of range");
	path = khttpd_site_text(site, &e->path);
	if (path.p[0] != '/' || memchr(path.p, 0, path.len))
		return refuse(c, "the path of an entry is malformed");
	if (le32_to_cpu(e->host) >= site->n_hosts)
		return refuse(c, "the host of an entry does not exist");
	if (khttpd_site_hash(site->seed, le32_to_cpu(e->host), path) != le32_to_cpu(e->hash))
		return refuse(c, "the hash of an entry is wrong");
	if (le32_to_cpu(e->first_variant) != *next_variant || n > c->n_variants - *next_variant)
		return refuse(c, "the variants of an entry are out of range");
	if (is_redirect(le16_to_cpu(e->status))) {
		if (n || !in_order(c, &e->location, &c->paths) || !le32_to_cpu(e->location.len) ||
		    le32_to_cpu(e->location.len) > KHTTPD_IMAGE_MAX_PATH ||
		    !is_visible(khttpd_site_text(site, &e->location)))
			return refuse(c, "the location of a redirect is malformed");
		return true;
	}
	if (le16_to_cpu(e->status) != 200 || !n || n > KHTTPD_CODINGS)
		return refuse(c, "the status of an entry is neither 200 nor a redirect");
	v = site->variants + *next_variant;
	*next_variant += n;
	for (i = 0; i < n; i++, v++) {
		if (!check_variant(c, v))
			return false;
		if (codings & 1U << le16_to_cpu(v->coding))
			return refuse(c, "an entry has two variants of one coding");
		codings |= 1U << le16_to_cpu(v->coding);
	}
	return true;
}

/* One bucket: its entries belong there, and no two of them are the same. */
static bool check_bucket(struct check *c, u32 i, u32 *next_entry, u32 *next_variant)
{
	const struct khttpd_site *site = c->site;
	u32 begin = le32_to_cpu(site->buckets[i]), end = le32_to_cpu(site->buckets[i + 1]), at;
	const struct khttpd_image_entry *e;

	if (begin != *next_entry || end < begin || end - begin > KHTTPD_IMAGE_MAX_CHAIN ||
	    end > site->n_entries)
		return refuse(c, "a bucket of its hash table is out of range");
	for (at = begin; at < end; at++) {
		e = &site->entries[at];
		if (!check_entry(c, e, next_variant))
			return false;
		if ((le32_to_cpu(e->hash) & site->mask) != i)
			return refuse(c, "an entry is in the wrong bucket");
	}
	/* The first of its kind is found before it reaches itself */
	for (at = begin; at < end; at++) {
		e = &site->entries[at];
		if (khttpd_site_find(site, le32_to_cpu(e->host),
				     khttpd_site_text(site, &e->path)) != e)
			return refuse(c, "it has two entries for one path");
	}
	*next_entry = end;
	return true;
}

/* Check the escapes of a pattern (@captures counts them) or target (@captures limits them). */
static bool check_escapes(struct khttpd_str s, bool pattern, u32 captures)
{
	u32 i, n = 0;
	u8 c;

	for (i = 0; i < s.len; i++) {
		if (s.p[i])
			continue;
		if (++i == s.len)
			return false;
		c = s.p[i];
		if (!pattern) {
			if (c >= captures)
				return false;
			continue;
		}
		if (c != KHTTPD_RULE_SEGMENT && (c != KHTTPD_RULE_SPLAT || i != s.len - 1))
			return false;
		if (++n > KHTTPD_IMAGE_MAX_CAPTURES)
			return false;
	}
	return !pattern || n == captures;
}

/*
 * Where the path of a redirect's target begins, or its length if that cannot be told. A
 * placeholder before it could name another server, or another scheme.
 */
static u32 path_start(struct khttpd_str s)
{
	u32 i = 0;

	if (khttpd_is_local(s))
		return 0;
	while (s.len - i >= 2 && (s.p[i] != '/' || s.p[i + 1] != '/'))
		i++;
	for (i += 2; i < s.len; i++)
		if (s.p[i] == '/' || s.p[i] == '?' || s.p[i] == '#')
			return i;
	return s.len;
}

static bool check_rule(struct check *c, const struct khttpd_image_rule *r)
{
	u32 captures = le16_to_cpu(r->n_captures), path, i;
	u16 status = le16_to_cpu(r->status);
	struct khttpd_str pattern, target;

	if (status != 200 && status != 404 && !is_redirect(status))
		return refuse(c, "a rule has a status that is not supported");
	if (r->reserved)
		return refuse(c, "a reserved field of a rule is not zero");
	if (!in_order(c, &r->pattern, &c->patterns) || !in_order(c, &r->target, &c->patterns) ||
	    le32_to_cpu(r->pattern.len) > KHTTPD_IMAGE_MAX_PATH ||
	    le32_to_cpu(r->target.len) > KHTTPD_IMAGE_MAX_PATH)
		return refuse(c, "a text of a rule is out of range");
	pattern = khttpd_site_text(c->site, &r->pattern);
	target = khttpd_site_text(c->site, &r->target);
	if (!pattern.len || pattern.p[0] != '/' || !check_escapes(pattern, true, captures))
		return refuse(c, "the pattern of a rule is malformed");
	if (!target.len || !check_escapes(target, false, captures) ||
	    (!is_redirect(status) && target.p[0] != '/'))
		return refuse(c, "the target of a rule is malformed");
	if (!is_redirect(status))
		return true;
	path = path_start(target);
	for (i = 0; i < target.len; i++) {
		if (!target.p[i]) {
			if (i < path)
				return refuse(c, "a placeholder comes before the path of a target");
			i++;
		} else if ((u8)target.p[i] <= ' ' || (u8)target.p[i] >= 0x7f) {
			return refuse(c, "the target of a rule is malformed");
		}
	}
	return true;
}

bool khttpd_site_open(struct khttpd_site *site, const void *image, u64 size, const char **why)
{
	const u64 texts = sizeof(struct khttpd_image_header);
	struct check c = {
		.site = site, .why = why, .paths = texts, .heads = texts, .patterns = texts
	};
	u32 next_entry = 0, next_variant = 0, next_rule = 0, i;
	u64 names = texts;

	memset(site, 0, sizeof(*site));
	if (!check_header(&c, image, size))
		return false;
	for (i = 0; i <= site->mask; i++) {
		if (i % 256 == 0)
			khttpd_pause();
		if (!check_bucket(&c, i, &next_entry, &next_variant))
			return false;
	}
	if (next_entry != site->n_entries || next_variant != c.n_variants)
		return refuse(&c, "it has entries that nothing leads to");
	for (i = 0; i < site->n_hosts; i++)
		if (!check_host(&c, i, &names, &next_rule))
			return false;
	for (i = 0; i < c.n_rules; i++) {
		if (i % 256 == 0)
			khttpd_pause();
		if (!check_rule(&c, &site->rules[i]))
			return false;
	}
	if (next_rule != c.n_rules)
		return refuse(&c, "it has rules that no host uses");
	/* Replies that are not plain 200s add lines of their own; locations come with rules. */
	site->longest_head += KHTTPD_MAX_LINES;
	if (site->longest_head > KHTTPD_MAX_REPLY_HEAD)
		site->longest_head = KHTTPD_MAX_REPLY_HEAD;
	for (i = 0; i < site->n_entries && !c.n_rules; i++)
		if (le16_to_cpu(site->entries[i].status) != 200)
			break;
	if (c.n_rules || i < site->n_entries)
		site->longest_head = KHTTPD_MAX_REPLY_HEAD;
	return true;
}
