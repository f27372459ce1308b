// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * From a checked request to the plan of its reply (RFC 9110).
 *
 * khttpd_reply_plan() goes down one list: errors, methods, look-up, content coding,
 * preconditions, range. The first that settles the status ends it, then the head is written
 * in one go from ready pieces.
 */
#include "response.h"

#include "route.h"
#include "text.h"

/* --- what a status says --- */

struct status {
	u16 code;
	struct khttpd_str head; /* up to where the date goes */
	struct khttpd_str text; /* the body, where a status has one of its own */
};

#define LITERAL(s)                 \
	{                          \
		(s), sizeof(s) - 1 \
	}
#define HEAD_OF(line) LITERAL("HTTP/1.1 " line "\r\nServer: khttpd\r\nDate: ")
#define STATUS(code, line)                              \
	{                                               \
		code, HEAD_OF(line), LITERAL(line "\n") \
	}

static const struct status statuses[] = {
	STATUS(200, "200 OK"),
	STATUS(204, "204 No Content"),
	STATUS(206, "206 Partial Content"),
	STATUS(301, "301 Moved Permanently"),
	STATUS(302, "302 Found"),
	STATUS(303, "303 See Other"),
	STATUS(304, "304 Not Modified"),
	STATUS(307, "307 Temporary Redirect"),
	STATUS(308, "308 Permanent Redirect"),
	STATUS(404, "404 Not Found"),
	STATUS(400, "400 Bad Request"),
	STATUS(405, "405 Method Not Allowed"),
	STATUS(406, "406 Not Acceptable"),
	STATUS(408, "408 Request Timeout"),
	STATUS(412, "412 Precondition Failed"),
	STATUS(413, "413 Content Too Large"),
	STATUS(414, "414 URI Too Long"),
	STATUS(416, "416 Range Not Satisfiable"),
	STATUS(431, "431 Request Header Fields Too Large"),
	STATUS(501, "501 Not Implemented"),
	STATUS(503, "503 Service Unavailable"),
	STATUS(505, "505 HTTP Version Not Supported"),
	STATUS(500, "500 Internal Server Error"), /* the last: for any other code */
};

static const struct status *find_status(u16 code)
{
	const struct status *s = statuses;

	while (s->code != code && s->code != 500)
		s++;
	return s;
}

/* --- the head --- */

static inline char *put(char *p, const char *s, size_t len)
{
	memcpy(p, s, len);
	return p + len;
}

#define PUT(p, lit) put(p, lit, sizeof(lit) - 1)

static char *put_number(char *p, u64 value)
{
	u64 bound = 10;
	u32 digits = 1, i;

	while (digits < 20 && value >= bound) {
		digits++;
		bound *= 10;
	}
	for (i = digits; i; value /= 10)
		p[--i] = '0' + value % 10;
	return p + digits;
}

/* The decision, before it is put in words. */
struct answer {
	u16 status;
	bool vary; /* no variant is acceptable, but there are several */
	bool by_rule; /* a redirect */
	/* With 200, 206, 304 and 416, and with the page of a 404 */
	const struct khttpd_image_variant *variant;
	u64 first; /* the part of its content to send */
	u64 len;
	/* Of a redirect: what says so */
	union {
		const struct khttpd_image_entry *entry;
		const struct khttpd_image_rule *rule;
	};
	u32 location_len;
};

/*
 * The rule is matched once more: to carry its captures around would make every reply pay for
 * them on kernels that zero the stack. For that reason not inlined either.
 */
static __attribute__((__noinline__)) u64 write_location(const struct khttpd_site *site,
							const struct answer *a,
							const struct khttpd_request *req, char *out,
							size_t size)
{
	struct khttpd_route route;

	if (!a->by_rule)
		return khttpd_entry_location(site, a->entry, req->query, out, size);
	if (!khttpd_route_match(site, a->rule, req->path, &route))
		return 0; /* never: it did before */
	return khttpd_route_location(site, &route, req->query, out, size);
}

/* Our own lines of the head, without the empty one: less than KHTTPD_MAX_LINES bytes. */
static char *write_lines(char *p, const struct answer *a, const struct status *status, u64 len,
			 const struct khttpd_request *req, const struct khttpd_clock *clock)
{
	p = put(p, status->head.p, status->head.len);
	p = put(p, clock->date, KHTTPD_DATE_LEN);
	if (a->status != 204 && a->status != 304) {
		p = PUT(p, "\r\nContent-Length: ");
		p = put_number(p, len);
	}
	p = PUT(p, "\r\n");
	if (unlikely(a->status != 200)) {
		if (a->status == 206) {
			p = PUT(p, "Content-Range: bytes ");
			p = put_number(p, a->first);
			p = PUT(p, "-");
			p = put_number(p, a->first + a->len - 1);
			p = PUT(p, "/");
			p = put_number(p, le32_to_cpu(a->variant->body.len));
			p = PUT(p, "\r\n");
		}
		if (a->status == 416) {
			p = PUT(p, "Content-Range: bytes */");
			p = put_number(p, le32_to_cpu(a->variant->body.len));
			p = PUT(p, "\r\n");
		}
		if (a->status == 204 || a->status == 405)
			p = PUT(p, "Allow: GET, HEAD, OPTIONS\r\n");
		if (a->status >= 300 && a->status != 304 && !(a->status == 404 && a->variant))
			p = PUT(p, "Content-Type: text/plain; charset=utf-8\r\n");
		if (a->vary)
			p = PUT(p, "Vary: Accept-Encoding\r\n");
	}
	if (req->close)
		p = PUT(p, "Connection: close\r\n");
	else if (!req->minor)
		p = PUT(p, "Connection: keep-alive\r\n");
	return p;
}

/*
 * The same for a @size that may be too small: NULL if it is. Apart from its caller because
 * kernels that zero the stack would do so with @lines for every reply.
 */
static __attribute__((__noinline__)) char *
write_lines_tight(char *head, size_t size, const struct answer *a, const struct status *status,
		  u64 len, const struct khttpd_request *req, const struct khttpd_clock *clock)
{
	char lines[KHTTPD_MAX_LINES];
	size_t n = write_lines(lines, a, status, len, req, clock) - lines;

	return n <= size ? put(head, lines, n) : NULL;
}

/*
 * The engine gave up before the method had come whole, or had no memory to keep it: it may be HEAD,
 * and a client takes content that follows the reply to HEAD for the next reply.
 */
static bool may_be_head(const struct khttpd_request *req)
{
	return req->method == KHTTPD_METHOD_NONE && (req->error == 408 || req->error == 503);
}

/* Write the head for @a and fill in @reply. */
static bool write_reply(const struct khttpd_site *site, const struct answer *a,
			const struct khttpd_request *req, const struct khttpd_clock *clock,
			char *head, size_t size, struct khttpd_reply *reply)
{
	const struct status *status = find_status(a->status);
	struct khttpd_str fields = { "", 0 };
	const u8 *body = NULL;
	size_t group;
	u64 len = 0;
	char *p;

	if (a->variant && (a->status == 200 || a->status == 206 || a->status == 404)) {
		fields = khttpd_site_fields(site, a->variant, 0, a->status == 404 ? 2 : 4);
		len = a->len;
		if (len)
			body = site->image + le32_to_cpu(a->variant->body.at) + a->first;
	} else if (a->variant && a->status == 304) {
		fields = khttpd_site_fields(site, a->variant, 1, 3);
	} else if (a->status != 204 && !may_be_head(req)) {
		body = (const u8 *)status->text.p;
		len = status->text.len;
	}

	group = (size_t)fields.len + 2; /* and the empty line */
	if (a->location_len)
		group += sizeof("Location: \r\n") - 1 + a->location_len;
	if (likely(size >= KHTTPD_MAX_LINES + group))
		p = write_lines(head, a, status, len, req, clock);
	else if (size >= group)
		p = write_lines_tight(head, size - group, a, status, len, req, clock);
	else
		p = NULL;
	if (!p)
		return false;
	if (a->location_len) {
		p = PUT(p, "Location: ");
		p += write_location(site, a, req, p, a->location_len);
		p = PUT(p, "\r\n");
	}
	p = put(p, fields.p, fields.len);
	p = PUT(p, "\r\n");

	reply->status = status->code;
	reply->close = req->close;
	reply->head_len = p - head;
	reply->body = body;
	reply->body_len = req->method == KHTTPD_HEAD ? 0 : len;
	return true;
}

#define READY_200 "HTTP/1.1 200 OK\r\nServer: khttpd\r\nDate: "
#define READY_DATE (sizeof(READY_200) - 1)

u32 khttpd_ready_start(char *start, u64 body_len)
{
	char *p = PUT(start, READY_200);

	memset(p, ' ', KHTTPD_DATE_LEN);
	p = PUT(p + KHTTPD_DATE_LEN, "\r\nContent-Length: ");
	p = put_number(p, body_len);
	p = PUT(p, "\r\n");
	return p - start;
}

/* What most replies come to: the variant's whole content under its ready head, if that fits. */
static bool write_ready(const struct khttpd_site *site, const struct answer *a,
			const struct khttpd_request *req, const struct khttpd_clock *clock,
			char *head, size_t size, struct khttpd_reply *reply)
{
	struct khttpd_str ready;

	if (a->status != 200 || !req->minor || req->close)
		return false;
	ready = khttpd_site_head(site, a->variant);
	if (ready.len > size)
		return false;
	memcpy(head, ready.p, ready.len);
	memcpy(head + READY_DATE, clock->date, KHTTPD_DATE_LEN);
	reply->status = 200;
	reply->close = false;
	reply->head_len = ready.len;
	reply->body = site->image + le32_to_cpu(a->variant->body.at);
	reply->body_len = req->method == KHTTPD_HEAD ? 0 : a->len;
	return true;
}

/* --- fields of the request --- */

static bool has_field(const struct khttpd_request *req, enum khttpd_field_id id)
{
	u32 i;

	for (i = 0; i < req->n_fields; i++)
		if (req->fields[i].id == id)
			return true;
	return false;
}

/* A field that must not come twice (RFC 9110, 5.3): one that does counts as absent. */
static bool only_field(const struct khttpd_request *req, enum khttpd_field_id id,
		       struct khttpd_str *value)
{
	u32 i, n = 0;

	for (i = 0; i < req->n_fields; i++) {
		if (req->fields[i].id == id) {
			*value = req->fields[i].value;
			n++;
		}
	}
	return n == 1;
}

static bool is_equal(struct khttpd_str a, struct khttpd_str b)
{
	return a.len == b.len && !memcmp(a.p, b.p, a.len);
}

/* --- content codings, RFC 9110, 12.5.3 --- */

/* qvalue in thousandths (RFC 9110, 12.4.2), or -1. */
static int parse_qvalue(struct khttpd_str s)
{
	int value, weight = 100;
	u32 i;

	if (!s.len || s.len > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.len > 1 && s.p[1] != '.'))
		return -1;
	value = (s.p[0] - '0') * 1000;
	for (i = 2; i < s.len; i++, weight /= 10) {
		if (!khttpd_is_digit(s.p[i]))
			return -1;
		value += (s.p[i] - '0') * weight;
	}
	return value <= 1000 ? value : -1;
}

/* One element, "coding" or "coding;q=0.5": its weight, or -1 if it is malformed. */
static int parse_weight(struct khttpd_str item, struct khttpd_str *coding)
{
	struct khttpd_str weight;
	u32 i = 0;

	while (i < item.len && item.p[i] != ';')
		i++;
	*coding = khttpd_trim((struct khttpd_str){ item.p, i });
	if (i == item.len)
		return 1000;
	weight = khttpd_trim((struct khttpd_str){ item.p + i + 1, item.len - i - 1 });
	if (weight.len < 2 || !khttpd_same(weight.p, "q=", 2))
		return -1;
	return parse_qvalue((struct khttpd_str){ weight.p + 2, weight.len - 2 });
}

/* @rank[coding]: 0 is not acceptable; an identity that nobody mentioned is the last choice. */
static void rank_codings(const struct khttpd_request *req, int rank[KHTTPD_CODINGS])
{
	struct khttpd_str list, item, coding;
	int other = -1, q;
	u32 i;

	for (i = 0; i < KHTTPD_CODINGS; i++)
		rank[i] = -1;
	for (i = 0; i < req->n_fields; i++) {
		if (req->fields[i].id != KHTTPD_ACCEPT_ENCODING)
			continue;
		list = req->fields[i].value;
		while (khttpd_list_next(&list, &item)) {
			q = parse_weight(item, &coding);
			if (q < 0)
				continue;
			q *= 2; /* leaves 1 for the unmentioned identity */
			if (khttpd_is(coding, "gzip") || khttpd_is(coding, "x-gzip"))
				rank[KHTTPD_GZIP] = q;
			else if (khttpd_is(coding, "br"))
				rank[KHTTPD_BR] = q;
			else if (khttpd_is(coding, "zstd"))
				rank[KHTTPD_ZSTD] = q;
			else if (khttpd_is(coding, "identity"))
				rank[KHTTPD_IDENTITY] = q;
			else if (khttpd_is(coding, "*"))
				other = q;
		}
	}
	for (i = 0; i < KHTTPD_CODINGS; i++)
		if (rank[i] < 0)
			rank[i] = other >= 0 ? other : i == KHTTPD_IDENTITY;
}

/* The variant that suits the client best, the site's order deciding ties; NULL: none does. */
static const struct khttpd_image_variant *choose_variant(const struct khttpd_site *site,
							 const struct khttpd_image_entry *entry,
							 const struct khttpd_request *req)
{
	const struct khttpd_image_variant *v = site->variants + le32_to_cpu(entry->first_variant);
	const struct khttpd_image_variant *end = v + le16_to_cpu(entry->n_variants), *best = v;
	int rank[KHTTPD_CODINGS], best_rank = 0;

	if (!has_field(req, KHTTPD_ACCEPT_ENCODING)) {
		for (; v < end; v++)
			if (le16_to_cpu(v->coding) == KHTTPD_IDENTITY)
				return v;
		return best; /* anything goes when the field is absent */
	}
	rank_codings(req, rank);
	for (best = NULL; v < end; v++) {
		if (rank[le16_to_cpu(v->coding)] > best_rank) {
			best = v;
			best_rank = rank[le16_to_cpu(v->coding)];
		}
	}
	return best;
}

/* --- preconditions, RFC 9110, 13 --- */

/*
 * Is @etag in @list of entity tags? Commas may be inside of tags. What follows a syntax error
 * matches nothing.
 */
static bool etag_in_list(struct khttpd_str list, struct khttpd_str etag, bool weak_matches)
{
	const char *p = list.p, *end = p + list.len, *tag;
	bool weak;

	if (list.len == 1 && *p == '*')
		return true;
	for (;;) {
		while (p < end && (khttpd_is_space(*p) || *p == ','))
			p++;
		weak = end - p > 2 && p[0] == 'W' && p[1] == '/';
		if (weak)
			p += 2;
		tag = p;
		if (p == end || *p++ != '"')
			return false;
		while (p < end && *p != '"' && (u8)*p > ' ' && *p != 0x7f)
			p++;
		if (p == end || *p++ != '"')
			return false;
		if ((weak_matches || !weak) &&
		    is_equal((struct khttpd_str){ tag, p - tag }, etag)) {
			while (p < end && khttpd_is_space(*p))
				p++;
			return p == end || *p == ',';
		}
		while (p < end && khttpd_is_space(*p))
			p++;
		if (p < end && *p != ',')
			return false;
	}
}

/* Does @etag match in any line of field @id? */
static bool etag_matches(const struct khttpd_request *req, enum khttpd_field_id id,
			 struct khttpd_str etag, bool weak_matches)
{
	u32 i;

	for (i = 0; i < req->n_fields; i++)
		if (req->fields[i].id == id &&
		    etag_in_list(req->fields[i].value, etag, weak_matches))
			return true;
	return false;
}

/* The date in field @id; an invalid one counts as absent (RFC 9110, 13.1.3 and 13.1.4). */
static bool date_field(const struct khttpd_request *req, enum khttpd_field_id id, s64 now,
		       s64 *date)
{
	struct khttpd_str value;

	return only_field(req, id, &value) && khttpd_date_parse(value, now, date);
}

/* In the order of RFC 9110, 13.2.2: 412, 304 or, if all of them hold, 200. */
static u16 check_preconditions(const struct khttpd_request *req, struct khttpd_str etag,
			       s64 last_modified, s64 now)
{
	s64 date;

	if (has_field(req, KHTTPD_IF_MATCH)) {
		if (!etag_matches(req, KHTTPD_IF_MATCH, etag, false))
			return 412;
	} else if (date_field(req, KHTTPD_IF_UNMODIFIED_SINCE, now, &date)) {
		if (last_modified > date)
			return 412;
	}
	if (has_field(req, KHTTPD_IF_NONE_MATCH)) {
		if (etag_matches(req, KHTTPD_IF_NONE_MATCH, etag, true))
			return 304;
	} else if (date_field(req, KHTTPD_IF_MODIFIED_SINCE, now, &date)) {
		if (last_modified <= date)
			return 304;
	}
	return 200;
}

/* --- ranges, RFC 9110, 14 --- */

/* Take the digits in front of @s; a value too large becomes the largest. */
static bool take_number(struct khttpd_str *s, u64 *value)
{
	bool any = false;
	u32 digit;

	for (*value = 0; s->len && khttpd_is_digit(s->p[0]); s->p++, s->len--) {
		digit = s->p[0] - '0';
		any = true;
		*value = *value > (~0ULL - digit) / 10 ? ~0ULL : *value * 10 + digit;
	}
	return any;
}

/*
 * One range of bytes: 206 with @a->first and @a->len, 416, or 200 for what is several ranges,
 * another unit or no range at all.
 */
static u16 parse_range(struct khttpd_str s, struct answer *a)
{
	u64 size = a->len, first, last;
	bool has_first, has_last;

	if (s.len < 6 || !khttpd_same(s.p, "bytes=", 6))
		return 200;
	s.p += 6;
	s.len -= 6;
	has_first = take_number(&s, &first);
	if (!s.len || s.p[0] != '-')
		return 200;
	s.p++;
	s.len--;
	has_last = take_number(&s, &last);
	if (s.len || !(has_first || has_last))
		return 200;

	if (!has_first) { /* "-N": the last N bytes */
		if (!last)
			return 416;
		if (!size) /* all of nothing: no Content-Range can say that */
			return 200;
		a->len = last < size ? last : size;
		a->first = size - a->len;
		return 206;
	}
	if (has_last && last < first)
		return 200;
	if (first >= size)
		return 416;
	a->first = first;
	a->len = has_last && last < size ? last - first + 1 : size - first;
	return 206;
}

/* If-Range, strong: the tag, or exactly the date that Last-Modified shows (RFC 9110, 13.1.5). */
static bool range_applies(const struct khttpd_request *req, struct khttpd_str etag,
			  s64 last_modified, s64 now)
{
	struct khttpd_str value;
	s64 date;

	if (!has_field(req, KHTTPD_IF_RANGE))
		return true;
	if (!only_field(req, KHTTPD_IF_RANGE, &value))
		return false;
	return is_equal(value, etag) ||
	       (khttpd_date_parse(value, now, &date) && date == last_modified);
}

/* --- the decision --- */

/* 404, with the page that the host or a rule has for it, or NULL. */
static void not_found(const struct khttpd_site *site, const struct khttpd_request *req,
		      const struct khttpd_image_entry *page, struct answer *a)
{
	a->status = 404;
	if (!page)
		return;
	a->variant = choose_variant(site, page, req);
	if (a->variant)
		a->len = le32_to_cpu(a->variant->body.len);
	else
		a->vary = le16_to_cpu(page->n_variants) > 1;
}

/* A redirect; its location must be measured before the head is written. */
static void redirect(const struct khttpd_site *site, const struct khttpd_request *req, u16 status,
		     struct answer *a)
{
	u64 len = write_location(site, a, req, NULL, 0);

	a->status = status;
	a->location_len = len;
	if (len > KHTTPD_MAX_FIELD_GROUP - (sizeof("Location: \r\n") - 1)) {
		a->status = 414;
		a->location_len = 0;
	}
}

/* What an entry of the site comes to. */
static void decide_entry(const struct khttpd_site *site, const struct khttpd_request *req, s64 now,
			 const struct khttpd_image_entry *entry, struct answer *a)
{
	const struct khttpd_image_variant *v;
	struct khttpd_str range, etag;
	s64 modified;

	if (le16_to_cpu(entry->status) != 200) {
		a->entry = entry;
		redirect(site, req, le16_to_cpu(entry->status), a);
		return;
	}
	v = choose_variant(site, entry, req);
	if (!v) {
		a->status = 406;
		a->vary = le16_to_cpu(entry->n_variants) > 1;
		return;
	}
	a->variant = v;
	a->len = le32_to_cpu(v->body.len);
	a->status = 200;
	if (!req->n_fields)
		return;
	etag = khttpd_site_etag(site, v);
	modified = le64_to_cpu(entry->last_modified);
	a->status = check_preconditions(req, etag, modified, now);
	if (a->status == 200 && req->method == KHTTPD_GET &&
	    only_field(req, KHTTPD_RANGE, &range) && range_applies(req, etag, modified, now))
		a->status = parse_range(range, a);
}

/*
 * What the rules of the host make of a path that the site does not have. @scratch is room for the
 * path that a rewrite leads to: false if it is too small.
 */
static __attribute__((__noinline__)) bool decide_missing(const struct khttpd_site *site, u32 host,
							 const struct khttpd_request *req, s64 now,
							 char *scratch, size_t size,
							 struct answer *a)
{
	u32 page = le32_to_cpu(site->hosts[host].not_found);
	const struct khttpd_image_entry *entry = NULL;
	struct khttpd_route route;
	u16 status;
	u64 len;

	if (khttpd_route_find(site, host, req->path, &route)) {
		status = le16_to_cpu(route.rule->status);
		if (status != 200 && status != 404) {
			a->by_rule = true;
			a->rule = route.rule;
			redirect(site, req, status, a);
			return true;
		}
		len = khttpd_route_path(site, &route, scratch, size);
		if (len > size && size < KHTTPD_IMAGE_MAX_PATH)
			return false;
		if (len <= size)
			entry = khttpd_site_find(site, host, (struct khttpd_str){ scratch, len });
		if (entry && status == 200) {
			decide_entry(site, req, now, entry, a);
			return true;
		}
	}
	if (!entry || le16_to_cpu(entry->status) != 200)
		entry = page != KHTTPD_IMAGE_NONE ? &site->entries[page] : NULL;
	not_found(site, req, entry, a);
	return true;
}

static bool decide(const struct khttpd_site *site, const struct khttpd_request *req, s64 now,
		   char *scratch, size_t size, struct answer *a)
{
	const struct khttpd_image_entry *entry;
	u32 host;

	if (req->error) {
		a->status = req->error >= 400 ? req->error : 500;
		return true;
	}
	if (req->method != KHTTPD_GET && req->method != KHTTPD_HEAD) {
		a->status = req->method == KHTTPD_OPTIONS ? 204 : 405;
		return true;
	}
	host = khttpd_site_host(site, req->host);
	entry = khttpd_site_find(site, host, req->path);
	if (unlikely(!entry))
		return decide_missing(site, host, req, now, scratch, size, a);
	decide_entry(site, req, now, entry, a);
	return true;
}

bool khttpd_reply_plan(const struct khttpd_site *site, const struct khttpd_request *req,
		       const struct khttpd_clock *clock, char *head, size_t size,
		       struct khttpd_reply *reply)
{
	struct answer a = { 0 };

	return decide(site, req, clock->seconds, head, size, &a) &&
	       (write_ready(site, &a, req, clock, head, size, reply) ||
		write_reply(site, &a, req, clock, head, size, reply));
}
