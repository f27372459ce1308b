// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * khttpctl serve: a server in the foreground, by the module or by khttpd-epoll.
 *
 * Signals, changes of the site and what other processes say all come through one poll(). It waits
 * for nothing else, but for the kernel while that takes or leaves a module or an image.
 */
#include "serve.h"

#include <argp.h>
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "khttpctl.h"
#include "watch.h"

#define SPEAK_MS 2000

/* --- the command line --- */

static const struct argp_option options[] = {
	{ "port", 'p', "PORT", 0,
	  "where to listen (default: 8081, or where the loaded module does)", 0 },
	{ "bind", 'b', "ADDR", 0, "the address to listen on (default: all)", 0 },
	{ "engine", 'e', "ENGINE", 0, "kernel, epoll or auto (default): the module if possible",
	  0 },
	{ "watch", 'w', NULL, 0, "serve changes of the site, too, once they are complete", 0 },
	{ 0 },
};

static const char doc[] =
	"Serve a folder or a site image until Ctrl-C.\vThe module khttpd.ko does it if it is loaded and serves nobody's site, or can be loaded; otherwise khttpd-epoll, a program. Which and why is said. A bad site never replaces a good one. SIGHUP reads the site again. In the end all is as it was before.";

static unsigned int parse_port(const struct argp_state *state, const char *text)
{
	char *rest;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &rest, 10);
	if (errno || *text < '0' || *text > '9' || *rest || value < 1 || value > 65535)
		argp_error(state, "--port: \"%s\" is not a number from 1 to 65535", text);
	return value;
}

/* Nothing but an address: it becomes part of the module's parameters. */
static const char *parse_address(const struct argp_state *state, const char *text)
{
	unsigned char address[16];

	if (inet_pton(AF_INET, text, address) != 1 && inet_pton(AF_INET6, text, address) != 1)
		argp_error(state, "--bind: \"%s\" is no IP address", text);
	return text;
}

static enum engine parse_engine(const struct argp_state *state, const char *text)
{
	static const char *const names[] = { "auto", "kernel", "epoll" };
	int i;

	for (i = 0; i < 3 && strcmp(text, names[i]); i++)
		;
	if (i == 3)
		argp_error(state, "--engine: \"%s\" is none of auto, kernel, epoll", text);
	return i;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct serve *s = state->input;

	switch (key) {
	case 'p':
		s->port = parse_port(state, arg);
		break;
	case 'b':
		s->bind = parse_address(state, arg);
		break;
	case 'e':
		s->wanted = parse_engine(state, arg);
		break;
	case 'w':
		s->watching = true;
		break;
	case ARGP_KEY_ARG:
		if (s->name)
			argp_error(state, "more than one site");
		s->name = arg;
		break;
	case ARGP_KEY_END:
		if (!s->name)
			argp_error(state, "nothing to serve");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* --- what is said --- */

/*
 * Standard error as of now: who does not read it, or has stopped the terminal, must not keep us
 * from ending. Then what we say is lost, after a while.
 */
static ssize_t write_in_time(void *cookie, const char *text, size_t size)
{
	static bool late;
	size_t left = size;
	ssize_t n;

	(void)cookie;
	while (left) {
		struct pollfd fd = { STDERR_FILENO, POLLOUT, 0 };

		/* So much fits at least when a pipe can be written to */
		if (poll(&fd, 1, late ? 0 : SPEAK_MS) > 0)
			n = write(STDERR_FILENO, text, left < PIPE_BUF ? left : PIPE_BUF);
		else
			n = -1;
		late = n < 0;
		if (n <= 0)
			break;
		text += n;
		left -= n;
	}
	return size;
}

static void speak_in_time(void)
{
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = write_in_time });

	if (!f || setvbuf(f, NULL, _IOLBF, BUFSIZ))
		err(EXIT_FAILURE, "out of memory");
	stderr = f;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

void serve_say_begin(struct serve *s, const char *bind, unsigned int port)
{
	bool any = !strcmp(bind, "::") || !strcmp(bind, "0.0.0.0");
	bool six = strchr(bind, ':') && !any;

	s->serving = true;
	warnx("serving %s on http://%s%s%s:%u/ by %s%s%s", s->name, six ? "[" : "",
	      any ? "127.0.0.1" : bind, six ? "]" : "", port,
	      s->engine == ENGINE_KERNEL ? "khttpd.ko" : "khttpd-epoll",
	      s->wanted == ENGINE_AUTO ? ": " : "", s->wanted == ENGINE_AUTO ? s->why : "");
}

void serve_say_changed(struct serve *s, uint32_t files)
{
	char count[32] = "", time[32] = "";

	if (files)
		snprintf(count, sizeof(count), ", %u file%s", files, files == 1 ? "" : "s");
	if (s->since)
		snprintf(time, sizeof(time), ", in %lld ms", (long long)(now_ms() - s->since));
	warnx("the changed site is served%s%s", count, time);
	s->since = 0;
}

/* --- what both engines need --- */

void serve_end(struct serve *s, int status)
{
	s->done = true;
	s->status = status;
}

pid_t serve_fork(const struct serve *s, int signal)
{
	pid_t parent = getpid(), pid = fork();
	sigset_t mask = s->old_mask;

	if (pid)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, signal);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGQUIT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGTTOU); /* its messages may come from the background ("stty tostop") */
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return 0;
}

void serve_fall_back(struct serve *s)
{
	unsigned int port;

	if (s->wanted == ENGINE_KERNEL) {
		warnx("--engine=kernel: %s", s->why);
		serve_end(s, EXIT_FAILURE);
	} else if (kernel_conflict(s, &port)) {
		warnx("port %u is the module's, and %s; --port=N serves beside it", port, s->why);
		serve_end(s, EXIT_FAILURE);
	} else {
		s->engine = ENGINE_EPOLL;
		epoll_start(s);
	}
}

/* --- the loop --- */

static void begin(struct serve *s)
{
	if (s->wanted == ENGINE_EPOLL) {
		s->engine = ENGINE_EPOLL;
		epoll_start(s);
	} else if (kernel_usable(s)) {
		s->engine = ENGINE_KERNEL;
		kernel_pack(s);
		if (s->packed < 0)
			serve_end(s, EXIT_FAILURE);
	} else {
		serve_fall_back(s);
	}
}

static void reload(struct serve *s)
{
	if (!s->since)
		s->since = now_ms();
	if (s->engine == ENGINE_KERNEL)
		kernel_pack(s);
	else if (s->child)
		kill(s->child, SIGHUP);
}

static void end(struct serve *s)
{
	if (s->engine == ENGINE_EPOLL) {
		epoll_end(s); /* its end is ours */
	} else {
		kernel_end(s);
		serve_end(s, EXIT_SUCCESS);
	}
	s->ending = true;
}

static void on_change(struct serve *s)
{
	if (!watch_changed(s->watch))
		return;
	if (watch_missing(s->watch))
		warnx("%s is gone; the old site goes on until it is back", s->name);
	else
		reload(s);
}

/* The terminal's end sends SIGHUP, too, and nobody is left who could end us then. */
static bool has_terminal(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void on_children(struct serve *s)
{
	int status;
	pid_t pid;

	/* There may be others, of whatever became this program by exec */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->child)
			epoll_ended(s, status);
		else if (pid == s->packer)
			kernel_packer_ended(s, status);
	}
}

/* Does SIGHUP say nothing but that the terminal is gone? */
static bool is_hangup(const struct serve *s)
{
	return s->terminal && !has_terminal();
}

static void on_signal(struct serve *s, int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		on_children(s);
	else if (info.ssi_signo == SIGHUP && !is_hangup(s))
		reload(s);
	else
		end(s);
}

static void loop(struct serve *s, int signals)
{
	while (!s->done) {
		bool watching = s->watch && !s->ending;
		struct pollfd fds[] = {
			{ signals, POLLIN, 0 },	  { watching ? watch_fd(s->watch) : -1, POLLIN, 0 },
			{ s->packed, POLLIN, 0 }, { s->words, POLLIN, 0 },
			{ s->events, POLLIN, 0 },
		};

		if (poll(fds, sizeof(fds) / sizeof(*fds), watching ? watch_wait(s->watch) : -1) <
			    0 &&
		    errno != EINTR)
			err(EXIT_FAILURE, "poll()");
		/* Last words before the news of the death */
		if (fds[3].revents)
			epoll_read(s);
		if (fds[2].revents)
			kernel_packed(s);
		if (fds[4].revents && !s->done)
			kernel_event(s);
		if (fds[0].revents && !s->done)
			on_signal(s, signals);
		if (s->watch && !s->done && !s->ending)
			on_change(s);
	}
}

/* The name of the site, which leads there even if the folder that we are in is made again. */
static const char *absolute(const char *name)
{
	static char *path; /* never freed */
	char *here = *name == '/' ? NULL : getcwd(NULL, 0), *slash;
	const char *given = name;
	struct stat at, there;

	if (!here)
		return name;
	/* No link is in it, so that ".." is what is left of it; what comes later may be one */
	while (*name == '.' &&
	       (!name[1] || name[1] == '/' || (name[1] == '.' && (!name[2] || name[2] == '/')))) {
		slash = strrchr(here, '/');
		if (name[1] == '.')
			slash[slash == here] = 0;
		name += strcspn(name, "/");
		name += strspn(name, "/");
	}
	if (asprintf(&path, "%s%s%s", here, *name && here[1] ? "/" : "", name) < 0)
		err(EXIT_FAILURE, "out of memory");
	free(here);
	/* A folder above may be closed to us, though we are here */
	if (!stat(given, &at) &&
	    (stat(path, &there) || at.st_dev != there.st_dev || at.st_ino != there.st_ino))
		return given;
	return path;
}

int cmd_serve(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "DIR|FILE", doc, NULL, NULL, NULL };
	struct serve s = { .events = -1, .packed = -1, .words = -1 };
	struct sigaction hangup;
	struct stat st;
	sigset_t mask;
	int signals;

	argp_parse(&argp, argc, argv, 0, NULL, &s);
	if (stat(s.name, &st))
		err(EXIT_FAILURE, "%s", s.name);
	s.name = absolute(s.name);
	speak_in_time();
	if (s.watching) {
		s.watch = watch_open(s.name);
		if (!s.watch)
			return EXIT_FAILURE;
	}
	signal(SIGPIPE, SIG_IGN); /* whoever read our messages may be gone */
	signal(SIGCHLD, SIG_DFL); /* if it came in as ignored, children would end without a trace */
	/* With nohup the terminal's end is none to us; blocked, the signal comes though ignored */
	sigaction(SIGHUP, NULL, &hangup);
	s.terminal = hangup.sa_handler != SIG_IGN && has_terminal();
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGQUIT);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, &s.old_mask);
	signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		err(EXIT_FAILURE, "signalfd()");
	begin(&s);
	loop(&s, signals);
	watch_close(s.watch);
	return s.status;
}
