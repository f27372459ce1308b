/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The files of a site: found once, read as a whole, never from outside of their folder. */
#ifndef KHTTPD_PACK_SOURCE_H
#define KHTTPD_PACK_SOURCE_H

#include "report.h"

/**
 * struct source_root - the folder of a host
 * @dir: its name, for messages
 * @fd: the folder
 * @plain: there is no openat2() (Linux before 5.6): no symbolic link is followed
 */
struct source_root {
	const char *dir;
	int fd;
	bool plain;
};

/**
 * struct source_list - paths of the files in a folder and below, in it, without a leading '/'
 * @paths: sorted by their bytes
 * @n: how many
 */
struct source_list {
	char **paths;
	uint32_t n, cap;
};

/**
 * struct source_content - a file that was read
 * @data: its bytes, to be freed by free(); not NULL
 * @len: how many
 * @modified: seconds since 1970
 */
struct source_content {
	void *data;
	uint32_t len;
	int64_t modified;
};

/* Opens the folder of a host; false after a message. */
bool source_open(struct source_root *root, const char *dir, struct report *r);
void source_close(struct source_root *root);

/**
 * source_walk() - find the files of a site
 * @root: its folder
 * @list: to be freed by source_list_free()
 * @noted: what was found and left out is added
 * @r: takes the errors, of which there may be several
 */
void source_walk(const struct source_root *root, struct source_list *list,
		 struct pack_noted noted[PACK_NOTES], struct report *r);
void source_list_free(struct source_list *list);

/* Notes something of a file. */
void source_note(struct pack_noted *noted, const char *path);

/**
 * source_read() - read a file as it was at one moment
 * @root: the folder
 * @path: the file, in it
 * @content: set on success
 * @r: takes the error
 *
 * A file that changes meanwhile is read once more.
 *
 * Return: true; false after a message.
 */
bool source_read(const struct source_root *root, const char *path, struct source_content *content,
		 struct report *r);

#endif
