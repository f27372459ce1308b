// SPDX-License-Identifier: MIT OR GPL-2.0
/* Media types: by the end of a file's name, else by its content. */
#include "mime.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "../core/text.h"
#include "util.h"

struct known {
	char *extension; /* in lower case, without its dot */
	char *type;
	uint32_t order; /* in the file */
};

struct mime {
	struct known *known; /* sorted by extension */
	uint32_t n, cap;
};

static void lower(char *s)
{
	for (; *s; s++)
		*s = tolower((unsigned char)*s);
}

/* "type/subtype" of token characters: nothing that could not stand in a field line. */
static bool is_type(const char *s)
{
	bool slash = false;

	for (; *s; s++) {
		if (*s == '/' && !slash)
			slash = true;
		else if (!khttpd_is_class(*s, KHTTPD_TOKEN))
			return false;
	}
	return slash;
}

static int by_extension(const void *a, const void *b)
{
	return strcmp(((const struct known *)a)->extension, ((const struct known *)b)->extension);
}

/* The first line that names an extension comes first, and counts. */
static int by_extension_and_order(const void *a, const void *b)
{
	const struct known *x = a, *y = b;
	int order = by_extension(a, b);

	return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

struct mime *mime_open(const char *file, struct report *r)
{
	struct mime *mime = must(calloc(1, sizeof(*mime)));
	char *line = NULL, *word, *type, *rest;
	FILE *in = fopen(file, "re");
	uint32_t i, n = 0;
	size_t cap = 0;
	int error;

	if (!in) {
		report(r, PACK_ERROR, file, 0, "%s; Debian has it in the package media-types",
		       strerror(errno));
		free(mime);
		return NULL;
	}
	while (errno = 0, getline(&line, &cap, in) > 0) {
		line[strcspn(line, "#\n")] = 0;
		type = strtok_r(line, " \t\r", &rest);
		if (!type || !is_type(type))
			continue;
		while ((word = strtok_r(NULL, " \t\r", &rest))) {
			GROW(mime->known, mime->n, mime->cap);
			lower(word);
			mime->known[mime->n] = (struct known){
				.extension = must(strdup(word)),
				.type = must(strdup(type)),
				.order = mime->n,
			};
			mime->n++;
		}
	}
	error = ferror(in) ? errno : 0;
	fclose(in);
	free(line);
	if (error) {
		report(r, PACK_ERROR, file, 0, "%s", strerror(error));
		mime_free(mime);
		return NULL;
	}
	if (mime->n)
		qsort(mime->known, mime->n, sizeof(*mime->known), by_extension_and_order);
	for (i = 0; i < mime->n; i++) {
		if (n && !by_extension(&mime->known[n - 1], &mime->known[i])) {
			free(mime->known[i].extension);
			free(mime->known[i].type);
		} else {
			mime->known[n++] = mime->known[i];
		}
	}
	mime->n = n;
	return mime;
}

void mime_free(struct mime *mime)
{
	uint32_t i;

	for (i = 0; mime && i < mime->n; i++) {
		free(mime->known[i].extension);
		free(mime->known[i].type);
	}
	if (mime)
		free(mime->known);
	free(mime);
}

/* The type that the table has for the name of a file, the longest extension first. */
static const char *by_table(const struct mime *mime, const char *path)
{
	const char *name = strrchr(path, '/'), *dot;
	const struct known *found;
	char extension[64];

	name = name ? name + 1 : path;
	for (dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
		if (strlen(dot + 1) >= sizeof(extension) || dot == name)
			continue;
		strcpy(extension, dot + 1);
		lower(extension);
		found = bsearch(&(struct known){ .extension = extension }, mime->known, mime->n,
				sizeof(*mime->known), by_extension);
		if (found)
			return found->type;
	}
	return NULL;
}

/* Length of the UTF-8 sequence at @p (RFC 3629: the shortest, no surrogates), or 0. */
static size_t utf8_length(const unsigned char *p, size_t len)
{
	size_t n, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n > len)
		return 0;
	for (i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/*
 * UTF-8 without control characters but white space: what every browser would show as text. A
 * content that switches character sets by ESC (ISO-2022-JP) is none, either.
 */
static bool is_text(const unsigned char *p, size_t len)
{
	size_t n;

	while (len) {
		if (*p < ' ' && *p != '\n' && *p != '\t' && *p != '\r' && *p != '\f')
			return false;
		if (*p == 0x7f)
			return false;
		n = utf8_length(p, len);
		if (!n)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

const char *mime_type(const struct mime *mime, const char *path, const void *data, size_t len,
		      bool *charset)
{
	const char *type = by_table(mime, path);

	*charset = (!type || !strncasecmp(type, "text/", 5)) && is_text(data, len);
	if (type)
		return type;
	return *charset ? "text/plain" : "application/octet-stream";
}

bool mime_compressible(const char *type)
{
	static const char *const others[] = {
		"application/javascript",
		"application/json",
		"application/ld+json",
		"application/pgp-keys",
		"application/postscript",
		"application/rtf",
		"application/sql",
		"application/vnd.ms-fontobject",
		"application/wasm",
		"application/x-javascript",
		"application/x-sh",
		"application/x-tar",
		"application/xml",
		"application/xml-dtd",
		"application/yaml",
		"font/otf",
		"font/sfnt",
		"font/ttf",
		"image/bmp",
		"image/vnd.microsoft.icon",
		"image/x-icon",
		"model/gltf-binary",
		"model/obj",
	};
	size_t len = strlen(type), i;

	if (!strncasecmp(type, "text/", 5))
		return true;
	if ((len > 5 && !strcasecmp(type + len - 5, "+json")) ||
	    (len > 4 && !strcasecmp(type + len - 4, "+xml")))
		return true;
	for (i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (!strcasecmp(type, others[i]))
			return true;
	return false;
}
