// SPDX-License-Identifier: MIT OR GPL-2.0
/* What each byte may be part of. */
#include "text.h"

const u8 khttpd_class_of[256] = {
	['0' ... '9'] = KHTTPD_TOKEN | KHTTPD_HOST,
	['A' ... 'Z'] = KHTTPD_TOKEN | KHTTPD_HOST,
	['a' ... 'z'] = KHTTPD_TOKEN | KHTTPD_HOST,
	['!'] = KHTTPD_TOKEN | KHTTPD_HOST,
	['#'] = KHTTPD_TOKEN | KHTTPD_STOP,
	['$'] = KHTTPD_TOKEN | KHTTPD_HOST,
	['%'] = KHTTPD_TOKEN | KHTTPD_STOP,
	['&'] = KHTTPD_TOKEN | KHTTPD_HOST,
	['\''] = KHTTPD_TOKEN | KHTTPD_HOST,
	['('] = KHTTPD_HOST,
	[')'] = KHTTPD_HOST,
	['*'] = KHTTPD_TOKEN | KHTTPD_HOST,
	['+'] = KHTTPD_TOKEN | KHTTPD_HOST,
	[','] = KHTTPD_HOST,
	['-'] = KHTTPD_TOKEN | KHTTPD_HOST,
	['.'] = KHTTPD_TOKEN | KHTTPD_HOST | KHTTPD_STOP,
	[';'] = KHTTPD_HOST,
	['='] = KHTTPD_HOST,
	['?'] = KHTTPD_STOP,
	['^'] = KHTTPD_TOKEN,
	['_'] = KHTTPD_TOKEN | KHTTPD_HOST,
	['`'] = KHTTPD_TOKEN,
	['|'] = KHTTPD_TOKEN,
	['~'] = KHTTPD_TOKEN | KHTTPD_HOST,
};
