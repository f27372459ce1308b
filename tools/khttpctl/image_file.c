// SPDX-License-Identifier: MIT OR GPL-2.0
/* Reads a site image from a file. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "khttpctl.h"

/* A copy, so that nobody can change what was checked. */
static void *read_all(const char *name, uint64_t *size)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	char *data = NULL;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st)) {
		warn("%s", name);
	} else if (!S_ISREG(st.st_mode) || st.st_size > UINT32_MAX) {
		warnx("%s: it is not a site image, but %s", name,
		      S_ISDIR(st.st_mode) ? "a folder" :
		      S_ISREG(st.st_mode) ? "too large for one" :
					    "no regular file");
	} else {
		data = malloc(st.st_size + 1);
		if (!data)
			err(EXIT_FAILURE, "out of memory");
		for (*size = 0; *size < (uint64_t)st.st_size; *size += n) {
			n = read(fd, data + *size, st.st_size - *size);
			if (n <= 0)
				break;
		}
		if (n < 0) {
			warn("%s", name);
			free(data);
			data = NULL;
		}
	}
	if (fd >= 0)
		close(fd);
	return data;
}

bool image_load(const char *name, struct khttpd_site *site)
{
	const char *why;
	uint64_t size;
	void *data = read_all(name, &size);

	if (!data)
		return false;
	if (khttpd_site_open(site, data, size, &why))
		return true;
	warnx("%s: cannot be used: %s", name, why);
	free(data);
	return false;
}
