// SPDX-License-Identifier: MIT OR GPL-2.0
/* Writes a file as a whole: whatever happens, its name never stands for half of it. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "khttpctl.h"

/* The name that a signal must remove; only where there is no file without a name. */
static char temporary[PATH_MAX];

static void remove_temporary(int signal)
{
	unlink(temporary);
	raise(signal); /* the action is the default again */
}

static void on_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction action = { .sa_handler = remove_temporary, .sa_flags = SA_RESETHAND }, old;
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		sigaction(signals[i], NULL, &old);
		if (old.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

static mode_t default_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

/*
 * A file in @dir that has no name yet, so that it goes away by itself if we do; with the name
 * @temporary where the file system has no such thing.
 */
static int open_temporary(const char *dir, bool *named)
{
	int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);

	*named = false;
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	if (snprintf(temporary, sizeof(temporary), "%s/.khttpctl.XXXXXX", dir) >=
	    (int)sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	on_signals();
	fd = mkostemp(temporary, O_CLOEXEC);
	*named = fd >= 0;
	if (*named)
		fchmod(fd, default_mode());
	return fd;
}

/* Gives the file a name of its own beside the final one, which link() could not replace. */
static bool give_name(int fd, const char *dir)
{
	char self[64];
	int i;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	for (i = 0; i < 1000; i++) {
		if (snprintf(temporary, sizeof(temporary), "%s/.khttpctl.%d.%d", dir, getpid(),
			     i) >= (int)sizeof(temporary)) {
			errno = ENAMETOOLONG;
			return false;
		}
		if (!linkat(AT_FDCWD, self, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW))
			return true;
		if (errno != EEXIST)
			return false;
	}
	return false;
}

static bool write_all(int fd, const char *data, uint64_t size)
{
	ssize_t n;

	while (size) {
		n = write(fd, data, size < 1 << 30 ? size : 1 << 30);
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			data += n;
			size -= n;
		}
	}
	return !fsync(fd);
}

/*
 * So that the new name survives, too. Not all file systems can, and the file is whole either way.
 */
static void sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

static bool write_in(const char *dir, const char *name, const void *data, uint64_t size)
{
	bool named, done = false;
	int fd, error;

	fd = open_temporary(dir, &named);
	if (fd < 0)
		return false;
	done = write_all(fd, data, size);
	if (done && !named) {
		on_signals();
		done = give_name(fd, dir);
		named = done;
	}
	done = done && !rename(temporary, name);
	error = errno;
	if (done)
		sync_dir(dir);
	else if (named)
		unlink(temporary);
	close(fd);
	errno = error;
	return done;
}

bool output_write(const char *name, const void *data, uint64_t size)
{
	char *final, *copy;
	struct stat st;
	bool done;

	/* A link stays; what it leads to is replaced */
	final = realpath(name, NULL);
	if (final && !stat(final, &st) && !S_ISREG(st.st_mode)) {
		warnx("%s: not written: it exists and is not a regular file", name);
		free(final);
		return false;
	}
	if (!final)
		final = strdup(name);
	copy = final ? strdup(final) : NULL;
	if (!copy)
		err(EXIT_FAILURE, "out of memory");
	done = write_in(dirname(copy), final, data, size);
	if (!done)
		warn("%s: not written", name);
	free(copy);
	free(final);
	return done;
}
