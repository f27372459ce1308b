/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What all fuzz targets include: the test engine, whose failures end the process. */
#ifndef KHTTPD_TESTS_FUZZ_H
#define KHTTPD_TESTS_FUZZ_H

#include "../unit/engine.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#endif
