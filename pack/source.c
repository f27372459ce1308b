// SPDX-License-Identifier: MIT OR GPL-2.0
/* The files of a site. Nobody keeps them from changing, so that all is looked at by descriptor. */
#include "source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

/* --- opening --- */

static int open_beneath(int fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned int)flags,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int i, got;

	/* EAGAIN: something was renamed somewhere, so that ".." could not be trusted */
	for (i = 0; i < 100; i++) {
		got = syscall(SYS_openat2, fd, path, &how, sizeof(how));
		if (got >= 0 || errno != EAGAIN)
			break;
	}
	return got;
}

/* The same without openat2(): one step at a time, and none through a link. */
static int open_stepwise(int fd, const char *path, int flags)
{
	char name[NAME_MAX + 1];
	int at = fd, next, error;
	const char *slash;

	for (;;) {
		slash = strchrnul(path, '/');
		if (slash - path > NAME_MAX) {
			errno = ENAMETOOLONG;
			next = -1;
		} else {
			memcpy(name, path, slash - path);
			name[slash - path] = 0;
			next = openat(at, name,
				      O_NOFOLLOW |
					      (*slash ? O_PATH | O_DIRECTORY | O_CLOEXEC : flags));
		}
		error = errno;
		if (at != fd)
			close(at);
		errno = error;
		if (next < 0 || !*slash)
			return next;
		at = next;
		path = slash + 1;
	}
}

static int open_in(const struct source_root *root, const char *path, int flags)
{
	flags |= O_CLOEXEC;
	if (!*path)
		path = ".";
	return root->plain ? open_stepwise(root->fd, path, flags) :
			     open_beneath(root->fd, path, flags);
}

bool source_open(struct source_root *root, const char *dir, struct report *r)
{
	int fd;

	*root = (struct source_root){ .dir = dir };
	root->fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root->fd < 0) {
		report(r, PACK_ERROR, dir, 0, "%s",
		       errno == ENOTDIR ? "is not a folder" : strerror(errno));
		return false;
	}
	fd = open_beneath(root->fd, ".", O_PATH | O_CLOEXEC);
	/* Some sandboxes say EPERM of what they do not know */
	root->plain = fd < 0 && (errno == ENOSYS || errno == EPERM);
	if (fd >= 0)
		close(fd);
	return true;
}

void source_close(struct source_root *root)
{
	close(root->fd);
}

/* "DIR/PATH", to be freed. */
static char *full_name(const struct source_root *root, const char *path)
{
	size_t len = strlen(root->dir);
	char *name;

	if (asprintf(&name, "%s%s%s", root->dir, len && root->dir[len - 1] == '/' ? "" : "/",
		     path) < 0)
		name = NULL;
	return must(name);
}

static void complain(const struct source_root *root, const char *path, struct report *r,
		     const char *what)
{
	char *name = full_name(root, path);

	report(r, PACK_ERROR, name, 0, "%s", what);
	free(name);
}

/* --- walking --- */

/* A folder that is being walked, and those above it. */
struct level {
	const struct level *up;
	dev_t dev;
	ino_t ino;
};

struct walk {
	const struct source_root *root;
	struct source_list *list;
	struct pack_noted *noted;
	struct report *r;
};

void source_note(struct pack_noted *noted, const char *path)
{
	if (noted->n < PACK_EXAMPLES)
		noted->examples[noted->n] = must(strdup(path));
	noted->n++;
}

static const char *why_no_link(int error)
{
	switch (error) {
	case EXDEV:
		return "is a symbolic link that leaves the site's folder, or begins with \"/\"; copy its target or make the link relative";
	case ENOENT:
		return "is a symbolic link to nothing";
	case ELOOP:
		return "is a symbolic link that leads in a circle";
	}
	return strerror(error);
}

/* What the link @path leads to. */
static bool follow(const struct walk *w, const char *path, struct stat *st)
{
	int fd;

	if (w->root->plain) {
		complain(w->root, path, w->r,
			 "is a symbolic link; following it safely needs openat2() (Linux 5.6)");
		return false;
	}
	fd = open_in(w->root, path, O_PATH);
	if (fd < 0 || fstat(fd, st)) {
		complain(w->root, path, w->r, why_no_link(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	return true;
}

static void walk_dir(const struct walk *w, const char *path, const struct level *up);

/* An entry of a folder; @error says why its mode is not known. */
struct found {
	char *name;
	mode_t mode;
	int error;
};

/* One entry of the folder @dir. */
static void walk_entry(const struct walk *w, const char *dir, const struct found *found,
		       const struct level *level)
{
	struct stat st = { .st_mode = found->mode };
	char *path;

	if (asprintf(&path, "%s%s%s", dir, *dir ? "/" : "", found->name) < 0)
		path = NULL;
	must(path);
	if (found->name[0] == '.' && strcmp(found->name, ".well-known")) {
		source_note(&w->noted[PACK_DOT], path);
	} else if (strlen(path) + 1 > KHTTPD_IMAGE_MAX_PATH) {
		complain(w->root, path, w->r, "its path is longer than 4096 bytes");
	} else if (found->error) {
		complain(w->root, path, w->r, strerror(found->error));
	} else if (S_ISLNK(st.st_mode) && !follow(w, path, &st)) {
		/* said */
	} else if (S_ISDIR(st.st_mode)) {
		walk_dir(w, path, level);
	} else if (S_ISREG(st.st_mode)) {
		GROW(w->list->paths, w->list->n, w->list->cap);
		w->list->paths[w->list->n++] = path;
		path = NULL; /* kept */
	} else {
		source_note(&w->noted[PACK_SPECIAL], path);
	}
	free(path);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

/* What the folder @fd, which is closed, holds: sorted, so that messages are in order too. */
static struct found *list_dir(int fd, uint32_t *n)
{
	struct found *list = NULL, *f;
	DIR *dir = fdopendir(fd);
	uint32_t cap = 0;
	struct dirent *d;
	struct stat st;
	int error;

	*n = 0;
	if (!dir) {
		close(fd);
		return NULL;
	}
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		GROW(list, *n, cap);
		f = &list[(*n)++];
		*f = (struct found){ .name = must(strdup(d->d_name)) };
		if (fstatat(fd, f->name, &st, AT_SYMLINK_NOFOLLOW))
			f->error = errno;
		else
			f->mode = st.st_mode;
	}
	error = errno;
	closedir(dir);
	if (error) {
		while (*n)
			free(list[--*n].name);
		free(list);
		errno = error;
		return NULL;
	}
	list = must(realloc(list, (*n + 1) * sizeof(*list)));
	qsort(list, *n, sizeof(*list), by_name);
	return list;
}

/* No descriptor stays open on the way down: folders may be deeper than a process has of them. */
static void walk_dir(const struct walk *w, const char *path, const struct level *up)
{
	int fd = open_in(w->root, path, O_RDONLY | O_DIRECTORY);
	const struct level *above;
	struct level level;
	struct found *list;
	struct stat st;
	uint32_t n, i;

	if (fd < 0 || fstat(fd, &st)) {
		complain(w->root, path, w->r, strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	for (above = up; above; above = above->up) {
		if (above->dev == st.st_dev && above->ino == st.st_ino) {
			complain(w->root, path, w->r,
				 "is a symbolic link to a folder that it is in");
			close(fd);
			return;
		}
	}
	level = (struct level){ up, st.st_dev, st.st_ino };
	list = list_dir(fd, &n);
	if (!list) {
		complain(w->root, path, w->r, strerror(errno));
		return;
	}
	for (i = 0; i < n; i++) {
		walk_entry(w, path, &list[i], &level);
		free(list[i].name);
	}
	free(list);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void source_walk(const struct source_root *root, struct source_list *list,
		 struct pack_noted noted[PACK_NOTES], struct report *r)
{
	const struct walk w = { root, list, noted, r };

	*list = (struct source_list){ 0 };
	walk_dir(&w, "", NULL);
	if (list->n)
		qsort(list->paths, list->n, sizeof(*list->paths), by_bytes);
}

void source_list_free(struct source_list *list)
{
	uint32_t i;

	for (i = 0; i < list->n; i++)
		free(list->paths[i]);
	free(list->paths);
}

/* --- reading --- */

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* 1: done, 0: it changed meanwhile, -1: failed, with @why */
static int read_once(const struct source_root *root, const char *path,
		     struct source_content *content, const char **why)
{
	int fd = open_in(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat before, after;
	char *data = NULL;
	int result = -1;
	size_t len = 0;
	ssize_t got;

	if (fd < 0 || fstat(fd, &before)) {
		*why = errno == EXDEV ? why_no_link(errno) : strerror(errno);
		goto out;
	}
	if (!S_ISREG(before.st_mode)) {
		*why = "was replaced by something that is not a file";
		goto out;
	}
	if (before.st_size > UINT32_MAX) {
		*why = "is larger than a site image can be (4 GiB)";
		goto out;
	}
	/* One byte more, to see a file that grows */
	data = must(malloc(before.st_size + 1));
	while ((got = read(fd, data + len, before.st_size + 1 - len)) > 0)
		len += got;
	if (got < 0 || fstat(fd, &after)) {
		*why = strerror(errno);
		goto out;
	}
	result = len == (size_t)before.st_size && after.st_size == before.st_size &&
		 same_time(before.st_mtim, after.st_mtim);
	if (result) {
		*content = (struct source_content){ data, len, before.st_mtim.tv_sec };
		data = NULL;
	}
out:
	free(data);
	if (fd >= 0)
		close(fd);
	return result;
}

bool source_read(const struct source_root *root, const char *path, struct source_content *content,
		 struct report *r)
{
	const char *why = "changes while it is read; pack a folder that nobody writes to";
	int result = read_once(root, path, content, &why);

	if (!result)
		result = read_once(root, path, content, &why);
	if (result <= 0)
		complain(root, path, r, why);
	return result > 0;
}
