// SPDX-License-Identifier: MIT OR GPL-2.0
/* Messages about what is packed. */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>

/* File names may hold anything: nothing that a terminal could take for a command is passed on. */
static void clean(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

void report(struct report *r, enum pack_severity severity, const char *file, unsigned int line,
	    const char *format, ...)
{
	char what[1024], text[1024 + 2 * KHTTPD_IMAGE_MAX_PATH];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (line)
		snprintf(text, sizeof(text), "%s:%u: %s", file, line, what);
	else
		snprintf(text, sizeof(text), "%s: %s", file, what);
	clean(text);
	pthread_mutex_lock(&r->lock);
	if (severity == PACK_ERROR)
		__atomic_add_fetch(&r->errors, 1, __ATOMIC_RELAXED);
	if (r->options->message)
		r->options->message(r->options->context, severity, text);
	pthread_mutex_unlock(&r->lock);
}
