/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Types that core/ uses in the kernel and in user space alike. */
#ifndef KHTTPD_CORE_TYPES_H
#define KHTTPD_CORE_TYPES_H

#ifdef __KERNEL__
#include <asm/byteorder.h>
#include <linux/compiler.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/types.h>

typedef __le16 le16;
typedef __le32 le32;
typedef __le64 le64;

/* Called now and then by what may take seconds: others want the CPU too. Process context. */
#define khttpd_pause() cond_resched()
#else
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef uint16_t le16;
typedef uint32_t le32;
typedef uint64_t le64;

#define le16_to_cpu(x) le16toh(x)
#define le32_to_cpu(x) le32toh(x)
#define le64_to_cpu(x) le64toh(x)
#define cpu_to_le16(x) htole16(x)
#define cpu_to_le32(x) htole32(x)
#define cpu_to_le64(x) htole64(x)

#define khttpd_pause() ((void)0)
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
