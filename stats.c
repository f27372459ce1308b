// SPDX-License-Identifier: MIT OR GPL-2.0
/* What the engine counts. */
#include "stats.h"

DEFINE_PER_CPU(struct khttpd_stats, khttpd_stats);
