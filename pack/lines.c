// SPDX-License-Identifier: MIT OR GPL-2.0
/* Line by line through a file of rules. */
#include "rules.h"

void lines_begin(struct lines *lines, const char *file, char *text, size_t len)
{
	*lines = (struct lines){ .file = file, .p = text, .end = text + len };
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) /* byte order mark */
		lines->p += 3;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool has_control(const char *s, const char *end)
{
	for (; s < end; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return true;
	return false;
}

char *lines_next(struct lines *lines, struct report *r)
{
	char *line, *end;

	while (lines->p < lines->end) {
		line = lines->p;
		end = memchr(line, '\n', lines->end - line);
		if (!end)
			end = lines->end;
		lines->p = end + 1;
		lines->number++;
		if (end > line && end[-1] == '\r')
			end--;
		while (line < end && is_blank(*line))
			line++;
		while (end > line && is_blank(end[-1]))
			end--;
		if (line == end || *line == '#')
			continue;
		if (has_control(line, end)) {
			report(r, PACK_ERROR, lines->file, lines->number,
			       "it has a control character");
			lines->bad = true;
			continue;
		}
		*end = 0;
		return line;
	}
	return NULL;
}
