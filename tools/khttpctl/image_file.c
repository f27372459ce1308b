// SPDX-License-Identifier: MIT OR GPL-2.0
/* Reads a site image from a file. */
#include <err.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "khttpctl.h"

int image_memory(void)
{
	return memfd_create("khttpd-site", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

bool image_seal(int fd)
{
	return !fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
}

/* The same bytes in memory, where nobody can change them. Returns a descriptor or -1 and errno. */
static int copy(int from, uint64_t size)
{
	int to = image_memory();
	ssize_t n = 1;

	if (to < 0)
		return -1;
	for (; size && n > 0; size -= n)
		n = sendfile(to, from, NULL, size);
	if (n >= 0 && image_seal(to))
		return to;
	close(to);
	return -1;
}

static int copy_file(const char *name, uint64_t *size)
{
	int from = open(name, O_RDONLY | O_CLOEXEC), to = -1;
	struct stat st;

	if (from < 0 || fstat(from, &st)) {
		warn("%s", name);
	} else if (!S_ISREG(st.st_mode) || st.st_size > UINT32_MAX) {
		warnx("%s: it is not a site image, but %s", name,
		      S_ISDIR(st.st_mode) ? "a folder" :
		      S_ISREG(st.st_mode) ? "too large for one" :
					    "no regular file");
	} else {
		to = copy(from, st.st_size);
		/* What was there in the end: the file may have become shorter */
		if (to < 0 || fstat(to, &st))
			warn("%s", name);
		*size = st.st_size;
	}
	if (from >= 0)
		close(from);
	return to;
}

int image_load(const char *name, struct khttpd_site *site)
{
	const char *why;
	uint64_t size;
	void *data;
	int fd = copy_file(name, &size);

	if (fd < 0)
		return -1;
	/* Nothing can be mapped of an empty file, but then nothing is looked at either */
	data = mmap(NULL, size + !size, PROT_READ, MAP_SHARED, fd, 0);
	if (data != MAP_FAILED && khttpd_site_open(site, data, size, &why))
		return fd;
	if (data == MAP_FAILED) {
		warn("%s", name);
	} else {
		warnx("%s: cannot be used: %s", name, why);
		munmap(data, size + !size);
	}
	close(fd);
	return -1;
}
