// SPDX-License-Identifier: MIT OR GPL-2.0
/* A process that reads the site again, so that the server need not be able to. */
#include "reader.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tools/khttpctl/khttpctl.h"
#include "content.h"

#define FEW_FILES 4096 /* more are not open before there are connections */

/* In a process of its own: whatever ends it costs no more than this answer. */
static void answer(int server, uint8_t number, const char *name, uint64_t large_len)
{
	pid_t self = getpid(), child = fork();
	int status, fd;

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(1);
		fd = content_make(name, large_len);
		_exit(fd >= 0 && image_send(server, &number, 1, fd) ? 0 : 1);
	}
	if (child < 0) {
		warn("cannot read the site");
	} else if (waitpid(child, &status, 0) == child) {
		if (WIFSIGNALED(status))
			warnx("reading the site was ended by signal %d", WTERMSIG(status));
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			return;
	}
	image_send(server, &number, 1, -1);
}

/* Clients shall not wait for connections that nobody serves any more when the server has ended. */
static void close_all_but(int keep)
{
	int fd;

	if ((keep <= STDERR_FILENO + 1 || !close_range(STDERR_FILENO + 1, keep - 1, 0)) &&
	    !close_range(keep + 1, ~0U, 0))
		return;
	/* There is no such call before Linux 5.9, nor in some containers */
	for (fd = STDERR_FILENO + 1; fd < FEW_FILES; fd++)
		if (fd != keep)
			close(fd);
}

static _Noreturn void reader_main(int server, pid_t parent, const char *name, uint64_t large_len)
{
	uint8_t number;
	ssize_t n;

	prctl(PR_SET_NAME, "khttpd-reader");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	close_all_but(server);
	for (;;) {
		n = recv(server, &number, 1, 0);
		if (n == 1)
			answer(server, number, name, large_len);
		else if (n != -1 || errno != EINTR)
			_exit(0);
	}
}

int reader_start(const char *name, uint64_t large_len)
{
	pid_t parent = getpid(), child;
	int ends[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -1;
	/* Its children are waited for, whatever the program was started with */
	signal(SIGCHLD, SIG_DFL);
	child = fork();
	if (!child)
		reader_main(ends[1], parent, name, large_len);
	error = errno;
	close(ends[1]);
	if (child > 0)
		return ends[0];
	close(ends[0]);
	errno = error;
	return -1;
}

bool reader_ask(int reader, uint8_t number)
{
	return image_send(reader, &number, 1, -1);
}

int reader_answer(int reader, uint8_t *number)
{
	int fd;

	return image_receive(reader, number, 1, &fd) ? fd : READER_GONE;
}
