// SPDX-License-Identifier: MIT OR GPL-2.0
/* Writes the fuzzers' first inputs, from the unit corpus and a few fields, to FOLDER/TARGET/ */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/corpus.h"

static FILE *create(const char *folder, const char *kind, const char *name)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/%s", folder, kind, name);
	f = fopen(path, "wb");
	if (!f) {
		fprintf(stderr, "seeds: cannot write %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return f;
}

/* Selectors (method, path, connection, size) and lines as fuzz_response.c reads them. */
static const struct {
	const char select[5];
	const char *lines;
} responses[] = {
	{ "\0\0\0", "" },
	{ "\1\1\0", "" },
	{ "\x82\0\4", "" },
	{ "\x83\0\0", "" },
	{ "\0\5\1", "" },
	{ "\0\0\xf1", "" },
	{ "\0\4\0\x8f", "" },
	{ "\0\1\0", "Ggzip, deflate, br, zstd" },
	{ "\0\1\0", "Ggzip;q=0.5, br;q=0.499, *;q=0" },
	{ "\0\1\0", "Gidentity;q=0" },
	{ "\0\2\0", "G*\nBW/\"two-identity\"" },
	{ "\0\0\0", "A\"x\", \"root-identity\"" },
	{ "\0\0\0", "B\"x\"\nB\"root-identity\"" },
	{ "\0\0\0", "B*\nA*" },
	{ "\0\0\0", "CSun, 06 Nov 1994 08:49:37 GMT" },
	{ "\0\0\0", "CSunday, 06-Nov-94 08:49:37 GMT" },
	{ "\0\0\0", "CSun Nov  6 08:49:37 1994" },
	{ "\0\0\0", "DSun, 06 Nov 1994 08:49:36 GMT" },
	{ "\0\0\0", "Fbytes=2-4" },
	{ "\0\0\0", "Fbytes=-3\nE\"root-identity\"" },
	{ "\0\0\0", "Fbytes=24-\nESun, 06 Nov 1994 08:49:37 GMT" },
	{ "\0\0\0", "Fbytes=26-" },
	{ "\0\3\0", "Fbytes=-1" },
	{ "\0\0\0", "Fbytes=0-1, 3-4" },
	{ "\0\1\0", "Fbytes=4-18446744073709551616\nGgzip" },
};

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seeds FOLDER\n");
		return 2;
	}
	for (u32 i = 0; i < corpus_len; i++) {
		const struct corpus_step *step = corpus[i].steps;
		FILE *f = create(argv[1], "request", corpus[i].name);

		fputc(0, f);
		fputc(i & 0xff, f);
		for (; step < corpus[i].steps + CORPUS_MAX_STEPS && step->bytes; step++)
			fwrite(step->bytes, 1, step->len, f);
		fclose(f);

		/* parameters, a plain request and the case, as fuzz_connection.c reads them */
		f = create(argv[1], "connection", corpus[i].name);
		fwrite("\0\0\377\0\0"
		       "\0\0\0\0\0"
		       "\14",
		       1, 11, f);
		fputc(i >> 8, f);
		fputc(i & 0xff, f);
		fclose(f);
	}
	for (u32 i = 0; i < sizeof(responses) / sizeof(*responses); i++) {
		char name[16];
		FILE *f;

		snprintf(name, sizeof(name), "%02u", i);
		f = create(argv[1], "response", name);
		fwrite(responses[i].select, 1, 4, f);
		fputs(responses[i].lines, f);
		fclose(f);
	}
	return 0;
}
