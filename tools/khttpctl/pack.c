// SPDX-License-Identifier: MIT OR GPL-2.0
/* khttpctl pack and load: from folders to a site image, in a file or in the kernel. */
#include <argp.h>
#include <err.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../pack/coding.h"
#include "../../pack/pack.h"
#include "khttpctl.h"

enum {
	OPT_HOST = 256,
	OPT_NAME,
	OPT_ENCODINGS,
	OPT_CLEAN_URLS,
	OPT_MIME_TYPES,
	OPT_DRY_RUN,
	OPT_LIST,
};

/* How to pack, wherever the result goes */
#define PACK_OPTIONS(encodings)                                                                       \
	{ "host", OPT_HOST, "NAME=DIR", 0, "a further host and its folder; can be repeated", 0 },     \
		{ "name", OPT_NAME, "NAME", 0, "name of the site (default: that of the folder)", 0 }, \
		{ "clean-urls", OPT_CLEAN_URLS, NULL, 0, "/about shows about.html, too", 0 },         \
		{ "encodings", OPT_ENCODINGS, "LIST", 0, encodings, 0 },                              \
		{ "level", 'l', "N", 0, "compression from 1 (quick) to 11 (small); default 9", 0 },   \
		{ "jobs", 'j', "N", 0, "threads (default: one for each processor)", 0 },              \
		{ "mime-types",                                                                       \
		  OPT_MIME_TYPES,                                                                     \
		  "FILE",                                                                             \
		  0,                                                                                  \
		  "media types (default: " PACK_MIME_TYPES ")",                                       \
		  0 },                                                                                \
	{                                                                                             \
		"quiet", 'q', NULL, 0, "no summary, no progress", 0                                   \
	}

static const struct argp_option options[] = {
	PACK_OPTIONS("compress to these: br, zstd, gzip, or none (default: br,zstd,gzip)"),
	{ "output", 'o', "FILE", 0, "the site image to write", 0 },
	{ "dry-run", 'n', NULL, 0, "do all but write the file", 0 },
	{ "list", OPT_LIST, "FILE", 0, "pack nothing, but print the paths of a site image", 1 },
	{ 0 },
};

static const char doc[] =
	"Make a site image of a folder.\vindex.html is shown for its folder, 404.html for what does not exist. The files _redirects and _headers hold rules; khttpctl(1) explains them. Names that begin with a dot are left out, but for .well-known.";

struct arguments {
	struct pack_options pack;
	struct pack_host *hosts; /* the default host first */
	const char *output;
	const char *list;
	bool load; /* the result goes to the module */
	bool dry_run;
	bool quiet;
};

static long number(const struct argp_state *state, const char *what, const char *text, long max)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 1 || n > max)
		argp_error(state, "%s: \"%s\" is not a number from 1 to %ld", what, text, max);
	return n;
}

static unsigned int encodings(const struct argp_state *state, char *list)
{
	unsigned int set = 0;
	char *name, *rest;
	int i;

	for (name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		for (i = KHTTPD_CODINGS - 1; i > 0 && strcmp(name, coding_names[i]); i--)
			;
		if (!i && strcmp(name, "none") && strcmp(name, "identity"))
			argp_error(state, "--encodings: \"%s\" is none of br, zstd, gzip, none",
				   name);
		set |= 1U << i;
	}
	return set & ~1U;
}

static void add_host(struct arguments *a, const struct argp_state *state, char *arg)
{
	char *dir = strchr(arg, '=');

	if (!dir || dir == arg || !dir[1])
		argp_error(state, "--host: \"%s\" is not NAME=DIR", arg);
	*dir++ = 0;
	a->hosts = realloc(a->hosts, (a->pack.n_hosts + 1) * sizeof(*a->hosts));
	if (!a->hosts)
		err(EXIT_FAILURE, "out of memory");
	a->hosts[a->pack.n_hosts++] = (struct pack_host){ arg, dir };
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'o':
		a->output = arg;
		break;
	case 'l':
		a->pack.level = number(state, "--level", arg, PACK_MAX_LEVEL);
		break;
	case 'j':
		a->pack.jobs = number(state, "--jobs", arg, 1024);
		break;
	case 'n':
		a->dry_run = true;
		break;
	case 'q':
		a->quiet = true;
		break;
	case OPT_HOST:
		add_host(a, state, arg);
		break;
	case OPT_NAME:
		a->pack.name = arg;
		break;
	case OPT_ENCODINGS:
		a->pack.codings = encodings(state, arg);
		break;
	case OPT_CLEAN_URLS:
		a->pack.clean_urls = true;
		break;
	case OPT_MIME_TYPES:
		a->pack.mime_types = arg;
		break;
	case OPT_LIST:
		a->list = arg;
		break;
	case ARGP_KEY_ARG:
		if (a->hosts[0].dir)
			argp_error(state, "more than one folder; --host adds hosts");
		a->hosts[0].dir = arg;
		break;
	case ARGP_KEY_END:
		if (a->list) {
			if (a->hosts[0].dir || a->output || a->dry_run)
				argp_error(state, "--list packs nothing");
			break;
		}
		if (!a->hosts[0].dir)
			argp_error(state, a->load ? "nothing to load" : "no folder to pack");
		if (!a->output && !a->dry_run && !a->load)
			argp_error(state, "no file to write: -o FILE, or --dry-run");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* --- what is said meanwhile --- */

struct display {
	bool bar; /* standard error is a terminal that shows how far we are */
	bool shown;
};

static void clear(struct display *d)
{
	if (d->shown)
		fputs("\r\033[K", stderr);
	d->shown = false;
}

static void message(void *context, enum pack_severity severity, const char *text)
{
	clear(context);
	warnx("%s%s", severity == PACK_WARNING ? "warning: " : "", text);
}

static void progress(void *context, uint32_t done, uint32_t all)
{
	struct display *d = context;
	char bar[41];
	uint32_t n;

	n = all ? (uint64_t)done * (sizeof(bar) - 1) / all : 0;
	memset(bar, ' ', sizeof(bar) - 1);
	memset(bar, '#', n);
	bar[sizeof(bar) - 1] = 0;
	fprintf(stderr, "\r[%s] %u of %u files", bar, done, all);
	d->shown = true;
}

/* --- the summary --- */

static const char *bytes(uint64_t n, char text[32])
{
	static const char *const units[] = { "kB", "MB", "GB" };
	double value = n / 1e3;
	int i;

	if (n < 1000) {
		snprintf(text, 32, "%u bytes", (unsigned int)n);
		return text;
	}
	for (i = 0; i < 2 && value >= 999.95; i++)
		value /= 1e3;
	snprintf(text, 32, "%.1f %s", value, units[i]);
	return text;
}

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

/* File names come from outside: what is not printable ASCII or UTF-8 does not reach a terminal. */
static void print_name(const char *name)
{
	for (; *name; name++)
		putchar((unsigned char)*name < ' ' || *name == 0x7f ? '?' : *name);
}

static void print_noted(const struct pack_noted *noted, const char *what)
{
	uint32_t i;

	if (!noted->n)
		return;
	printf("  %u %s: ", noted->n, what);
	for (i = 0; i < PACK_EXAMPLES && noted->examples[i]; i++) {
		if (i)
			fputs(", ", stdout);
		print_name(noted->examples[i]);
	}
	puts(i < noted->n ? ", ..." : "");
}

static void summarize(const struct packed *p, const char *output)
{
	static const enum khttpd_coding order[] = { KHTTPD_BR, KHTTPD_ZSTD, KHTTPD_GZIP };
	char a[32], b[32];
	size_t i;

	printf("packed %u file%s (%s): %u path%s, %u rule%s; %s%s%s\n", p->files, plural(p->files),
	       bytes(p->bytes, a), p->entries, plural(p->entries), p->rules, plural(p->rules),
	       output ? output : "not written", output ? ", " : ", would be ", bytes(p->size, b));
	for (i = 0; i < sizeof(order) / sizeof(*order); i++) {
		enum khttpd_coding c = order[i];

		if (p->n_coded[c])
			printf("  %s: %u file%s, %s to %s (%.0f %%)\n", coding_names[c],
			       p->n_coded[c], plural(p->n_coded[c]), bytes(p->coded_from[c], a),
			       bytes(p->coded_to[c], b),
			       p->coded_from[c] ? 100. * p->coded_to[c] / p->coded_from[c] : 100.);
	}
	print_noted(&p->noted[PACK_SIBLING], "used as a coding of another file");
	print_noted(&p->noted[PACK_DOT], "left out, name begins with a dot");
	print_noted(&p->noted[PACK_SPECIAL], "left out, no regular file");
	print_noted(&p->noted[PACK_OLD_SIBLING],
		    "not used as a coding, older than the file it belongs to");
	print_noted(&p->noted[PACK_OTHER_SIBLING],
		    "not used as a coding, holds something else than the file beside it");
	print_noted(&p->noted[PACK_FUTURE], "modified in the future, so taken as modified now");
}

/* --- */

/* Is the folder of @file in @dir? The next image would have this one in it. */
static bool is_inside(const char *file, const char *dir)
{
	char *copy = strdup(file), *in, *root;
	bool inside;
	size_t len;

	if (!copy)
		err(EXIT_FAILURE, "out of memory");
	in = realpath(dirname(copy), NULL);
	root = realpath(dir, NULL);
	len = root ? strlen(root) : 0;
	inside = in && root && !strncmp(in, root, len) && (!in[len] || in[len] == '/' || len == 1);
	free(copy);
	free(in);
	free(root);
	return inside;
}

static int list(const char *file)
{
	struct khttpd_site site;

	if (image_load(file, &site) < 0)
		return EXIT_FAILURE;
	image_list(&site);
	return EXIT_SUCCESS;
}

static bool pack(const struct arguments *a, struct display *display)
{
	struct packed packed;
	uint32_t i;
	bool done;

	for (i = 0; a->output && i < a->pack.n_hosts; i++) {
		if (!is_inside(a->output, a->hosts[i].dir))
			continue;
		warnx("%s: it would become part of the site; write it outside of %s", a->output,
		      a->hosts[i].dir);
		return false;
	}
	done = pack_site(&a->pack, &packed);
	clear(display);
	if (!done) {
		warnx("nothing was packed");
		return false;
	}
	done = a->dry_run || output_write(a->output, packed.image, packed.size);
	if (done && !a->quiet)
		summarize(&packed, a->dry_run ? NULL : a->output);
	packed_free(&packed);
	return done;
}

/* The kernel gets the image from memory: it reads it while others wait. */
static bool load(const struct arguments *a, struct display *display)
{
	bool folder = is_folder(a->hosts[0].dir), done;
	struct khttpd_site site;
	struct packed packed;
	int fd;

	fd = image_make(a->hosts[0].dir, &a->pack, &site, &packed);
	clear(display);
	if (fd < 0) {
		if (folder)
			warnx("nothing was packed");
		return false;
	}
	done = module_load(fd);
	if (done && folder && !a->quiet)
		summarize(&packed, "loaded");
	packed_free(&packed);
	close(fd);
	return done;
}

static int run(int argc, char **argv, const struct argp *argp, bool loading)
{
	struct display display = { .bar = isatty(STDERR_FILENO) };
	struct arguments a = {
		.pack = pack_usual(),
		.load = loading,
		.hosts = calloc(1, sizeof(*a.hosts)),
	};
	bool done;

	if (!a.hosts)
		err(EXIT_FAILURE, "out of memory");
	a.hosts[0].name = "";
	a.pack.n_hosts = 1;
	a.pack.message = message;
	a.pack.context = &display;
	argp_parse(argp, argc, argv, 0, NULL, &a);
	if (a.list)
		return list(a.list);
	a.pack.hosts = a.hosts;
	if (display.bar && !a.quiet)
		a.pack.progress = progress;
	done = loading ? load(&a, &display) : pack(&a, &display);
	free(a.hosts);
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_pack(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "DIR", doc, NULL, NULL, NULL };

	return run(argc, argv, &argp, false);
}

int cmd_load(int argc, char **argv)
{
	static const struct argp_option load_options[] = {
		PACK_OPTIONS("compress to these"),
		{ 0 },
	};
	static const char load_doc[] =
		"Serve a site image, or a folder, from now on.\vRequests that are being answered get their reply from the site that they began with; none fails. If anything is wrong with the new site, the old one stays. Options are for folders; khttpctl pack --help explains them.";
	static const struct argp argp = { load_options, parse, "FILE|DIR", load_doc,
					  NULL,		NULL,  NULL };

	return run(argc, argv, &argp, true);
}
