/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Notices that a site's folder, or the file of its image, has changed and keeps still again. */
#ifndef KHTTPCTL_WATCH_H
#define KHTTPCTL_WATCH_H

#include <stdbool.h>

struct watch;

/**
 * watch_open() - watch a site from now on
 * @name: a folder, of which all that would be packed is watched, or a file; must stay
 *
 * Both may be removed, replaced and made again, as may what symbolic links lead to.
 *
 * Return: the watch; NULL after a message.
 */
struct watch *watch_open(const char *name);
void watch_close(struct watch *w);

/* watch_fd() - readable when watch_changed() should be called */
int watch_fd(const struct watch *w);

/* watch_wait() - milliseconds after which watch_changed() should be called in any case */
int watch_wait(const struct watch *w);

/**
 * watch_changed() - has the site changed?
 * @w: the watch
 *
 * Return: true once after changes that have an end, or go on for long. What changes after this
 * call makes another one return true, so whoever reads the site then misses nothing.
 */
bool watch_changed(struct watch *w);

/* watch_missing() - was there nothing of that name at the last look? */
bool watch_missing(const struct watch *w);

#endif
