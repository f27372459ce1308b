// SPDX-License-Identifier: MIT OR GPL-2.0
/* http_parser for the kernel: as it is, but hidden from the kernel's checks of comments (W=1). */
#include "http_parser/http_parser.c"
