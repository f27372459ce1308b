/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* CRC-32C (Castagnoli): entity tags and the checks of site images. */
#ifndef KHTTPD_CORE_CRC32C_H
#define KHTTPD_CORE_CRC32C_H

#include "types.h"

/**
 * khttpd_crc32c() - continue a CRC-32C
 * @crc: 0 to begin with, else the result for the bytes so far
 * @data: more bytes
 * @len: bytes at @data
 *
 * Return: the CRC of all bytes so far; of "123456789" it is 0xe3069283.
 */
u32 khttpd_crc32c(u32 crc, const void *data, size_t len);

#endif
