/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Uses a site that may come from a hostile image in every way that a client can. */
#ifndef KHTTPD_TESTS_PROBE_H
#define KHTTPD_TESTS_PROBE_H

#include "engine.h"

/*
 * Plans the reply to @req into a heap buffer of @size bytes; checks what must hold whoever wrote
 * the image: head well-formed, one Content-Length and that of the body, the body a slice of the
 * image or a text of core's, no other server in a local redirect. Returns whether it did fit.
 */
bool probe_reply(const struct khttpd_site *site, const struct khttpd_request *req, size_t size);

/* probe_reply() for @path of @host, with several fields, methods and sizes. */
void probe_path(const struct khttpd_site *site, struct khttpd_str host, struct khttpd_str path);

/* probe_path() for all paths and hosts that the image has, and for what its rules may match. */
void probe_site(const struct khttpd_site *site);

/* Make the checksums and the size in the header of the image right again. */
void probe_seal(void *image, u64 size);

#endif
