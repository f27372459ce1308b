// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * What a system call gets in a sandbox of khttpd-epoll:
 * try_sandbox program|worker deny|kill|off CALL
 * Ends with 0 if the call worked, with 1 if it failed with ENOSYS, with 2 otherwise, or is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../epoll/sandbox.h"

static int try_exec(void)
{
	char *const argv[] = { "true", NULL };

	return execv("/bin/true", argv);
}

static int try_fork(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	return child < 0 ? -1 : waitpid(child, NULL, 0);
}

static int try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static void *page;

static int map_page(int protection)
{
	page = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return page == MAP_FAILED ? -1 : 0;
}

static int try_memory(void)
{
	return map_page(PROT_READ | PROT_WRITE);
}

static int try_code(void)
{
	return map_page(PROT_READ | PROT_EXEC);
}

static int try_protect(void)
{
	return try_memory() ? -1 : mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static int try_open(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static int try_terminal(void)
{
	return ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static int try_outq(void)
{
	int n;

	return ioctl(STDIN_FILENO, SIOCOUTQ, &n) && errno != ENOTTY ? -1 : 0;
}

static void *nothing(void *arg)
{
	return arg;
}

static int try_thread(void)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, nothing, NULL);
	return errno ? -1 : pthread_join(thread, NULL);
}

static const struct {
	const char *name;
	int (*call)(void);
} calls[] = {
	{ "exec", try_exec },	      { "fork", try_fork },	  { "socket", try_socket },
	{ "code", try_code },	      { "protect", try_protect }, { "open", try_open },
	{ "terminal", try_terminal }, { "outq", try_outq },	  { "memory", try_memory },
	{ "thread", try_thread },
};

int main(int argc, char **argv)
{
	enum sandbox sandbox;
	size_t i;

	if (argc != 4)
		return 3;
	sandbox = argv[2][0] == 'd' ? SANDBOX_DENY : argv[2][0] == 'k' ? SANDBOX_KILL : SANDBOX_OFF;
	if (!sandbox_program(sandbox) || (argv[1][0] == 'w' && !sandbox_worker(sandbox)))
		return 3;
	for (i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (!strcmp(argv[3], calls[i].name))
			return calls[i].call() >= 0 ? 0 : errno == ENOSYS ? 1 : 2;
	return 3;
}
