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
 * release, a removed parent), as may links in it that lead through hidden folders, which are not
 * watched: once a second we look whether they are still the same.
 */
#include "watch.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <search.h>
#include <signal.h>
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

/* A link that leads to something else if one that nobody watches changes */
struct way {
	char *path;
	struct stat seen;
};

struct ways {
	struct way *list;
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
 * @ways: links in it that have to be looked at
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
	struct ways ways;
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

/**
 * struct walk - a walk
 * @w: the watch that it is for
 * @wds: what was found
 * @tree: the same as a search tree: links may lead to one folder in any number of ways
 * @ways: links that were found
 * @root: real path of the site
 */
struct walk {
	struct watch *w;
	struct wds wds;
	void *tree;
	struct ways ways;
	const char *root;
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

static int by_key(const void *a, const void *b)
{
	return (a > b) - (a < b);
}

static void free_nothing(void *key)
{
	(void)key;
}

/* False if it was there before: one inode has one descriptor, whatever its path. */
static bool keep(struct walk *walk, int wd)
{
	const void *key = (void *)(intptr_t)wd;

	if (tfind(key, &walk->tree, by_key))
		return false;
	must(tsearch(key, &walk->tree, by_key));
	GROW(walk->wds.list, walk->wds.n, walk->wds.cap);
	walk->wds.list[walk->wds.n++] = wd;
	return true;
}

static void free_ways(struct ways *ways)
{
	while (ways->n)
		free(ways->list[--ways->n].path);
	free(ways->list);
}

/* Does somebody want the end? Signals are blocked, and trees may be large. */
static bool is_interrupted(void)
{
	sigset_t set;

	return !sigpending(&set) && (sigismember(&set, SIGINT) || sigismember(&set, SIGQUIT) ||
				     sigismember(&set, SIGTERM));
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

static void walk_folder(struct walk *walk, const char *path, bool linked);

/* Does the link lead through a name that is hidden, "." and ".." aside? */
static bool is_hidden_way(const char *path)
{
	char text[PATH_MAX + 1] = "/";
	ssize_t n = readlink(path, text + 1, sizeof(text) - 2);
	const char *at;

	text[n > 0 ? n + 1 : 0] = 0;
	for (at = strstr(text, "/."); at; at = strstr(at + 1, "/."))
		if (at[2 + (at[2] == '.')] && at[2 + (at[2] == '.')] != '/')
			return true;
	return false;
}

static void keep_way(struct walk *walk, const char *path)
{
	struct way *way;

	GROW(walk->ways.list, walk->ways.n, walk->ways.cap);
	way = &walk->ways.list[walk->ways.n++];
	way->path = must(strdup(path));
	if (stat(path, &way->seen))
		way->seen = (struct stat){ 0 };
}

/*
 * A link is followed within the site, and in hidden folders, where nobody else looks, to files. In
 * a folder that is a link itself (@linked) nobody knows what its ".." is.
 */
static void walk_link(struct walk *walk, const char *path, bool linked)
{
	size_t len = strlen(walk->root);
	char *real;
	struct stat st;
	int wd;

	/* First, so that what changes after this is noticed */
	if (linked || is_hidden_way(path))
		keep_way(walk, path);
	real = realpath(path, NULL);

	if (real && !strncmp(real, walk->root, len) && (real[len] == '/' || len == 1) &&
	    !stat(real, &st)) {
		if (S_ISDIR(st.st_mode)) {
			walk_folder(walk, path, true);
		} else if (strstr(real + len, "/.")) {
			wd = add(walk->w, real, 0);
			if (wd >= 0)
				keep(walk, wd);
		}
	}
	free(real);
}

static void walk_folder(struct walk *walk, const char *path, bool linked)
{
	int i, n, wd = is_interrupted() ? -1 : add(walk->w, path, IN_ONLYDIR);
	struct dirent **entries;
	struct stat st;
	char *below;

	/* Whatever is wrong with it, the packer says */
	if (wd < 0 || !keep(walk, wd))
		return;
	n = scandir(path, &entries, may_matter, alphasort);
	for (i = 0; i < n; i++) {
		if (asprintf(&below, "%s/%s", path, entries[i]->d_name) < 0)
			must(NULL);
		free(entries[i]);
		if (lstat(below, &st))
			st.st_mode = 0;
		if (S_ISLNK(st.st_mode))
			walk_link(walk, below, linked);
		else if (S_ISDIR(st.st_mode))
			walk_folder(walk, below, linked);
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
		walk_folder(&walk, real, false);
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
	tdestroy(walk.tree, free_nothing);
	free(w->folders.list);
	w->folders = walk.wds;
	free_ways(&w->ways);
	w->ways = walk.ways;
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

/*
 * Does it lead to something else than before? Also for files that change and that no event tells
 * of: on network file systems.
 */
static bool differs(const char *path, struct stat *seen)
{
	struct stat st;

	if (stat(path, &st))
		st = (struct stat){ 0 };
	if (same(&st, seen))
		return false;
	*seen = st;
	return true;
}

static void look(struct watch *w, int64_t now)
{
	bool changed = differs(w->name, &w->seen);
	uint32_t i;

	w->look = now + LOOK_MS;
	for (i = 0; i < w->ways.n; i++)
		changed |= differs(w->ways.list[i].path, &w->ways.list[i].seen);
	if (!changed)
		return;
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
	free_ways(&w->ways);
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
