/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Lets http_parser be compiled in the kernel. */
#include <linux/limits.h>
