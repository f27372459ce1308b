/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Content codings: making them, and checking those that somebody else made. */
#ifndef KHTTPD_PACK_CODING_H
#define KHTTPD_PACK_CODING_H

#include "../core/site.h"

struct coder;

/* Names as in Content-Encoding, and endings of sibling files; by enum khttpd_coding. */
extern const char *const coding_names[KHTTPD_CODINGS];
extern const char *const coding_endings[KHTTPD_CODINGS];

/* coder_new() - what one thread codes with; @level is 1 to PACK_MAX_LEVEL */
struct coder *coder_new(int level);
void coder_free(struct coder *coder);

/**
 * coder_encode() - code a content
 * @coder: of this thread
 * @coding: not identity
 * @data: the content
 * @len: bytes at @data
 * @text: it is text in UTF-8
 * @max: no result that is longer is of use
 * @out_len: set on success
 *
 * Return: the result, to be freed by free(); NULL if it is longer than @max.
 */
void *coder_encode(struct coder *coder, enum khttpd_coding coding, const void *data, uint32_t len,
		   bool text, uint32_t max, uint32_t *out_len);

/* Does @coded, when decoded, give exactly @len bytes at @data? */
bool coder_decodes(struct coder *coder, enum khttpd_coding coding, const void *coded,
		   uint32_t coded_len, const void *data, uint32_t len);

#endif
