/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Types that core/ uses in the kernel and in user space alike. */
#ifndef KHTTPD_CORE_TYPES_H
#define KHTTPD_CORE_TYPES_H

#ifdef __KERNEL__
#include <linux/compiler.h>
#include <linux/string.h>
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

/**
 * struct khttpd_str - bytes that somebody else owns; not NUL-terminated
 * @p: first byte; may be NULL when @len is 0
 * @len: bytes
 */
struct khttpd_str {
	const char *p;
	u32 len;
};

/* A khttpd_str of a string literal. */
#define KHTTPD_STR(s) ((struct khttpd_str){ (s), sizeof(s) - 1 })

#endif
