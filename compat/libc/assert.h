/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Lets http_parser be compiled in the kernel: its assertions are checked in the unit tests and fuzzers. */
#ifndef KHTTPD_LIBC_ASSERT_H
#define KHTTPD_LIBC_ASSERT_H

#define assert(condition) ((void)sizeof(!!(condition)))

#endif
