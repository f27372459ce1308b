// SPDX-License-Identifier: MIT OR GPL-2.0
/* Gets khttpd.ko into the kernel, and out again. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "module.h"

#define MODPROBE "/sbin/modprobe"
#define MODULE_NAME "khttpd"
#define MODULE_FILE "khttpd.ko"
#define REMOVE_MS 5000 /* somebody may just be listing connections */

bool has_capability(int capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return !syscall(SYS_capget, &header, data) &&
	       data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

bool find_beside(const char *name, char *path, size_t size, bool above)
{
	char program[PATH_MAX];
	struct stat self, st;
	ssize_t len;
	char *slash;
	int i;

	len = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (len <= 0 || stat("/proc/self/exe", &self))
		return false;
	program[len] = 0;
	for (i = 0; i < (above ? 2 : 1); i++) {
		slash = strrchr(program, '/');
		if (!slash)
			break;
		*slash = 0;
		if (snprintf(path, size, "%s/%s", program, name) >= (int)size || stat(path, &st) ||
		    !S_ISREG(st.st_mode))
			continue;
		if (st.st_mode & 0002 ||
		    (st.st_uid && st.st_uid != self.st_uid && st.st_uid != geteuid()))
			continue;
		return true;
	}
	return false;
}

/* --- modprobe --- */

/* What comes through a pipe, as much of it as there is room for, without the last line end. */
static void read_words(int from, char *said, size_t size)
{
	char part[256];
	size_t len = 0;
	ssize_t n;

	while ((n = read(from, part, sizeof(part)))) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		if ((size_t)n > size - 1 - len)
			n = size - 1 - len;
		memcpy(said + len, part, n);
		len += n;
	}
	while (len && said[len - 1] == '\n')
		len--;
	said[len] = 0;
}

/* Runs it; its exit status. What it says is in @said. */
static int modprobe(char *const *argv, char *said, size_t size)
{
	int fd[2], status = -1;
	pid_t pid;

	*said = 0;
	if (pipe2(fd, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(fd[1], STDERR_FILENO);
		dup2(fd[1], STDOUT_FILENO);
		setenv("LC_ALL", "C", 1);
		execv(MODPROBE, argv);
		_exit(127);
	}
	close(fd[1]);
	if (pid > 0) {
		read_words(fd[0], said, size);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(fd[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool modprobe_knows(void)
{
	char *const argv[5] = { MODPROBE, "-n", "-q", MODULE_NAME, NULL };
	char said[256];

	return !modprobe(argv, said, sizeof(said));
}

/* The error behind modprobe's last words: "modprobe: ERROR: could not insert 'khttpd': WHY" */
static int modprobe_error(const char *said)
{
	static const int errors[] = { EADDRINUSE, EADDRNOTAVAIL, EPERM, ENOMEM };
	const char *text = strrchr(said, ':');
	size_t i;

	if (!text)
		return -EINVAL;
	text += text[1] == ' ' ? 2 : 1;
	if (!strcmp(text, "Module already in kernel"))
		return -EEXIST;
	for (i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (!strcmp(text, strerror(errors[i])))
			return -errors[i];
	return -EINVAL;
}

/* --- */

bool module_can_insert(char *why, size_t size)
{
	char path[PATH_MAX];

	if (!has_capability(CAP_SYS_MODULE)) {
		snprintf(why, size, "the module is not loaded, and %s",
			 geteuid() ? "only root can load it" :
				     "this process may not load it (it lacks CAP_SYS_MODULE)");
		return false;
	}
	if (modprobe_knows() || find_beside(MODULE_FILE, path, sizeof(path), true))
		return true;
	snprintf(why, size,
		 "the module is not loaded, and there is none: modprobe does not know " MODULE_NAME
		 ", and no " MODULE_FILE " is beside khttpctl");
	return false;
}

/* @error is negative */
static void explain(int error, char *why, size_t size)
{
	const char *text;

	switch (error) {
	case -EPERM:
		text = "this kernel lets nobody do so now (lockdown, kernel.modules_disabled or a container)";
		break;
	case -EKEYREJECTED:
	case -ENOKEY:
		text = "it is not signed with a key that this kernel trusts";
		break;
	case -ENOEXEC:
		text = "it was built for another kernel; \"make\" builds it for this one";
		break;
	case -ENOENT:
		text = "this kernel lacks something that it needs; see dmesg";
		break;
	case -EEXIST:
		text = "there is one already, which does not answer";
		break;
	default:
		text = strerror(-error);
	}
	snprintf(why, size, "the module cannot be loaded: %s", text);
}

static int insert_file(const char *path, const char *params)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, params, 0))
		error = -errno;
	close(fd);
	return error;
}

int module_insert(unsigned int port, const char *bind, char *why, size_t size)
{
	char params[2][64] = { "", "" }, both[sizeof(params) + 2], said[512], path[PATH_MAX];
	/* Otherwise a module that is there already would pass for one that we have loaded */
	char *argv[6] = { MODPROBE, "--first-time", MODULE_NAME, NULL, NULL, NULL };
	unsigned int n = 0;
	int error;

	if (port)
		snprintf(params[n++], sizeof(*params), "port=%u", port);
	if (bind)
		snprintf(params[n++], sizeof(*params), "bind=%s", bind);
	if (modprobe_knows()) {
		argv[3] = n > 0 ? params[0] : NULL;
		argv[4] = n > 1 ? params[1] : NULL;
		if (!modprobe(argv, said, sizeof(said)))
			return 0;
		error = modprobe_error(said);
		if (error == -EINVAL && *said)
			snprintf(why, size, "the module cannot be loaded: %s", said);
		else
			explain(error, why, size);
		return error;
	}
	if (!find_beside(MODULE_FILE, path, sizeof(path), true)) {
		explain(-ENOENT, why, size);
		return -ENOENT;
	}
	snprintf(both, sizeof(both), "%s %s", params[0], params[1]);
	error = insert_file(path, both);
	if (error)
		explain(error, why, size);
	return error;
}

unsigned long long module_instance(void)
{
	struct stat st;

	/* Numbers of nodes in sysfs are given out one after the other */
	return stat("/sys/module/" MODULE_NAME, &st) ? 0 : st.st_ino;
}

int module_remove(void)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	int i;

	for (i = 0; i < REMOVE_MS / 50; i++) {
		if (!syscall(SYS_delete_module, MODULE_NAME, O_NONBLOCK) || errno == ENOENT)
			return 0;
		if (errno != EAGAIN && errno != EBUSY)
			break;
		nanosleep(&pause, NULL);
	}
	return -errno;
}
