// SPDX-License-Identifier: MIT OR GPL-2.0
/* khttpctl serve by khttpd-epoll: a child, which reads the site itself, and what it says. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module.h"
#include "serve.h"

#define PROGRAM "khttpd-epoll"

static void run(const struct serve *s)
{
	char path[PATH_MAX], site[PATH_MAX + 16], port[32], bind[128];
	char *argv[5] = { PROGRAM, site, port, bind, NULL };

	if (snprintf(site, sizeof(site), "--site=%s", s->name) >= (int)sizeof(site)) {
		warnx("%s: %s", s->name, strerror(ENAMETOOLONG));
		return;
	}
	snprintf(port, sizeof(port), "--port=%u", s->port ? s->port : SERVE_PORT);
	snprintf(bind, sizeof(bind), "--bind=%s", s->bind ? s->bind : SERVE_BIND);
	if (find_beside(PROGRAM, path, sizeof(path), false))
		execv(path, argv);
	else
		execvp(PROGRAM, argv);
	if (errno == ENOENT)
		warnx(PROGRAM " is neither beside khttpctl nor in PATH; \"make epoll\" builds it");
	else
		warn(PROGRAM);
}

void epoll_start(struct serve *s)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC)) {
		warn("cannot start " PROGRAM);
		serve_end(s, EXIT_FAILURE);
		return;
	}
	s->child = serve_fork(s, SIGTERM);
	if (!s->child) {
		dup2(fd[1], STDERR_FILENO);
		run(s);
		_exit(EXIT_FAILURE);
	}
	close(fd[1]);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	s->words = fd[0];
	if (s->child < 0) {
		s->child = 0;
		warn("cannot start " PROGRAM);
		serve_end(s, EXIT_FAILURE);
	}
}

/* Does a line begin so? Names of files come later in it, and say what they like. */
static bool begins(const char *line, const char *words)
{
	return !strncmp(line, words, strlen(words));
}

/* What we say better ourselves is not repeated. */
static void said(struct serve *s, const char *line)
{
	if (!s->serving && begins(line, PROGRAM ": serving on ")) {
		serve_say_begin(s, s->bind ? s->bind : SERVE_BIND, s->port ? s->port : SERVE_PORT);
		return;
	}
	if (!strcmp(line, PROGRAM ": the site was read again")) {
		serve_say_changed(s, 0);
		return;
	}
	if (!strcmp(line, PROGRAM ": the old site goes on"))
		s->since = 0;
	fprintf(stderr, "%s\n", line);
}

static void split(struct serve *s)
{
	char *end;

	for (;;) {
		end = memchr(s->line, '\n', s->line_len);
		if (!end && s->line_len < sizeof(s->line) - 1)
			break;
		if (!end)
			end = s->line + s->line_len; /* an endless line: in parts */
		*end = 0;
		said(s, s->line);
		if (end < s->line + s->line_len)
			end++;
		s->line_len -= end - s->line;
		memmove(s->line, end, s->line_len);
	}
}

void epoll_read(struct serve *s)
{
	ssize_t n;

	while ((n = read(s->words, s->line + s->line_len, sizeof(s->line) - 1 - s->line_len)) > 0) {
		s->line_len += n;
		split(s);
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close(s->words);
	s->words = -1;
}

void epoll_ended(struct serve *s, int status)
{
	s->child = 0;
	if (s->words >= 0)
		epoll_read(s);
	if (s->ending) {
		serve_end(s, EXIT_SUCCESS);
	} else if (WIFSIGNALED(status)) {
		warnx(PROGRAM " was ended by signal %d (%s)", WTERMSIG(status),
		      strsignal(WTERMSIG(status)));
		serve_end(s, 128 + WTERMSIG(status));
	} else {
		/* Why is something that it has said itself, unless somebody has asked it to */
		if (!WEXITSTATUS(status))
			warnx(PROGRAM " has ended");
		serve_end(s, WEXITSTATUS(status));
	}
}

void epoll_end(struct serve *s)
{
	/* Before it serves it has nothing to bring to an end; nor has it for who asks twice */
	kill(s->child, s->serving && !s->ending ? SIGTERM : SIGKILL);
}
