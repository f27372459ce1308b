// SPDX-License-Identifier: MIT OR GPL-2.0
/* Site images in memory that nobody can change: from files, folders, and our own memory. */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "khttpctl.h"

static int image_memory(void)
{
	return memfd_create("khttpd-site", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static bool image_seal(int fd)
{
	return !fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
}

int image_hold(const void *image, uint64_t size)
{
	int fd = image_memory();
	const char *p = image;
	ssize_t n = 1;

	if (fd < 0)
		return -1;
	for (; size && n > 0; size -= n, p += n)
		n = write(fd, p, size < 1 << 30 ? size : 1 << 30);
	if (n > 0 && image_seal(fd))
		return fd;
	close(fd);
	return -1;
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

static int copy_file(const char *name)
{
	int from = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC), to = -1;
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
		if (to < 0)
			warn("%s", name);
	}
	if (from >= 0)
		close(from);
	return to;
}

bool image_open(int fd, const char *name, struct khttpd_site *site)
{
	const char *why;
	struct stat st;
	size_t room;
	void *data;

	/* The file may have become shorter while it was copied: what counts is what is here */
	if (fstat(fd, &st)) {
		warn("%s", name);
		return false;
	}
	/* Nothing can be mapped of an empty file, but then nothing is looked at either */
	room = st.st_size + !st.st_size;
	data = mmap(NULL, room, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED) {
		warn("%s", name);
		return false;
	}
	/* Processes that we start have no use for it, and would keep it for as long as they live */
	madvise(data, room, MADV_DONTFORK);
	if (khttpd_site_open(site, data, st.st_size, &why))
		return true;
	warnx("%s: cannot be used: %s", name, why);
	munmap(data, room);
	return false;
}

int image_load(const char *name, struct khttpd_site *site)
{
	int fd = copy_file(name);

	if (fd < 0 || image_open(fd, name, site))
		return fd;
	close(fd);
	return -1;
}

static void message(void *context, enum pack_severity severity, const char *text)
{
	(void)context;
	warnx("%s%s", severity == PACK_WARNING ? "warning: " : "", text);
}

static int pack_folder(const char *name, const struct pack_options *how, struct packed *packed)
{
	struct pack_host host = { "", name };
	struct pack_options usual = pack_usual();
	int fd;

	if (!how) {
		usual.hosts = &host;
		usual.n_hosts = 1;
		usual.message = message;
		how = &usual;
	}
	if (!pack_site(how, packed))
		return -1;
	fd = image_hold(packed->image, packed->size);
	if (fd < 0) {
		warn("memory for the site");
		packed_free(packed);
		return -1;
	}
	/* Once is enough */
	munmap(packed->image, packed->size);
	packed->image = NULL;
	return fd;
}

bool is_folder(const char *name)
{
	struct stat st;

	return !stat(name, &st) && S_ISDIR(st.st_mode);
}

int image_make(const char *name, const struct pack_options *how, struct khttpd_site *site,
	       struct packed *packed)
{
	int fd;

	memset(packed, 0, sizeof(*packed));
	if (!is_folder(name))
		return image_load(name, site);
	fd = pack_folder(name, how, packed);
	if (fd < 0 || image_open(fd, name, site))
		return fd;
	packed_free(packed);
	close(fd);
	return -1;
}

/* Room for one descriptor */
union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

bool image_send(int to, const void *data, size_t size, int fd)
{
	union control control = { .room = "" };
	struct iovec vec = { (void *)data, size };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.room);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	return sendmsg(to, &msg, MSG_NOSIGNAL) == (ssize_t)size;
}

bool image_receive(int from, void *data, size_t size, int *fd)
{
	union control control;
	struct iovec vec = { data, size };
	struct msghdr msg = {
		.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.room),
	};

	*fd = -1;
	if (recvmsg(from, &msg, MSG_CMSG_CLOEXEC) != (ssize_t)size)
		return false;
	if (msg.msg_controllen >= CMSG_LEN(sizeof(*fd)))
		memcpy(fd, CMSG_DATA(&control.head), sizeof(*fd));
	else if (msg.msg_flags & MSG_CTRUNC)
		warnx("no file can be opened for the site that was read");
	return true;
}
