/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What all fuzz targets include: the test engine, whose failures end the process. */
#ifndef KHTTPD_TESTS_FUZZ_H
#define KHTTPD_TESTS_FUZZ_H

#include "../unit/engine.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* Of a target that knows more of its input than that it is bytes, and what libFuzzer gives it. */
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t most, unsigned int seed);
size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t most);

#endif
