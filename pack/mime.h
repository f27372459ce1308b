/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Media types: by the end of a file's name, else by its content. */
#ifndef KHTTPD_PACK_MIME_H
#define KHTTPD_PACK_MIME_H

#include "report.h"

struct mime;

/* Reads a file in the format of /etc/mime.types; NULL after a message. */
struct mime *mime_open(const char *file, struct report *r);
void mime_free(struct mime *mime);

/**
 * mime_type() - the value of Content-Type for a file, and what goes with it
 * @mime: the known types
 * @path: the file
 * @data: its content
 * @len: bytes at @data
 * @charset: set to: the type is one of text and the content is valid UTF-8
 *
 * Return: the type without parameters, as long as @mime lives. What the table does not know is
 * text/plain if the content is text, else application/octet-stream.
 */
const char *mime_type(const struct mime *mime, const char *path, const void *data, size_t len,
		      bool *charset);

/* Is it worth trying to compress a content of this type? */
bool mime_compressible(const char *type);

#endif
