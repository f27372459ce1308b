/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The site that is served while no image is loaded: an image like any other, made on the spot. */
#ifndef KHTTPD_CORE_BUILTIN_H
#define KHTTPD_CORE_BUILTIN_H

#include "types.h"

/**
 * khttpd_builtin_size() - bytes that the built-in image takes
 * @large_len: bytes of /large.bin; 0: no such path
 */
u64 khttpd_builtin_size(u64 large_len);

/**
 * khttpd_builtin_write() - write the built-in image
 * @image: khttpd_builtin_size() bytes of zeroes, aligned to 8
 * @large_len: bytes of /large.bin, for tests: byte i is i * 31 + (i >> 8); 0: no such path
 *
 * One page at "/" that says what khttpd is and, for tests, one large object at "/large.bin".
 */
void khttpd_builtin_write(void *image, u64 large_len);

#endif
