// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Notices that a site has changed.
 *
 * inotify tells that something happens in a folder. Which folders there are is not followed event
 * by event, which cannot be done without races: the tree is walked again when folders may have come
 * or gone, and always before a change is reported. A walk adds its watch before it looks into a
 * folder, and the reader of the site comes after the walk, so that nothing is missed.
 *
 * Names that lead to the site may change their meaning far above it (a link "current" to the newest
 * release, a removed parent): once a second we look whether it is still the same.
 */
#include "watch.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../pack/util.h"
#include "khttpctl.h"

#define QUIET_MS 200 /* without an event: the change is over */
#define LATEST_MS 2000 /* since the first event: it is reported though it goes on */
#define SETTLE_MS 50 /* from a new folder to the walk that finds it, and others with it */
#define LOOK_MS 1000

#define MASK                                                                                    \
	(IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_EXCL_UNLINK | \
	 IN_MODIFY | IN_MOVE_SELF | IN_MOVED_FROM | IN_MOVED_TO)
#define GONE (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)

/* Watch descriptors, sorted but while they are collected */
struct wds {
	int *list;
	uint32_t n, cap;
};

/* A folder of which one entry matters: the site itself */
struct place {
	int wd;
	char entry[NAME_MAX + 1];
};

/**
 * struct watch - see watch_open()
 * @places: the site by its name, and where that leads to
 * @folders: all within the site
 * @seen: what the name stood for at the last look; st_mode is 0 if for nothing
 * @stale: when an event said that folders may have come or gone; 0: none
 * @first, @last: times of events that were not reported; 0: none
 * @look: time of the next look
 * @full: some folders are not watched, because the kernel's limit is reached; this was said
 */
struct watch {
	int fd;
	const char *name;
	struct place places[2];
	struct wds folders;
	struct stat seen;
	int64_t stale, first, last, look;
	bool full;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void touch(struct watch *w, int64_t now)
{
	if (!w->first)
		w->first = now;
	w->last = now;
}

/* --- the walk --- */

/* A walk, and the folders on the way to where it is */
struct walk {
	struct watch *w;
	struct wds wds;
	const char *root;
};

struct level {
	const struct level *up;
	int wd;
};

static int by_number(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

static bool has_wd(const struct wds *wds, int wd)
{
	return wds->n && bsearch(&wd, wds->list, wds->n, sizeof(*wds->list), by_number);
}

static int add(struct watch *w, const char *path, uint32_t more)
{
	int wd = inotify_add_watch(w->fd, path, MASK | more);

	if (wd < 0 && (errno == ENOSPC || errno == ENOMEM) && !w->full) {
		w->full = true;
		warnx("cannot watch %s: %s", path,
		      errno == ENOSPC ?
			      "the kernel allows no more watches; raise the sysctl fs.inotify.max_user_watches" :
			      strerror(errno));
	}
	return wd;
}

static void keep(struct walk *walk, int wd)
{
	GROW(walk->wds.list, walk->wds.n, walk->wds.cap);
	walk->wds.list[walk->wds.n++] = wd;
}

/* As the packer has it */
static bool is_packed(const char *name)
{
	return *name != '.' || !strcmp(name, ".well-known");
}

static int may_matter(const struct dirent *d)
{
	return is_packed(d->d_name) &&
	       (d->d_type == DT_DIR || d->d_type == DT_LNK || d->d_type == DT_UNKNOWN);
}

static void walk_folder(struct walk *walk, const char *path, const struct level *up);

/* A link is followed within the site, and in hidden folders, where nobody else looks, to files. */
static void walk_link(struct walk *walk, const char *path, const struct level *level)
{
	size_t len = strlen(walk->root);
	char *real = realpath(path, NULL);
	struct stat st;
	int wd;

	if (real && !strncmp(real, walk->root, len) && (real[len] == '/' || len == 1) &&
	    !stat(real, &st)) {
		if (S_ISDIR(st.st_mode)) {
			walk_folder(walk, path, level);
		} else if (strstr(real + len, "/.")) {
			wd = add(walk->w, real, 0);
			if (wd >= 0)
				keep(walk, wd);
		}
	}
	free(real);
}

static void walk_folder(struct walk *walk, const char *path, const struct level *up)
{
	struct level level = { up, add(walk->w, path, IN_ONLYDIR) };
	const struct level *above;
	struct dirent **entries;
	struct stat st;
	char *below;
	int i, n;

	/* Whatever is wrong with it, the packer says */
	if (level.wd < 0)
		return;
	for (above = up; above; above = above->up)
		if (above->wd == level.wd)
			return;
	keep(walk, level.wd);
	n = scandir(path, &entries, may_matter, alphasort);
	for (i = 0; i < n; i++) {
		if (asprintf(&below, "%s/%s", path, entries[i]->d_name) < 0)
			must(NULL);
		free(entries[i]);
		if (lstat(below, &st))
			st.st_mode = 0;
		if (S_ISLNK(st.st_mode))
			walk_link(walk, below, &level);
		else if (S_ISDIR(st.st_mode))
			walk_folder(walk, below, &level);
		free(below);
	}
	if (n >= 0)
		free(entries);
}

/* Watch the folder that @path stands in. */
static void watch_place(struct watch *w, struct place *place, const char *path)
{
	const char *slash = strrchr(path, '/'), *entry = slash ? slash + 1 : path;
	char *dir = must(slash ? strndup(path, slash - path + 1) : strdup("."));

	place->wd = -1;
	/* "..", "." and "/" stand nowhere; then the real path does */
	if (*entry && strcmp(entry, ".") && strcmp(entry, "..") &&
	    strlen(entry) < sizeof(place->entry)) {
		strcpy(place->entry, entry);
		place->wd = add(w, dir, IN_ONLYDIR);
	}
	free(dir);
}

/* The name without final slashes, to be freed. */
static char *bare(const char *name)
{
	char *text = must(strdup(name));
	size_t len = strlen(text);

	while (len > 1 && text[len - 1] == '/')
		text[--len] = 0;
	return text;
}

static bool is_place(const struct watch *w, int wd)
{
	return wd == w->places[0].wd || wd == w->places[1].wd;
}

/* Watch what there is now, and nothing else. Was there anything new? */
static bool walk_all(struct watch *w)
{
	const struct place old[2] = { w->places[0], w->places[1] };
	char *given = bare(w->name), *real;
	struct walk walk = { .w = w };
	bool found = false;
	uint32_t i;

	w->stale = 0;
	watch_place(w, &w->places[0], given);
	w->places[1].wd = -1;
	real = realpath(given, NULL);
	if (real)
		watch_place(w, &w->places[1], real);
	if (!real || stat(real, &w->seen))
		w->seen = (struct stat){ 0 };
	if (S_ISDIR(w->seen.st_mode)) {
		walk.root = real;
		walk_folder(&walk, real, NULL);
		qsort(walk.wds.list, walk.wds.n, sizeof(*walk.wds.list), by_number);
	}
	for (i = 0; i < walk.wds.n && !found; i++)
		found = !has_wd(&w->folders, walk.wds.list[i]);
	/* One that went with its folder is an error here, of no interest */
	for (i = 0; i < w->folders.n; i++)
		if (!has_wd(&walk.wds, w->folders.list[i]) && !is_place(w, w->folders.list[i]))
			inotify_rm_watch(w->fd, w->folders.list[i]);
	for (i = 0; i < 2; i++)
		if (old[i].wd >= 0 && !has_wd(&walk.wds, old[i].wd) && !is_place(w, old[i].wd))
			inotify_rm_watch(w->fd, old[i].wd);
	free(w->folders.list);
	w->folders = walk.wds;
	free(real);
	free(given);
	return found;
}

/* --- events --- */

static bool same(const struct stat *a, const struct stat *b)
{
	if (a->st_dev != b->st_dev || a->st_ino != b->st_ino)
		return false;
	return S_ISDIR(a->st_mode) ||
	       (a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec);
}

static void look(struct watch *w, int64_t now)
{
	struct stat st;

	w->look = now + LOOK_MS;
	if (stat(w->name, &st))
		st = (struct stat){ 0 };
	if (same(&st, &w->seen))
		return;
	w->seen =
		st; /* for files that change and that no event tells of: on network file systems */
	w->stale = now;
	touch(w, now);
}

static void handle(struct watch *w, const struct inotify_event *e, int64_t now)
{
	bool matters = e->mask & IN_Q_OVERFLOW;
	unsigned int i;

	for (i = 0; i < 2; i++)
		matters |=
			e->wd == w->places[i].wd && e->len && !strcmp(e->name, w->places[i].entry);
	if (has_wd(&w->folders, e->wd))
		matters |= !e->len || is_packed(e->name);
	if (!matters)
		return;
	touch(w, now);
	if (!w->stale && (e->mask & (IN_ISDIR | IN_Q_OVERFLOW | GONE)))
		w->stale = now;
}

static void read_events(struct watch *w, int64_t now)
{
	char buf[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *e;
	ssize_t n, at;

	/* Not for ever: who writes without end must not keep us here */
	n = read(w->fd, buf, sizeof(buf));
	for (at = 0; at < n; at += sizeof(*e) + e->len) {
		e = (const struct inotify_event *)(buf + at);
		handle(w, e, now);
	}
}

struct watch *watch_open(const char *name)
{
	struct watch *w = must(calloc(1, sizeof(*w)));

	w->name = name;
	w->places[0].wd = -1;
	w->places[1].wd = -1;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0) {
		warnx("cannot watch %s: %s", name,
		      errno == EMFILE ?
			      "there are too many watchers; raise the sysctl fs.inotify.max_user_instances" :
			      strerror(errno));
		free(w);
		return NULL;
	}
	walk_all(w);
	w->look = now_ms() + LOOK_MS;
	if (!w->full)
		return w;
	watch_close(w);
	return NULL;
}

void watch_close(struct watch *w)
{
	if (!w)
		return;
	close(w->fd);
	free(w->folders.list);
	free(w);
}

int watch_fd(const struct watch *w)
{
	return w->fd;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int watch_wait(const struct watch *w)
{
	int64_t now = now_ms(), until = w->look;

	if (w->stale)
		until = earlier(until, w->stale + SETTLE_MS);
	if (w->first)
		until = earlier(until, earlier(w->last + QUIET_MS, w->first + LATEST_MS));
	return until > now ? until - now : 0;
}

bool watch_changed(struct watch *w)
{
	int64_t now = now_ms();

	read_events(w, now);
	if (now >= w->look)
		look(w, now);
	/* In a new folder there may be a writer, for whom we wait */
	if (w->stale && now >= w->stale + SETTLE_MS && walk_all(w))
		touch(w, now);
	if (!w->first || (now < w->last + QUIET_MS && now < w->first + LATEST_MS))
		return false;
	/* Other things than folders may have come that lead to some: links */
	if (walk_all(w) && now < w->first + LATEST_MS) {
		touch(w, now);
		return false;
	}
	w->first = 0;
	return true;
}

bool watch_missing(const struct watch *w)
{
	return !w->seen.st_mode;
}
