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

/* A byte, and with it @fd unless that is negative */
static bool send_one(int to, int fd)
{
	char byte = 0, space[CMSG_SPACE(sizeof(int))] = "";
	struct iovec vec = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	struct cmsghdr *head;

	if (fd >= 0) {
		msg.msg_control = space;
		msg.msg_controllen = sizeof(space);
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	}
	return sendmsg(to, &msg, MSG_NOSIGNAL) == 1;
}

/* In a process of its own: whatever ends it costs no more than this answer. */
static void answer(int server, const char *name, uint64_t large_len)
{
	int status, fd;
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd = content_make(name, large_len);
		_exit(fd >= 0 && send_one(server, fd) ? 0 : 1);
	}
	if (child < 0) {
		warn("cannot read the site");
	} else if (waitpid(child, &status, 0) == child) {
		if (WIFSIGNALED(status))
			warnx("reading the site was ended by signal %d", WTERMSIG(status));
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			return;
	}
	send_one(server, -1);
}

static _Noreturn void reader_main(int server, pid_t parent, const char *name, uint64_t large_len)
{
	ssize_t n;
	char byte;

	prctl(PR_SET_NAME, "khttpd-reader");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Clients shall not wait for connections that nobody serves when the server has ended */
	if (getppid() != parent ||
	    (server > STDERR_FILENO + 1 && close_range(STDERR_FILENO + 1, server - 1, 0)) ||
	    close_range(server + 1, ~0U, 0))
		_exit(1);
	for (;;) {
		n = recv(server, &byte, 1, 0);
		if (n == 1)
			answer(server, name, large_len);
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

bool reader_ask(int reader)
{
	return send_one(reader, -1);
}

int reader_answer(int reader)
{
	char byte, space[CMSG_SPACE(sizeof(int))];
	struct iovec vec = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space),
	};
	const struct cmsghdr *head;
	int fd = READER_BAD;

	if (recvmsg(reader, &msg, MSG_CMSG_CLOEXEC) != 1)
		return READER_GONE;
	head = CMSG_FIRSTHDR(&msg);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}
