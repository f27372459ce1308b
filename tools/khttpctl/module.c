// SPDX-License-Identifier: MIT OR GPL-2.0
/* khttpctl load, unload, status, stats, metrics: the module as a whole. */
#include <argp.h>
#include <err.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "khttpctl.h"
#include "module.h"

/* What each counter is called; OpenMetrics wants totals to end so, and help for each. */
static const struct {
	const char *name;
	const char *metric;
	const char *labels;
	const char *help;
} counters[KHTTPD_STAT_MAX + 1] = {
	[KHTTPD_STAT_ACCEPTED] = { "accepted", "connections_accepted", "",
				   "Connections that were accepted." },
	[KHTTPD_STAT_CLOSED] = { "closed", "connections_closed", "",
				 "Connections that have ended." },
	[KHTTPD_STAT_REFUSED_CONNS] = { "refused_max_conns", "connections_refused",
					"{reason=\"max_conns\"}",
					"Connections that were closed at once." },
	[KHTTPD_STAT_REFUSED_PEER] = { "refused_max_conns_per_ip", "connections_refused",
				       "{reason=\"max_conns_per_ip\"}", NULL },
	[KHTTPD_STAT_REFUSED_MEMORY] = { "refused_memory", "connections_refused",
					 "{reason=\"memory\"}", NULL },
	[KHTTPD_STAT_SHED] = { "shed", "connections_shed", "",
			       "Idle connections that made room for new ones." },
	[KHTTPD_STAT_TIMEOUT_FIRST] = { "timeout_first_byte", "timeouts",
					"{timeout=\"first_byte\"}",
					"Connections and requests whose time was up." },
	[KHTTPD_STAT_TIMEOUT_HEAD] = { "timeout_header", "timeouts", "{timeout=\"header\"}", NULL },
	[KHTTPD_STAT_TIMEOUT_IDLE] = { "timeout_idle", "timeouts", "{timeout=\"idle\"}", NULL },
	[KHTTPD_STAT_TIMEOUT_SEND] = { "timeout_send", "timeouts", "{timeout=\"send\"}", NULL },
	[KHTTPD_STAT_TIMEOUT_LINGER] = { "timeout_linger", "timeouts", "{timeout=\"linger\"}",
					 NULL },
	[KHTTPD_STAT_BYTES] = { "bytes", "sent_bytes", "", "Bytes of replies, heads included." },
	[KHTTPD_STAT_SITES] = { "sites", "sites_loaded", "", "Sites that came to be served." },
	[KHTTPD_STAT_CUT] = { "cut", "connections_cut", "",
			      "Connections whose reply came from a site replaced long ago." },
};

/* Where complaints go instead of standard error */
static char *complaint;
static size_t complaint_size;

void complain_into(char *text, size_t size)
{
	complaint = text;
	complaint_size = size;
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (complaint)
		vsnprintf(complaint, complaint_size, format, args);
	else
		vwarnx(format, args);
	va_end(args);
}

/* --- what the module says --- */

#define MAX_STATUSES 64

static void set_text(char *to, size_t size, const struct nlattr *attr)
{
	snprintf(to, size, "%s", attr_text(attr));
}

static void read_site(struct module_state *s, const struct nlattr *nest)
{
	const struct nlattr *attrs[KHTTPD_A_SITE_MAX + 1], *digest;
	const unsigned char *p;
	size_t i;

	attrs_of_nest(nest, attrs, KHTTPD_A_SITE_MAX);
	set_text(s->site, sizeof(s->site), attrs[KHTTPD_A_SITE_NAME]);
	digest = attrs[KHTTPD_A_SITE_DIGEST];
	if (digest && mnl_attr_get_payload_len(digest) == 16) {
		p = mnl_attr_get_payload(digest);
		for (i = 0; i < 16; i++)
			sprintf(s->digest + 2 * i, "%02x", p[i]);
	}
	s->bytes = attr_number(attrs[KHTTPD_A_SITE_BYTES]);
	s->entries = attr_number(attrs[KHTTPD_A_SITE_ENTRIES]);
	s->hosts = attr_number(attrs[KHTTPD_A_SITE_HOSTS]);
	s->since = attr_number(attrs[KHTTPD_A_SITE_SINCE]);
	s->builtin = attrs[KHTTPD_A_SITE_BUILTIN];
}

static void read_state(const struct nlmsghdr *nlh, void *context)
{
	const struct nlattr *attrs[KHTTPD_A_MAX + 1], *param[KHTTPD_A_PARAM_MAX + 1], *attr;
	struct module_state *s = context;

	attrs_of_reply(nlh, attrs, KHTTPD_A_MAX);
	set_text(s->version, sizeof(s->version), attrs[KHTTPD_A_VERSION]);
	s->image_version = attr_number(attrs[KHTTPD_A_IMAGE_VERSION]);
	set_text(s->bind, sizeof(s->bind), attrs[KHTTPD_A_BIND]);
	s->port = attr_number(attrs[KHTTPD_A_PORT]);
	s->shards = attr_number(attrs[KHTTPD_A_SHARDS]);
	s->backlog = attr_number(attrs[KHTTPD_A_BACKLOG]);
	s->conns = attr_number(attrs[KHTTPD_A_CONNS]);
	s->images = attr_number(attrs[KHTTPD_A_IMAGES]);
	if (attrs[KHTTPD_A_SITE])
		read_site(s, attrs[KHTTPD_A_SITE]);
	mnl_attr_for_each(attr, nlh, 4)
	{ /* behind the generic netlink header */
		if (mnl_attr_get_type(attr) != KHTTPD_A_PARAM || s->n_params == MODULE_MAX_PARAMS)
			continue;
		attrs_of_nest(attr, param, KHTTPD_A_PARAM_MAX);
		set_text(s->params[s->n_params].name, sizeof(s->params->name),
			 param[KHTTPD_A_PARAM_NAME]);
		s->params[s->n_params++].value = attr_number(param[KHTTPD_A_PARAM_VALUE]);
	}
}

bool module_state(struct module *m, struct module_state *s)
{
	memset(s, 0, sizeof(*s));
	return module_ask(m, KHTTPD_CMD_STATE_GET, false, -1, read_state, s);
}

struct stats {
	uint64_t counter[KHTTPD_STAT_MAX + 1];
	struct {
		uint32_t status;
		uint64_t n;
	} replies[MAX_STATUSES];
	size_t n_replies;
};

static void read_stats(const struct nlmsghdr *nlh, void *context)
{
	const struct nlattr *nest[KHTTPD_A_STAT_MAX + 1], *attr;
	struct stats *s = context;
	uint64_t id;

	mnl_attr_for_each(attr, nlh, 4)
	{
		if (mnl_attr_get_type(attr) == KHTTPD_A_STAT) {
			attrs_of_nest(attr, nest, KHTTPD_A_STAT_MAX);
			id = attr_number(nest[KHTTPD_A_STAT_ID]);
			if (id <= KHTTPD_STAT_MAX)
				s->counter[id] = attr_number(nest[KHTTPD_A_STAT_VALUE]);
		}
		if (mnl_attr_get_type(attr) == KHTTPD_A_REPLIES && s->n_replies < MAX_STATUSES) {
			attrs_of_nest(attr, nest, KHTTPD_A_REPLIES_MAX);
			s->replies[s->n_replies].status =
				attr_number(nest[KHTTPD_A_REPLIES_STATUS]);
			s->replies[s->n_replies++].n = attr_number(nest[KHTTPD_A_REPLIES_VALUE]);
		}
	}
}

static bool get_stats(struct module *m, struct stats *s)
{
	memset(s, 0, sizeof(*s));
	return module_ask(m, KHTTPD_CMD_STATS_GET, false, -1, read_stats, s);
}

/* --- commands --- */

static error_t parse_json(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key != 'j')
		return ARGP_ERR_UNKNOWN;
	*(bool *)state->input = true;
	return 0;
}

bool wants_json(int argc, char **argv, const char *help, const char *doc)
{
	const struct argp_option options[] = { { "json", 'j', NULL, 0, help, 0 }, { 0 } };
	const struct argp argp = { .options = options, .parser = parse_json, .doc = doc };
	bool json = false;

	argp_parse(&argp, argc, argv, 0, NULL, &json);
	return json;
}

static void print_json(json_t *json)
{
	if (!json || json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER))
		err(EXIT_FAILURE, "out of memory");
	putchar('\n');
	json_decref(json);
}

bool module_load(int fd)
{
	struct module *m = module_open();
	struct module_state s;
	bool done = m && module_state(m, &s);

	if (done && s.image_version != KHTTPD_IMAGE_VERSION) {
		complain(
			"khttpd.ko %s reads site images of version %u, this is khttpctl %s with version %u: use those that belong together",
			s.version, s.image_version, KHTTPD_VERSION, KHTTPD_IMAGE_VERSION);
		done = false;
	}
	done = done && module_ask(m, KHTTPD_CMD_SITE_LOAD, false, fd, NULL, NULL);
	module_close(m);
	return done;
}

bool module_drop(void)
{
	struct module *m = module_open();
	bool done = m && module_ask(m, KHTTPD_CMD_SITE_DROP, false, -1, NULL, NULL);

	module_close(m);
	return done;
}

int cmd_unload(int argc, char **argv)
{
	static const struct argp argp = {
		.doc = "Serve the built-in page from now on; the site's memory is freed."
	};

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	return module_drop() ? EXIT_SUCCESS : EXIT_FAILURE;
}

static json_t *state_to_json(const struct module_state *s)
{
	json_t *params = json_object();
	size_t i;

	for (i = 0; i < s->n_params; i++)
		json_object_set_new(params, s->params[i].name, json_integer(s->params[i].value));
	return json_pack(
		"{s:s, s:i, s:{s:s, s:i, s:i, s:i}, s:{s:s, s:s, s:b, s:I, s:i, s:i, s:I}, s:i, s:i, s:o}",
		"version", s->version, "image_version", (int)s->image_version, "listen", "bind",
		s->bind, "port", (int)s->port, "shards", (int)s->shards, "backlog", (int)s->backlog,
		"site", "name", s->site, "digest", s->digest, "builtin", (int)s->builtin, "bytes",
		(json_int_t)s->bytes, "entries", (int)s->entries, "hosts", (int)s->hosts, "since",
		(json_int_t)s->since, "connections", (int)s->conns, "images", (int)s->images,
		"parameters", params);
}

static void print_state(const struct module_state *s)
{
	time_t since = s->since;
	struct tm tm;
	char when[64] = "";
	size_t i;

	if (localtime_r(&since, &tm))
		strftime(when, sizeof(when), "%F %T %z", &tm);
	printf("khttpd.ko %s on %s%s%s:%u, %u shard%s, backlog %u\n", s->version,
	       strchr(s->bind, ':') ? "[" : "", s->bind, strchr(s->bind, ':') ? "]" : "", s->port,
	       s->shards, s->shards == 1 ? "" : "s", s->backlog);
	if (strcmp(s->version, KHTTPD_VERSION))
		printf("warning: this is khttpctl %s\n", KHTTPD_VERSION);
	if (s->builtin)
		printf("site: the built-in page, since %s; khttpctl load DIR replaces it\n", when);
	else
		printf("site: %s, %u paths of %u host%s, %u bytes, digest %s, since %s\n", s->site,
		       s->entries, s->hosts, s->hosts == 1 ? "" : "s", s->bytes, s->digest, when);
	printf("connections: %u\n", s->conns);
	if (s->images > 1)
		printf("older sites that replies still come from: %u\n", s->images - 1);
	for (i = 0; i < s->n_params; i++)
		printf("%s%s=%u", i ? " " : "parameters: ", s->params[i].name, s->params[i].value);
	putchar('\n');
}

int cmd_status(int argc, char **argv)
{
	bool json = wants_json(argc, argv, "print JSON",
			       "Show what the module serves, where, and with which limits.");
	struct module *m;
	struct module_state s;
	bool done;

	m = module_open();
	done = m && module_state(m, &s);
	if (done && json)
		print_json(state_to_json(&s));
	else if (done)
		print_state(&s);
	module_close(m);
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_stats(int argc, char **argv)
{
	bool json = wants_json(argc, argv, "print JSON",
			       "Show what the module has counted since it was loaded.");
	json_t *object, *replies;
	struct module *m;
	struct stats s;
	char code[16];
	bool done;
	size_t i;

	m = module_open();
	done = m && get_stats(m, &s);
	module_close(m);
	if (!done)
		return EXIT_FAILURE;
	if (!json) {
		for (i = 1; i <= KHTTPD_STAT_MAX; i++)
			printf("%-26s %20llu\n", counters[i].name,
			       (unsigned long long)s.counter[i]);
		for (i = 0; i < s.n_replies; i++)
			printf("replies %-18u %20llu\n", s.replies[i].status,
			       (unsigned long long)s.replies[i].n);
		return EXIT_SUCCESS;
	}
	object = json_object();
	replies = json_object();
	for (i = 1; i <= KHTTPD_STAT_MAX; i++)
		json_object_set_new(object, counters[i].name, json_integer(s.counter[i]));
	for (i = 0; i < s.n_replies; i++) {
		snprintf(code, sizeof(code), "%u", s.replies[i].status);
		json_object_set_new(replies, code, json_integer(s.replies[i].n));
	}
	json_object_set_new(object, "replies", replies);
	print_json(object);
	return EXIT_SUCCESS;
}

/* OpenMetrics labels: quotes, backslashes and line ends are escaped. */
static void print_label(const char *name, const char *value)
{
	printf("%s=\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			putchar('\\');
		putchar(*value);
	}
	putchar('"');
}

int cmd_metrics(int argc, char **argv)
{
	static const struct argp argp = {
		.doc = "Print state and counters as OpenMetrics text, for Prometheus and others."
	};
	struct module *m;
	struct module_state state;
	struct stats s;
	bool done;
	size_t i;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	m = module_open();
	done = m && module_state(m, &state) && get_stats(m, &s);
	module_close(m);
	if (!done)
		return EXIT_FAILURE;
	printf("# TYPE khttpd info\n# HELP khttpd The module and the site that it serves.\nkhttpd_info{");
	print_label("version", state.version);
	putchar(',');
	print_label("site", state.site);
	putchar(',');
	print_label("digest", state.digest);
	printf("} 1\n");
	printf("# TYPE khttpd_connections gauge\n# HELP khttpd_connections Connections now.\n"
	       "khttpd_connections %u\n",
	       state.conns);
	printf("# TYPE khttpd_site_bytes gauge\n# UNIT khttpd_site_bytes bytes\n"
	       "# HELP khttpd_site_bytes Size of the site.\nkhttpd_site_bytes %u\n",
	       state.bytes);
	printf("# TYPE khttpd_site_paths gauge\n# HELP khttpd_site_paths Paths of the site.\n"
	       "khttpd_site_paths %u\n",
	       state.entries);
	for (i = 1; i <= KHTTPD_STAT_MAX; i++) {
		if (counters[i].help)
			printf("# TYPE khttpd_%s counter\n# HELP khttpd_%s %s\n",
			       counters[i].metric, counters[i].metric, counters[i].help);
		printf("khttpd_%s_total%s %llu\n", counters[i].metric, counters[i].labels,
		       (unsigned long long)s.counter[i]);
	}
	printf("# TYPE khttpd_replies counter\n# HELP khttpd_replies Replies by status code.\n");
	for (i = 0; i < s.n_replies; i++)
		printf("khttpd_replies_total{code=\"%u\"} %llu\n", s.replies[i].status,
		       (unsigned long long)s.replies[i].n);
	printf("# EOF\n");
	return EXIT_SUCCESS;
}
