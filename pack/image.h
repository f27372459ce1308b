/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Writes site images: collects hosts, entries and bodies, then lays them out. */
#ifndef KHTTPD_PACK_IMAGE_H
#define KHTTPD_PACK_IMAGE_H

#include "../core/site.h"

struct image;

/**
 * image_new() - an empty image with the default host
 * @name: shown by "status"; at most 31 bytes of printable ASCII count
 *
 * Return: the image, to be freed by image_free(); ends the program when memory is short, as all
 * functions here do.
 */
struct image *image_new(const char *name);
void image_free(struct image *img);

/**
 * image_host() - a further host
 * @img: the image
 * @name: in lower case; kept by the image
 *
 * Return: what to call it in the other functions; the default host is 0. The same name again
 * gives the same.
 */
uint32_t image_host(struct image *img, const char *name);

/**
 * image_body() - a content that variants can have
 * @img: the image
 * @data: the bytes; must stay until image_write(), and lose their owner if @owned
 * @len: bytes at @data
 * @owned: the image shall free() them, when it has no more use for them
 *
 * Return: its number; that of an earlier body with the same bytes if there is one.
 */
uint32_t image_body(struct image *img, const void *data, uint32_t len, bool owned);

/**
 * image_entry() - a path with content; image_variant() must follow, once to four times
 * @img: the image
 * @host: of image_host()
 * @path: decoded, normalised; copied
 * @last_modified: seconds since 1970-01-01 UTC
 *
 * Return: its number, for image_not_found().
 */
uint32_t image_entry(struct image *img, uint32_t host, struct khttpd_str path,
		     int64_t last_modified);

/**
 * image_variant() - a coding of the entry that was made last
 * @img: the image
 * @coding: enum khttpd_coding
 * @groups: the four groups of field lines; copied
 * @body: of image_body()
 */
void image_variant(struct image *img, enum khttpd_coding coding, const struct khttpd_str groups[4],
		   uint32_t body);

/* image_redirect() - a path that leads elsewhere; @status is 301, 302, 303, 307 or 308 */
void image_redirect(struct image *img, uint32_t host, struct khttpd_str path, uint16_t status,
		    struct khttpd_str location);

/*
 * image_rule() - a rule, tried after those that the host has; the texts are as they lie in the
 * image
 */
void image_rule(struct image *img, uint32_t host, uint16_t status, struct khttpd_str pattern,
		struct khttpd_str target);

/* image_not_found() - the entry to show instead of a plain 404 */
void image_not_found(struct image *img, uint32_t host, uint32_t entry);

/**
 * image_layout() - decide where everything goes; nothing may be added afterwards
 * @img: the image
 * @why: set on failure
 *
 * Return: bytes of the image, or 0.
 */
uint64_t image_layout(struct image *img, const char **why);

/**
 * image_write() - write the image; once
 * @img: the image, laid out
 * @out: as many zero bytes as image_layout() returned
 */
void image_write(struct image *img, void *out);

/**
 * image_digest() - what the digest in the header of an image must be
 * @image: the image
 * @size: its bytes, not less than the header's
 * @digest: set to XXH3-128 of everything behind the header, which is all that is served
 */
void image_digest(const void *image, uint64_t size, uint8_t digest[16]);

#endif
