// SPDX-License-Identifier: MIT OR GPL-2.0
/* A broken promise ends the fuzzer, which then keeps the input. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

void engine_failed(const char *message)
{
	fprintf(stderr, "FAILED: %s\n", message);
	abort();
}
