/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* From folders to a site image: what khttpctl, khttpd-epoll and the XDP loader call. */
#ifndef KHTTPD_PACK_PACK_H
#define KHTTPD_PACK_PACK_H

#include "../core/site.h"

#define PACK_MIME_TYPES "/etc/mime.types"
#define PACK_LEVEL 9
#define PACK_MAX_LEVEL 11

/* What a message says: a warning does not keep the site from being packed. */
enum pack_severity {
	PACK_ERROR,
	PACK_WARNING,
};

/**
 * struct pack_host - a host and its files
 * @name: "" for the default host; in any case, without port
 * @dir: folder
 */
struct pack_host {
	const char *name;
	const char *dir;
};

/**
 * struct pack_options - what to pack and how
 * @name: of the site, shown by "status"; NULL: that of the first host's folder
 * @hosts: the hosts; one of them is the default host
 * @n_hosts: entries of @hosts
 * @level: of compression, 1 (quick) to PACK_MAX_LEVEL (small)
 * @codings: which codings to make and to take from siblings, 1 << enum khttpd_coding each
 * @jobs: threads
 * @clean_urls: "/about" shows about.html
 * @mime_types: file with the media types, in the format of Debian's /etc/mime.types
 * @message: called with one message, from any thread but one at a time
 * @progress: called about ten times a second with files done and all files; may be NULL
 * @context: for the two
 */
struct pack_options {
	const char *name;
	const struct pack_host *hosts;
	uint32_t n_hosts;
	int level;
	unsigned int codings;
	unsigned int jobs;
	bool clean_urls;
	const char *mime_types;
	void (*message)(void *context, enum pack_severity severity, const char *text);
	void (*progress)(void *context, uint32_t done, uint32_t all);
	void *context;
};

/* What is worth to be said of files; the first ones are not served. */
enum pack_note {
	PACK_DOT, /* left out: its name begins with a dot */
	PACK_SPECIAL, /* left out: a pipe, socket or device */
	PACK_SIBLING, /* no resource of its own: a coding of another file */
	PACK_OLD_SIBLING, /* a resource of its own: older than what it could be a coding of */
	PACK_OTHER_SIBLING, /* the same: it is no coding of what the other file holds */
	PACK_FUTURE, /* its time of modification was in the future */
	PACK_NOTES,
};

#define PACK_EXAMPLES 3

/**
 * struct pack_noted - files of which one thing was noted
 * @n: how many
 * @examples: the first of them, in their host's folder; the others are NULL
 */
struct pack_noted {
	uint32_t n;
	char *examples[PACK_EXAMPLES];
};

/**
 * struct packed - a site image in memory
 * @image: it; khttpd_site_open() accepted it
 * @size: bytes at @image
 * @files: files that are served
 * @bytes: bytes of these
 * @entries: paths that are served
 * @rules: of all hosts
 * @n_coded: by coding: files that have it
 * @coded_from: by coding: bytes of these files
 * @coded_to: by coding: bytes of what became of them
 * @noted: by what was noted
 */
struct packed {
	void *image;
	uint64_t size;
	uint32_t files;
	uint64_t bytes;
	uint32_t entries;
	uint32_t rules;
	uint32_t n_coded[KHTTPD_CODINGS];
	uint64_t coded_from[KHTTPD_CODINGS];
	uint64_t coded_to[KHTTPD_CODINGS];
	struct pack_noted noted[PACK_NOTES];
};

/* pack_processors() - those that this process may use: as many threads as are worth having */
unsigned int pack_processors(void);

/* pack_usual() - how to pack unless somebody wants something else; without hosts, says nothing */
struct pack_options pack_usual(void);

/**
 * pack_site() - pack a site
 * @wanted: what and how
 * @packed: set on success; to be freed by packed_free()
 *
 * Ends the program when memory is short.
 *
 * Return: true; false after at least one message that is an error.
 */
bool pack_site(const struct pack_options *wanted, struct packed *packed);
void packed_free(struct packed *packed);

#endif
