/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What all unit tests include: cmocka, and the test engine's failures as test failures. */
#ifndef KHTTPD_TESTS_UNIT_H
#define KHTTPD_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine.h"

/* A seed that is printed, so that a failure can be repeated: KHTTPD_SEED=n make unit. */
u64 unit_seed(void);

#endif
