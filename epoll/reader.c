// SPDX-License-Identifier: MIT OR GPL-2.0
/* A process that reads the site again, so that the server need not be able to. */
#include "reader.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "content.h"

#define FEW_FILES 4096 /* more are not open before there are connections */

/* Room for one descriptor */
union control {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int))];
};

/* The number of a request, and with it @fd unless that is negative */
static bool send_one(int to, uint8_t number, int fd)
{
	union control control = { .space = "" };
	struct iovec vec = { &number, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	struct cmsghdr *head;

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.space);
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	}
	return sendmsg(to, &msg, MSG_NOSIGNAL) == 1;
}

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
		_exit(fd >= 0 && send_one(server, number, fd) ? 0 : 1);
	}
	if (child < 0) {
		warn("cannot read the site");
	} else if (waitpid(child, &status, 0) == child) {
		if (WIFSIGNALED(status))
			warnx("reading the site was ended by signal %d", WTERMSIG(status));
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			return;
	}
	send_one(server, number, -1);
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
	return send_one(reader, number, -1);
}

int reader_answer(int reader, uint8_t *number)
{
	union control control;
	struct iovec vec = { number, 1 };
	struct msghdr msg = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t n = recvmsg(reader, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head;
	int fd = READER_BAD;

	if (n != 1)
		return READER_GONE;
	head = CMSG_FIRSTHDR(&msg);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	else if (msg.msg_flags & MSG_CTRUNC)
		warnx("no file can be opened for the site that was read");
	return fd;
}
