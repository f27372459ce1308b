// SPDX-License-Identifier: MIT OR GPL-2.0
/* khttpd-epoll: the options, the signals and the order of the start. */
#include <argp.h>
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "../core/request.h"
#include "../khttpd_netlink.h"
#include "../pack/pack.h"
#include "reader.h"
#include "server.h"

#define DRAIN_MS 10000 /* that replies have when the server ends */
#define OTHER_FILES 32 /* open besides connections and what each thread has: images, the log */

/* Options whose names, units and defaults are those of the module's parameters */
static const struct {
	const char *name;
	size_t at;
	unsigned int min, max, usual;
	const char *text;
} numbers[] = {
#define NUMBER(name, min, max, usual, text)                                 \
	{                                                                   \
#name, offsetof(struct limits, name), min, max, usual, text \
	}
	NUMBER(first_byte_timeout_ms, 1, 86400000, 10000, "to the first byte of a request"),
	NUMBER(header_timeout_ms, 1, 86400000, 10000, "to the end of a request that has begun"),
	NUMBER(idle_timeout_ms, 1, 86400000, 60000, "between two requests"),
	NUMBER(send_timeout_ms, 1, 86400000, 30000, "in which a client takes nothing of its reply"),
	NUMBER(linger_timeout_ms, 1, 86400000, 5000, "for the client to close its side"),
	NUMBER(max_conns, 1, 1 << 30, 65536, "connections; the longest idle makes room"),
	NUMBER(max_conns_per_ip, 0, 1 << 30, 0, "connections of one address; 0: no limit"),
	NUMBER(max_requests, 0, 1 << 30, 0, "requests on one connection; 0: no limit"),
	NUMBER(max_head, KHTTPD_MIN_HEAD, KHTTPD_MAX_HEAD, 16384, "bytes of a request's head"),
	NUMBER(max_target, 1, KHTTPD_MAX_HEAD, 8192, "bytes of a request's target"),
	NUMBER(max_body, 0, 1 << 30, 1048576, "bytes of a request's body, which is read past"),
};

#define N_NUMBERS (sizeof(numbers) / sizeof(*numbers))

/* Keys of options without a letter; those of @numbers follow */
enum { KEY_BACKLOG = 256, KEY_USER, KEY_LOG, KEY_LOG_FORMAT, KEY_SECCOMP, KEY_LARGE, KEY_NUMBERS };

struct arguments {
	struct server_config config;
	const char *bind;
	const char *user;
	const char *site;
	const char *log;
	enum log_format log_format;
	unsigned int port;
	unsigned int large;
};

static unsigned int parse_number(struct argp_state *state, const char *what, const char *text,
				 unsigned int min, unsigned int max)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || value < min || value > max)
		argp_error(state, "%s must be a number from %u to %u", what, min, max);
	return value;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	unsigned int i = key - KEY_NUMBERS;

	switch (key) {
	case 's':
		a->site = arg;
		return 0;
	case 'p':
		a->port = parse_number(state, "port", arg, 1, 65535);
		return 0;
	case 'b':
		a->bind = arg;
		return 0;
	case 't':
		a->config.threads = parse_number(state, "threads", arg, 1, 1024);
		return 0;
	case KEY_BACKLOG:
		a->config.backlog = parse_number(state, "backlog", arg, 1, 65535);
		return 0;
	case KEY_USER:
		a->user = arg;
		return 0;
	case KEY_LOG:
		a->log = arg;
		return 0;
	case KEY_LOG_FORMAT:
		if (strcmp(arg, "combined") && strcmp(arg, "json"))
			argp_error(state, "log-format must be combined or json");
		a->log_format = strcmp(arg, "json") ? LOG_COMBINED : LOG_JSON;
		return 0;
	case KEY_SECCOMP:
		if (!strcmp(arg, "deny"))
			a->config.sandbox = SANDBOX_DENY;
		else if (!strcmp(arg, "kill"))
			a->config.sandbox = SANDBOX_KILL;
		else if (!strcmp(arg, "off"))
			a->config.sandbox = SANDBOX_OFF;
		else
			argp_error(state, "seccomp must be deny, kill or off");
		return 0;
	case KEY_LARGE:
		a->large = parse_number(state, "debug-large", arg, 1, 1 << 30);
		return 0;
	default:
		if (key < KEY_NUMBERS || i >= N_NUMBERS)
			return ARGP_ERR_UNKNOWN;
		*(unsigned int *)((char *)&a->config.limits + numbers[i].at) =
			parse_number(state, numbers[i].name, arg, numbers[i].min, numbers[i].max);
		return 0;
	}
}

/* The address of --bind, or both versions' any; IPv4's where there is no IPv6. */
static bool parse_address(const char *text, unsigned int port, struct sockaddr_storage *address)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	int fd;

	memset(address, 0, sizeof(*address));
	if (!strcmp(text, "::")) {
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			text = "0.0.0.0";
		else
			close(fd);
	}
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return true;
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	return inet_pton(AF_INET6, text, &in6->sin6_addr) == 1;
}

/* Root is needed for a low port only: be somebody else from now on. */
static void become(const char *name)
{
	const struct passwd *user = getpwnam(name);

	if (!user)
		errx(EXIT_FAILURE, "there is no user %s", name);
	if (initgroups(name, user->pw_gid) || setgid(user->pw_gid) || setuid(user->pw_uid))
		err(EXIT_FAILURE, "cannot become %s", name);
}

/*
 * As many descriptors as all connections may need, those on credit too. If so many are not allowed
 * there will be fewer connections: without descriptors neither the site nor the log can be opened.
 */
static void allow_descriptors(struct limits *limits, unsigned int threads)
{
	rlim_t other = 3 * threads + OTHER_FILES;
	unsigned int asked = limits->max_conns;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	if (files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	while (limits->max_conns > 1 &&
	       limits->max_conns + server_credit(limits) + other > files.rlim_cur)
		limits->max_conns -= limits->max_conns / 64 + 1;
	if (limits->max_conns != asked)
		warnx("only %lu files may be open: max_conns is %u, not %u",
		      (unsigned long)files.rlim_cur, limits->max_conns, asked);
}

/* The reader has answered: serve what it has read, if that is of use. */
static void swap(struct server *srv, const char *name, int fd)
{
	struct content *content = fd < 0 ? NULL : content_open(fd, name);

	if (content) {
		server_swap(srv, content);
		warnx("the site was read again");
	} else {
		warnx("the old site goes on");
	}
}

/* Serve until a signal says that it is enough. */
static void serve(struct server *srv, const struct arguments *a, int signals, int reader)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	struct pollfd wait[] = { { .fd = signals, .events = POLLIN },
				 { .fd = reader, .events = POLLIN } };
	bool reading = false, again = false;
	uint8_t asked = 0, answered;
	struct signalfd_siginfo info;
	int fd;

	for (;;) {
		if (poll(wait, 2, -1) < 0) {
			nanosleep(&pause, NULL); /* no memory: there may be some soon */
			continue;
		}
		if (wait[0].revents && read(signals, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGHUP)
				return;
			if (a->config.log)
				log_reopen(a->config.log);
			again = true;
		}
		if (wait[1].revents) {
			fd = reader_answer(reader, &answered);
			if (fd == READER_GONE) {
				warnx("the process that reads the site has ended");
				wait[1].fd = -1;
				again |= reading;
				reading = false;
			} else if (reading && answered == asked) {
				swap(srv, a->site, fd);
				reading = false;
			} else if (fd >= 0) {
				close(fd);
			}
		}
		if (again && !reading) {
			again = false;
			reading = wait[1].fd >= 0 && reader_ask(reader, ++asked);
			if (!reading)
				warnx("the old site goes on");
		}
	}
}

const char *argp_program_version = "khttpd-epoll " KHTTPD_VERSION ", site image format 1";

int main(int argc, char **argv)
{
	static const struct argp_option fixed[] = {
		{ "site", 's', "FILE|DIR", 0, "what to serve; a built-in page without it", 0 },
		{ "port", 'p', "PORT", 0, "where to listen (default: 8081)", 0 },
		{ "bind", 'b', "ADDR", 0, "the address to listen on (default: all)", 0 },
		{ "threads", 't', "N", 0, "default: one for each processor", 0 },
		{ "backlog", KEY_BACKLOG, "N", 0, "of each thread's listener (default: 4096)", 0 },
		{ "user", KEY_USER, "NAME", 0, "become that user once the port is open", 0 },
		{ "log", KEY_LOG, "FILE", 0, "access log; - is standard output", 0 },
		{ "log-format", KEY_LOG_FORMAT, "FORMAT", 0, "combined (default) or json", 0 },
		{ "seccomp", KEY_SECCOMP, "ACTION", 0,
		  "what a system call that the server does not need gets: deny (default), kill (the server) or off (it is "
		  "executed)",
		  0 },
		{ "debug-large", KEY_LARGE, "BYTES", OPTION_HIDDEN, NULL, 0 },
	};
	struct argp_option options[sizeof(fixed) / sizeof(*fixed) + N_NUMBERS + 1] = { 0 };
	struct argp argp = {
		options,
		parse_option,
		NULL,
		"Serve a site over HTTP, from user space.\v"
		"SIGHUP reads the site again and opens the log anew, both as --user if there is one. SIGTERM and SIGINT end the "
		"server when its replies have ended, a second SIGINT at once.",
		NULL,
		NULL,
		NULL
	};
	static struct arguments a = { .config.backlog = 4096, .bind = "::", .port = 8081 };
	char text[N_NUMBERS][128];
	struct argp_option *option;
	struct server *srv;
	sigset_t signals;
	unsigned int i;
	int signal_fd, reader;

	memcpy(options, fixed, sizeof(fixed));
	for (i = 0; i < N_NUMBERS; i++) {
		snprintf(text[i], sizeof(text[i]), "%s (default: %u)", numbers[i].text,
			 numbers[i].usual);
		option = &options[sizeof(fixed) / sizeof(*fixed) + i];
		option->name = numbers[i].name;
		option->key = KEY_NUMBERS + i;
		option->arg = "N";
		option->doc = text[i];
		option->group = 1;
		*(unsigned int *)((char *)&a.config.limits + numbers[i].at) = numbers[i].usual;
	}
	a.config.threads = pack_processors();
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (!parse_address(a.bind, a.port, &a.config.address))
		errx(EX_USAGE, "%s is no IP address", a.bind);
	/* From now on a site that has changed is read again, after this one. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	/* sendfile() knows no MSG_NOSIGNAL, and the log may be a pipe that nobody reads */
	signal(SIGPIPE, SIG_IGN);

	allow_descriptors(&a.config.limits, a.config.threads);
	a.config.content = content_read(a.site, a.large);
	if (!a.config.content)
		return EXIT_FAILURE;
	/* Before there are threads: they inherit this, and only serve() gets signals */
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (a.log) {
		a.config.log = log_open(a.log, a.log_format);
		if (!a.config.log)
			return EXIT_FAILURE;
	}
	srv = server_open(&a.config);
	if (!srv)
		err(EXIT_FAILURE, "cannot listen on %s port %u", a.bind, a.port);
	if (a.user)
		become(a.user);
	reader = reader_start(a.site, a.large);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (reader < 0 || signal_fd < 0)
		err(EXIT_FAILURE, "cannot start");
	if (!sandbox_program(a.config.sandbox))
		return EXIT_FAILURE;
	if ((a.config.log && !log_start(a.config.log)) || !server_run(srv))
		err(EXIT_FAILURE, "cannot start threads");
	warnx("serving on %s port %u, %u threads", a.bind, a.port, a.config.threads);
	serve(srv, &a, signal_fd, reader);
	/* Whoever does not want to wait for the last replies interrupts a second time */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
	server_stop(srv, DRAIN_MS);
	if (a.config.log)
		log_close(a.config.log);
	return EXIT_SUCCESS;
}
