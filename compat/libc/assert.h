/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Lets http_parser be compiled in the kernel: unit tests and fuzzers check its assertions. */
#ifndef KHTTPD_LIBC_ASSERT_H
#define KHTTPD_LIBC_ASSERT_H

#define assert(condition) ((void)sizeof(!!(condition)))

#endif
