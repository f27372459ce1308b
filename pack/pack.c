// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * From folders to a site image, in five steps: find the files, read the rules, read and code the
 * files (this one on all cores), decide which paths there are, write the image. The steps that
 * decide anything run on one thread over sorted lists, so that the same input gives the same bytes.
 */
#include "pack.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include "../core/date.h"
#include "../core/response.h"
#include "../core/uri.h"
#include "coding.h"
#include "image.h"
#include "mime.h"
#include "rules.h"
#include "source.h"
#include "util.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A coding must save so much, or it is not worth a header field and a decoder's work. */
#define SAVES_PART 10 /* a tenth */
#define SAVES_BYTES 64

/* 128 bits in base64 */
#define ETAG_LEN 22

/* The most preferred first, among equally long ones. */
static const enum khttpd_coding preference[KHTTPD_CODINGS] = { KHTTPD_BR, KHTTPD_ZSTD, KHTTPD_GZIP,
							       KHTTPD_IDENTITY };

/* A coding of a file. */
struct coded {
	enum khttpd_coding coding;
	uint32_t len;
	void *data; /* handed on to the image */
	uint32_t body; /* of the image */
	char etag[ETAG_LEN + 1];
};

/* What became of a file that could be a coding of another. */
enum sibling {
	SIBLING_NONE, /* there is no other */
	SIBLING_OPEN, /* not looked at yet */
	SIBLING_USED,
	SIBLING_OLD,
	SIBLING_OTHER,
};

struct host;

struct file {
	struct host *host;
	const char *path; /* in the host's folder */
	bool candidate; /* named like a coding of another file, which it is left to */
	enum sibling sibling;
	bool is_rules; /* _redirects or _headers */
	bool charset;
	const char *type;
	int64_t modified;
	uint32_t n_coded;
	struct coded *coded;
	bool served;
};

/* A path that is to be served. Of several with one path, the least kind comes first. */
struct draft {
	enum {
		DRAFT_FILE,
		DRAFT_CLEAN_URL,
		DRAFT_DIRECTORY, /* redirect to the path with '/' */
		DRAFT_RULE, /* redirect of an exact rule */
	} kind;
	char *path;
	uint32_t len;
	struct file *file;
	const struct redirect *rule;
	const struct redirect *shadow; /* the forced rule that takes its place */
};

struct host {
	const char *dir;
	char *name;
	struct source_root root;
	bool opened;
	struct source_list list;
	struct file *files; /* one for each of the list */
	struct redirects redirects;
	struct headers headers;
	struct draft *drafts;
	uint32_t n_drafts, cap_drafts;
	uint32_t id; /* of image_host() */
};

struct packer {
	const struct pack_options *options;
	struct report report;
	struct packed *packed;
	struct mime *mime;
	struct host *hosts;
	uint32_t n_hosts;
	struct file *files; /* of all hosts */
	uint32_t n_files;
	uint32_t next; /* file for a thread to take */
	uint32_t done;
	uint32_t running; /* threads */
	uint64_t bytes; /* read so far */
	struct image *image;
	int64_t now;
};

static struct khttpd_str str(const char *s)
{
	return (struct khttpd_str){ s, strlen(s) };
}

static char *join(const char *a, const char *b, const char *c)
{
	char *s;

	return must(asprintf(&s, "%s%s%s", a, b, c) < 0 ? NULL : s);
}

/* --- finding the files --- */

static bool host_name(struct packer *p, struct host *h, const char *name)
{
	struct khttpd_str host;
	uint32_t port;
	size_t len, i;

	h->name = must(strdup(name));
	len = strlen(name);
	for (i = 0; i < len; i++)
		h->name[i] = tolower((unsigned char)name[i]);
	if (len && h->name[len - 1] == '.')
		h->name[--len] = 0;
	if (!*name)
		return true;
	if (!khttpd_parse_authority(str(h->name), &host, &port) || host.len != len ||
	    strchr(h->name, '%') || len > KHTTPD_IMAGE_MAX_HOST_NAME) {
		report(&p->report, PACK_ERROR, name, 0,
		       "is no host name; write it without port, and others than ASCII ones as xn--");
		return false;
	}
	return true;
}

static int by_host_name(const void *a, const void *b)
{
	return strcmp(((const struct host *)a)->name, ((const struct host *)b)->name);
}

static bool open_hosts(struct packer *p)
{
	const struct pack_options *o = p->options;
	uint32_t i;

	if (o->n_hosts > KHTTPD_IMAGE_MAX_HOSTS) {
		report(&p->report, PACK_ERROR, o->name, 0, "has more than 65536 hosts");
		return false;
	}
	p->hosts = must(calloc(o->n_hosts, sizeof(*p->hosts)));
	p->n_hosts = o->n_hosts;
	for (i = 0; i < o->n_hosts; i++) {
		struct host *h = &p->hosts[i];

		h->dir = o->hosts[i].dir;
		if (host_name(p, h, o->hosts[i].name))
			h->opened = source_open(&h->root, h->dir, &p->report);
	}
	if (report_failed(&p->report))
		return false;
	qsort(p->hosts, p->n_hosts, sizeof(*p->hosts), by_host_name);
	for (i = 1; i < p->n_hosts; i++) {
		if (by_host_name(&p->hosts[i - 1], &p->hosts[i]))
			continue;
		report(&p->report, PACK_ERROR, p->hosts[i].name, 0, "is a host twice");
		return false;
	}
	return true;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static struct file *find_file(const struct host *h, const char *path)
{
	struct file key = { .path = path };

	return bsearch(&key, h->files, h->list.n, sizeof(*h->files), by_path);
}

/* The coding that a file's name ends in, of those that are wanted; identity if there is none. */
static enum khttpd_coding coding_of(const struct packer *p, const char *path)
{
	size_t len = strlen(path), ending;
	enum khttpd_coding c;

	for (c = KHTTPD_IDENTITY + 1; c < KHTTPD_CODINGS; c++) {
		ending = strlen(coding_endings[c]);
		if (p->options->codings & 1U << c && len > ending &&
		    !strcmp(path + len - ending, coding_endings[c]))
			return c;
	}
	return KHTTPD_IDENTITY;
}

/* Which files could be codings of others? */
static void find_siblings(const struct packer *p, struct host *h)
{
	struct file *f, *base;
	enum khttpd_coding c;
	char *path;

	for (f = h->files; f < h->files + h->list.n; f++) {
		c = coding_of(p, f->path);
		if (c == KHTTPD_IDENTITY)
			continue;
		path = must(strndup(f->path, strlen(f->path) - strlen(coding_endings[c])));
		base = find_file(h, path);
		f->candidate = base && !base->is_rules;
		if (f->candidate)
			f->sibling = SIBLING_OPEN;
		free(path);
	}
}

static bool find_files(struct packer *p)
{
	struct file *f;
	uint32_t i, j;

	for (i = 0; i < p->n_hosts; i++) {
		source_walk(&p->hosts[i].root, &p->hosts[i].list, p->packed->noted, &p->report);
		p->n_files += p->hosts[i].list.n;
	}
	p->files = must(calloc(p->n_files + 1ULL, sizeof(*p->files)));
	f = p->files;
	for (i = 0; i < p->n_hosts; i++) {
		struct host *h = &p->hosts[i];

		h->files = f;
		for (j = 0; j < h->list.n; j++, f++) {
			f->host = h;
			f->path = h->list.paths[j];
			f->is_rules =
				!strcmp(f->path, "_redirects") || !strcmp(f->path, "_headers");
		}
		find_siblings(p, h);
	}
	return !report_failed(&p->report);
}

/* --- rules --- */

/* A file of rules: its name and text are set if it exists. */
static bool read_rules(struct packer *p, const struct host *h, const char *name, char **file,
		       struct source_content *content)
{
	size_t len = strlen(h->dir);

	if (!find_file(h, name) || !source_read(&h->root, name, content, &p->report))
		return false;
	*file = join(h->dir, len && h->dir[len - 1] == '/' ? "" : "/", name);
	return true;
}

static bool parse_rules(struct packer *p)
{
	struct source_content content;
	struct host *h;
	char *file;

	for (h = p->hosts; h < p->hosts + p->n_hosts; h++) {
		if (read_rules(p, h, "_redirects", &file, &content)) {
			redirects_parse(&h->redirects, file, content.data, content.len, &p->report);
			free(content.data);
		}
		if (read_rules(p, h, "_headers", &file, &content)) {
			headers_parse(&h->headers, file, content.data, content.len, &p->report);
			free(content.data);
		}
	}
	return !report_failed(&p->report);
}

/* --- reading and coding, by several threads --- */

static void make_etag(struct coded *c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	XXH128_hash_t hash = XXH3_128bits(c->data, c->len);
	uint32_t i;

	for (i = 0; i < ETAG_LEN; i++) {
		c->etag[i] = digits[hash.low64 & 63];
		hash.low64 = hash.low64 >> 6 | hash.high64 << 58;
		hash.high64 >>= 6;
	}
	c->etag[i] = 0;
}

static void add_coded(struct file *f, enum khttpd_coding coding, void *data, uint32_t len)
{
	struct coded *c;

	f->coded = must(realloc(f->coded, (f->n_coded + 1) * sizeof(*f->coded)));
	c = &f->coded[f->n_coded++];
	*c = (struct coded){ .coding = coding, .len = len, .data = data };
	make_etag(c);
}

static int by_length(const void *a, const void *b)
{
	const struct coded *x = a, *y = b;
	uint32_t i = 0;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	while (preference[i] != x->coding && preference[i] != y->coding)
		i++;
	return preference[i] == x->coding ? -1 : 1;
}

static void process(struct packer *p, struct coder *coder, struct file *f);

/* Those that could be codings of @f, which is itself a coding of another file, are not. */
static void process_orphans(struct packer *p, struct coder *coder, const struct file *f)
{
	enum khttpd_coding c;
	struct file *orphan;
	char *path;

	for (c = KHTTPD_IDENTITY + 1; c < KHTTPD_CODINGS; c++) {
		path = join(f->path, coding_endings[c], "");
		orphan = find_file(f->host, path);
		free(path);
		if (!orphan || orphan->sibling != SIBLING_OPEN)
			continue;
		orphan->sibling = SIBLING_NONE;
		process(p, coder, orphan);
	}
}

/* Uses the file beside @f that has this coding of it; else that one is a file like others. */
static bool use_sibling(struct packer *p, struct coder *coder, struct file *f,
			enum khttpd_coding coding, const struct source_content *plain)
{
	char *path = join(f->path, coding_endings[coding], "");
	struct file *sibling = find_file(f->host, path);
	struct source_content content;

	free(path);
	if (!sibling || sibling->sibling != SIBLING_OPEN)
		return false;
	if (!source_read(&f->host->root, sibling->path, &content, &p->report))
		return false;
	/* By whole seconds: copies often have no better time */
	if (content.modified < plain->modified)
		sibling->sibling = SIBLING_OLD;
	else if (!coder_decodes(coder, coding, content.data, content.len, plain->data, plain->len))
		sibling->sibling = SIBLING_OTHER;
	else
		sibling->sibling = SIBLING_USED;
	if (sibling->sibling != SIBLING_USED) {
		free(content.data);
		process(p, coder, sibling);
		return false;
	}
	add_coded(f, coding, content.data, content.len);
	__atomic_add_fetch(&p->done, 1, __ATOMIC_RELAXED);
	process_orphans(p, coder, sibling);
	return true;
}

/* The longest coding that is worth it. */
static uint32_t worth(uint32_t len)
{
	uint32_t part = len - len / SAVES_PART - !!(len % SAVES_PART);

	return len <= SAVES_BYTES ? 0 : part < len - SAVES_BYTES ? part : len - SAVES_BYTES;
}

static void process(struct packer *p, struct coder *coder, struct file *f)
{
	struct source_content content;
	enum khttpd_coding c;
	uint32_t max, len;
	void *data;

	if (!source_read(&f->host->root, f->path, &content, &p->report))
		return;
	if (__atomic_add_fetch(&p->bytes, content.len, __ATOMIC_RELAXED) > UINT32_MAX) {
		free(content.data);
		/* Once, and then all others stop */
		if (!report_failed(&p->report))
			report(&p->report, PACK_ERROR, f->host->dir, 0,
			       "the files are larger than a site image can be (4 GiB)");
		return;
	}
	f->modified = content.modified;
	f->type = mime_type(p->mime, f->path, content.data, content.len, &f->charset);
	add_coded(f, KHTTPD_IDENTITY, content.data, content.len);
	max = mime_compressible(f->type) ? worth(content.len) : 0;
	for (c = KHTTPD_IDENTITY + 1; c < KHTTPD_CODINGS; c++) {
		if (!(p->options->codings & 1U << c) || use_sibling(p, coder, f, c, &content) ||
		    !max || report_failed(&p->report))
			continue;
		data = coder_encode(coder, c, content.data, content.len, f->charset, max, &len);
		if (data)
			add_coded(f, c, data, len);
	}
	qsort(f->coded, f->n_coded, sizeof(*f->coded), by_length);
	f->served = true;
	__atomic_add_fetch(&p->done, 1, __ATOMIC_RELAXED);
}

static void *work(void *arg)
{
	struct packer *p = arg;
	struct coder *coder = coder_new(p->options->level);
	struct file *f;
	uint32_t i;

	while (!report_failed(&p->report)) {
		i = __atomic_fetch_add(&p->next, 1, __ATOMIC_RELAXED);
		if (i >= p->n_files)
			break;
		f = &p->files[i];
		if (!f->is_rules && !f->candidate)
			process(p, coder, f);
	}
	coder_free(coder);
	__atomic_sub_fetch(&p->running, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void show_progress(struct packer *p)
{
	static const struct timespec pause = { 0, 50000000 };

	while (__atomic_load_n(&p->running, __ATOMIC_ACQUIRE)) {
		nanosleep(&pause, NULL);
		p->options->progress(p->options->context,
				     __atomic_load_n(&p->done, __ATOMIC_RELAXED), p->n_files);
	}
}

static bool read_files(struct packer *p)
{
	uint32_t n = p->options->jobs, i;
	pthread_t *threads;
	int error = 0;

	if (n > p->n_files)
		n = p->n_files;
	threads = must(calloc(n + 1, sizeof(*threads)));
	p->running = n;
	for (i = 0; i < n && !error; i++)
		error = pthread_create(&threads[i], NULL, work, p);
	if (error) {
		report(&p->report, PACK_ERROR, p->options->name, 0, "cannot start a thread: %s",
		       strerror(error));
		n = i - 1;
	} else if (p->options->progress) {
		show_progress(p);
	}
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	return !report_failed(&p->report);
}

/* --- deciding which paths there are --- */

/* @path is kept. */
static void add_draft(struct host *h, struct draft new, char *path)
{
	new.path = path;
	new.len = strlen(path);
	GROW(h->drafts, h->n_drafts, h->cap_drafts);
	h->drafts[h->n_drafts++] = new;
}

static int by_draft(const void *a, const void *b)
{
	const struct draft *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	if (order || x->kind != y->kind)
		return order ? order : (int)x->kind - (int)y->kind;
	return x->rule && x->rule->line != y->rule->line ? x->rule->line < y->rule->line ? -1 : 1 :
							   0;
}

static struct draft *find_draft(const struct host *h, struct khttpd_str path)
{
	uint32_t low = 0, high = h->n_drafts, middle;
	const struct draft *d;
	int order;

	while (low < high) {
		middle = low + (high - low) / 2;
		d = &h->drafts[middle];
		order = memcmp(path.p, d->path, path.len < d->len ? path.len : d->len);
		if (!order)
			order = path.len < d->len ? -1 : path.len > d->len;
		if (!order)
			return &h->drafts[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Sorted, and one of each path. */
static void sort_drafts(struct host *h)
{
	uint32_t i, n = 0;

	if (h->n_drafts)
		qsort(h->drafts, h->n_drafts, sizeof(*h->drafts), by_draft);
	for (i = 0; i < h->n_drafts; i++) {
		if (n && !strcmp(h->drafts[n - 1].path, h->drafts[i].path))
			free(h->drafts[i].path);
		else
			h->drafts[n++] = h->drafts[i];
	}
	h->n_drafts = n;
}

static void draft_file(const struct packer *p, struct host *h, struct file *f)
{
	const char *slash = strrchr(f->path, '/'), *name = slash ? slash + 1 : f->path;
	size_t dir = name - f->path, len = strlen(f->path);
	char *path = join("/", f->path, "");

	add_draft(h, (struct draft){ .kind = DRAFT_FILE, .file = f }, path);
	if (!strcmp(name, "index.html")) {
		add_draft(h, (struct draft){ .kind = DRAFT_FILE, .file = f },
			  must(strndup(path, 1 + dir)));
		if (dir)
			add_draft(h, (struct draft){ .kind = DRAFT_DIRECTORY },
				  must(strndup(path, dir)));
	} else if (p->options->clean_urls && len > 5 && !strcmp(f->path + len - 5, ".html")) {
		add_draft(h, (struct draft){ .kind = DRAFT_CLEAN_URL, .file = f },
			  must(strndup(path, 1 + len - 5)));
	}
}

/* What a rewrite makes of a path, or of one that is not known where there are captures. */
static struct khttpd_str target_of(const struct redirect *rule, const struct khttpd_str *captures,
				   char **buffer)
{
	const struct expansion *t = &rule->to;
	uint32_t i, len = 0, size = t->len;

	for (i = 0; i < t->len; i++)
		if (!t->text[i])
			size += captures[(unsigned char)t->text[++i]].len;
	*buffer = must(malloc(size + 1));
	for (i = 0; i < t->len; i++) {
		if (t->text[i]) {
			(*buffer)[len++] = t->text[i];
			continue;
		}
		i++;
		memcpy(*buffer + len, captures[(unsigned char)t->text[i]].p,
		       captures[(unsigned char)t->text[i]].len);
		len += captures[(unsigned char)t->text[i]].len;
	}
	return (struct khttpd_str){ *buffer, len };
}

/* Does a forced rule take the place of @d? Not if it leads just there. */
static void shadow(const struct host *h, struct draft *d)
{
	struct khttpd_str captures[KHTTPD_IMAGE_MAX_CAPTURES], path = { d->path, d->len }, to;
	const struct redirect *rule = redirects_find(&h->redirects, path, captures);
	char *buffer;

	if (!rule || !rule->force)
		return;
	if (redirect_is_rewrite(rule)) {
		to = target_of(rule, captures, &buffer);
		if (to.len != path.len || memcmp(to.p, path.p, to.len))
			d->shadow = rule;
		free(buffer);
		return;
	}
	d->shadow = rule;
}

/* A rewrite to a path that is not there is a mistake, as far as it can be seen. */
static void check_rewrite(struct packer *p, const struct host *h, const struct redirect *rule)
{
	const char *file = h->redirects.file;
	struct draft *d;

	if (memchr(rule->to.text, 0, rule->to.len))
		return;
	d = find_draft(h, (struct khttpd_str){ rule->to.text, rule->to.len });
	if (!d)
		report(&p->report, PACK_ERROR, file, rule->line,
		       "its target %.*s does not exist in %s", (int)rule->to.len, rule->to.text,
		       h->dir);
	else if (d->shadow)
		report(&p->report, PACK_ERROR, file, rule->line,
		       "its target %s is taken by the rule in line %u; a rewrite leads to a file",
		       d->path, d->shadow->line);
}

/*
 * A redirect of one path can be an entry, if it comes before all other rules for that path: it is
 * found without trying any rule and does not count among them.
 */
static bool is_entry(const struct redirect *rule)
{
	return redirect_is_exact(rule) && !redirect_is_rewrite(rule);
}

static void apply_redirects(struct packer *p, struct host *h)
{
	struct khttpd_str captures[KHTTPD_IMAGE_MAX_CAPTURES], path;
	const struct redirects *all = &h->redirects;
	const struct redirect *rule;
	struct draft *d;
	uint32_t i, n = 0, rules = 0;

	for (i = 0; all->forced && i < h->n_drafts; i++)
		shadow(h, &h->drafts[i]);
	for (i = 0; i < all->n; i++) {
		rule = &all->list[i];
		if (redirect_is_rewrite(rule))
			check_rewrite(p, h, rule);
		if (!is_entry(rule) && rules++ == KHTTPD_IMAGE_MAX_RULES)
			report(&p->report, PACK_ERROR, all->file, rule->line,
			       "there are more than 2000 rules; redirects of single paths do not count");
		if (!redirect_is_exact(rule))
			continue;
		path = (struct khttpd_str){ rule->from.text, rule->from.len };
		d = find_draft(h, path);
		if (d && !d->shadow && !rule->force)
			report(&p->report, PACK_WARNING, all->file, rule->line,
			       "never used: %s exists; a \"!\" behind the status lets the rule win",
			       d->path);
		else if (redirects_find(all, path, captures) != rule)
			report(&p->report, PACK_WARNING, all->file, rule->line,
			       "never used: a rule before it is for the same path");
	}
	for (i = 0; i < h->n_drafts; i++) {
		if (h->drafts[i].shadow)
			free(h->drafts[i].path);
		else
			h->drafts[n++] = h->drafts[i];
	}
	h->n_drafts = n;
	for (i = 0; i < all->n; i++) {
		rule = &all->list[i];
		path = (struct khttpd_str){ rule->from.text, rule->from.len };
		if (is_entry(rule) && redirects_find(all, path, captures) == rule)
			add_draft(h, (struct draft){ .kind = DRAFT_RULE, .rule = rule },
				  must(strndup(path.p, path.len)));
	}
	sort_drafts(h);
}

static bool decide_paths(struct packer *p)
{
	struct host *h;
	uint32_t i;

	for (h = p->hosts; h < p->hosts + p->n_hosts; h++) {
		for (i = 0; i < h->list.n; i++)
			if (h->files[i].served)
				draft_file(p, h, &h->files[i]);
		sort_drafts(h);
		apply_redirects(p, h);
	}
	return !report_failed(&p->report);
}

/* --- making the image --- */

/* Field lines of one group. */
struct group {
	char *text;
	size_t len, size;
};

static void group_add(struct group *g, const char *name, const char *value)
{
	size_t n = strlen(name) + strlen(value) + 4;

	if (g->len + n + 1 > g->size) {
		g->size = 2 * (g->len + n + 1);
		g->text = must(realloc(g->text, g->size));
	}
	g->len += sprintf(g->text + g->len, "%s: %s\r\n", name, value);
}

/* What a 304 shows, too (RFC 9110, 15.4.5). */
static bool is_second(const char *name)
{
	return !strcasecmp(name, "Cache-Control") || !strcasecmp(name, "Content-Location") ||
	       !strcasecmp(name, "Expires") || !strcasecmp(name, "Vary");
}

/* Does the list in the value of Vary have Accept-Encoding, or "*" for all? */
static bool varies(const struct fields *fields)
{
	struct khttpd_str list, item;
	uint32_t i;

	for (i = 0; i < fields->n; i++) {
		if (strcasecmp(fields->list[i].name, "Vary"))
			continue;
		for (list = str(fields->list[i].value); list.len;) {
			item = (struct khttpd_str){ list.p, strcspn(list.p, ",") };
			list.p += item.len + (item.len < list.len);
			list.len -= item.len + (item.len < list.len);
			while (item.len && strchr(" \t", *item.p)) {
				item.p++;
				item.len--;
			}
			while (item.len && strchr(" \t", item.p[item.len - 1]))
				item.len--;
			if ((item.len == 1 && *item.p == '*') ||
			    (item.len == 15 && !strncasecmp(item.p, "Accept-Encoding", 15)))
				return true;
		}
	}
	return false;
}

/* Buffers that are used again for each path. */
struct scratch {
	struct fields fields;
	struct group group[4];
};

static void add_content(struct packer *p, struct host *h, const struct draft *d, struct scratch *s)
{
	char date[KHTTPD_DATE_LEN + 1] = { 0 }, etag[ETAG_LEN + 3];
	const struct file *f = d->file;
	struct khttpd_str groups[4];
	const struct coded *c;
	uint32_t i, k, len;
	char *type;

	type = join(f->type, f->charset ? "; charset=utf-8" : "", "");
	fields_clear(&s->fields);
	fields_set(&s->fields, "Content-Type", type);
	free(type);
	headers_apply(&h->headers, (struct khttpd_str){ d->path, d->len }, &s->fields);
	if (f->n_coded > 1 && !varies(&s->fields))
		fields_set(&s->fields, "Vary", "Accept-Encoding");
	khttpd_date_format(date, f->modified);
	for (i = 0; i < f->n_coded; i++) {
		c = &f->coded[i];
		for (k = 0; k < 4; k++)
			s->group[k].len = 0;
		for (k = 0; k < s->fields.n; k++)
			group_add(&s->group[is_second(s->fields.list[k].name)],
				  s->fields.list[k].name, s->fields.list[k].value);
		if (c->coding != KHTTPD_IDENTITY)
			group_add(&s->group[0], "Content-Encoding", coding_names[c->coding]);
		snprintf(etag, sizeof(etag), "\"%s\"", c->etag);
		group_add(&s->group[2], "ETag", etag);
		group_add(&s->group[3], "Last-Modified", date);
		group_add(&s->group[3], "Accept-Ranges", "bytes");
		for (k = len = 0; k < 4; k++) {
			groups[k] = (struct khttpd_str){ s->group[k].text, s->group[k].len };
			len += s->group[k].len;
		}
		if (len > KHTTPD_MAX_FIELD_GROUP) {
			report(&p->report, PACK_ERROR, h->headers.file, 0,
			       "the field lines for %s are %u bytes, more than %u", d->path, len,
			       KHTTPD_MAX_FIELD_GROUP);
			return;
		}
		image_variant(p->image, c->coding, groups, c->body);
	}
}

/* The location of a folder: its path, percent-encoded, and a '/'. */
static void add_directory(struct packer *p, struct host *h, const struct draft *d)
{
	char *location = must(malloc(3 * (size_t)d->len + 2));
	uint32_t i, len = 0;
	unsigned char c;

	for (i = 0; i < d->len; i++) {
		c = d->path[i];
		if (isalnum(c) ? c < 0x80 : c && strchr("-._~!$&'()*+,;=:@/", c))
			location[len++] = c;
		else
			len += sprintf(location + len, "%%%02X", c);
	}
	location[len++] = '/';
	if (len > KHTTPD_IMAGE_MAX_PATH)
		report(&p->report, PACK_ERROR, d->path, 0,
		       "its path is longer than 4096 bytes when percent-encoded");
	else
		image_redirect(p->image, h->id, (struct khttpd_str){ d->path, d->len }, 301,
			       (struct khttpd_str){ location, len });
	free(location);
}

static void add_bodies(struct packer *p, struct file *f)
{
	uint32_t plain = 0;
	struct coded *c;

	/* A server must not claim so (RFC 9110, 8.8.2.1) */
	if (f->modified > p->now) {
		source_note(&p->packed->noted[PACK_FUTURE], f->path);
		f->modified = p->now;
	}
	for (c = f->coded; c < f->coded + f->n_coded; c++)
		if (c->coding == KHTTPD_IDENTITY)
			plain = c->len;
	p->packed->files++;
	p->packed->bytes += plain;
	for (c = f->coded; c < f->coded + f->n_coded; c++) {
		p->packed->n_coded[c->coding]++;
		p->packed->coded_from[c->coding] += plain;
		p->packed->coded_to[c->coding] += c->len;
		c->body = image_body(p->image, c->data, c->len, true);
		c->data = NULL;
	}
}

/* Only files that some path still shows get into the image. */
static void add_host(struct packer *p, struct host *h, struct scratch *s)
{
	const struct khttpd_str not_found = KHTTPD_STR("/404.html");
	uint32_t i, id;

	h->id = image_host(p->image, h->name);
	for (i = 0; i < h->list.n; i++)
		h->files[i].served = false;
	for (i = 0; i < h->n_drafts; i++) {
		const struct draft *d = &h->drafts[i];
		struct khttpd_str path = { d->path, d->len };

		if (d->kind == DRAFT_DIRECTORY) {
			add_directory(p, h, d);
		} else if (d->kind == DRAFT_RULE) {
			image_redirect(p->image, h->id, path, d->rule->status,
				       (struct khttpd_str){ d->rule->to.text, d->rule->to.len });
		} else {
			if (!d->file->served)
				add_bodies(p, d->file);
			d->file->served = true;
			id = image_entry(p->image, h->id, path, d->file->modified);
			add_content(p, h, d, s);
			if (path.len == not_found.len && !memcmp(path.p, not_found.p, path.len))
				image_not_found(p->image, h->id, id);
		}
		p->packed->entries++;
	}
	for (i = 0; i < h->redirects.n; i++) {
		const struct redirect *r = &h->redirects.list[i];

		if (is_entry(r))
			continue;
		image_rule(p->image, h->id, r->status,
			   (struct khttpd_str){ r->from.text, r->from.len },
			   (struct khttpd_str){ r->to.text, r->to.len });
		p->packed->rules++;
	}
	for (i = 0; i < h->headers.n; i++)
		if (!h->headers.list[i].used)
			report(&p->report, PACK_WARNING, h->headers.file, h->headers.list[i].line,
			       "never used: no file that is served matches this path");
}

static void note_siblings(struct packer *p)
{
	static const enum pack_note notes[] = {
		[SIBLING_USED] = PACK_SIBLING,
		[SIBLING_OLD] = PACK_OLD_SIBLING,
		[SIBLING_OTHER] = PACK_OTHER_SIBLING,
	};
	const struct file *f;

	for (f = p->files; f < p->files + p->n_files; f++)
		if (f->sibling >= SIBLING_USED)
			source_note(&p->packed->noted[notes[f->sibling]], f->path);
}

static bool make_image(struct packer *p)
{
	struct scratch s = { 0 };
	struct khttpd_site site;
	const char *why = NULL;
	struct host *h;
	uint32_t k;

	p->image = image_new(p->options->name);
	for (h = p->hosts; h < p->hosts + p->n_hosts; h++)
		add_host(p, h, &s);
	note_siblings(p);
	fields_clear(&s.fields);
	free(s.fields.list);
	for (k = 0; k < 4; k++)
		free(s.group[k].text);
	if (report_failed(&p->report))
		return false;
	p->packed->size = image_layout(p->image, &why);
	if (p->packed->size) {
		p->packed->image = mmap(NULL, p->packed->size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p->packed->image == MAP_FAILED) {
			p->packed->image = NULL;
			must(NULL);
		}
		image_write(p->image, p->packed->image);
		/* Nobody gets an image that its reader would refuse */
		if (khttpd_site_open(&site, p->packed->image, p->packed->size, &why))
			return true;
	}
	report(&p->report, PACK_ERROR, p->options->name, 0, "cannot make a site image: %s", why);
	return false;
}

static void packer_free(struct packer *p)
{
	struct host *h;
	uint32_t i, j;

	for (i = 0; i < p->n_files; i++) {
		for (j = 0; j < p->files[i].n_coded; j++)
			free(p->files[i].coded[j].data);
		free(p->files[i].coded);
	}
	free(p->files);
	for (j = 0; j < p->n_hosts; j++) {
		h = &p->hosts[j];
		for (i = 0; i < h->n_drafts; i++)
			free(h->drafts[i].path);
		free(h->drafts);
		redirects_free(&h->redirects);
		headers_free(&h->headers);
		source_list_free(&h->list);
		if (h->opened)
			source_close(&h->root);
		free(h->name);
	}
	free(p->hosts);
	mime_free(p->mime);
	if (p->image)
		image_free(p->image);
	pthread_mutex_destroy(&p->report.lock);
}

unsigned int pack_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
}

struct pack_options pack_usual(void)
{
	return (struct pack_options){
		.level = PACK_LEVEL,
		.codings = 1U << KHTTPD_BR | 1U << KHTTPD_ZSTD | 1U << KHTTPD_GZIP,
		.jobs = pack_processors(),
		.mime_types = PACK_MIME_TYPES,
	};
}

/* That of the first folder, also if it was called "." */
static const char *site_name(char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash && slash[1] ? slash + 1 : "site";
}

bool pack_site(const struct pack_options *wanted, struct packed *packed)
{
	struct pack_options options = *wanted;
	struct packer p = {
		.options = &options,
		.report = { .options = &options, .lock = PTHREAD_MUTEX_INITIALIZER },
		.packed = packed,
		.now = time(NULL),
	};
	char *path = NULL;
	bool done;

	memset(packed, 0, sizeof(*packed));
	if (!options.name) {
		path = realpath(options.hosts[0].dir, NULL);
		options.name = site_name(path);
	}
	done = (p.mime = mime_open(options.mime_types, &p.report)) && open_hosts(&p) &&
	       find_files(&p) && parse_rules(&p) && read_files(&p) && decide_paths(&p) &&
	       make_image(&p);
	packer_free(&p);
	free(path);
	if (!done)
		packed_free(packed);
	return done;
}

void packed_free(struct packed *packed)
{
	uint32_t i, j;

	if (packed->image)
		munmap(packed->image, packed->size);
	for (i = 0; i < PACK_NOTES; i++)
		for (j = 0; j < PACK_EXAMPLES; j++)
			free(packed->noted[i].examples[j]);
	memset(packed, 0, sizeof(*packed));
}
