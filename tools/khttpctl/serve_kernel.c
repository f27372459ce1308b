// SPDX-License-Identifier: MIT OR GPL-2.0
/* khttpctl serve by the module: a child packs the site, and the kernel gets the image. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../core/image.h"
#include "khttpctl.h"
#include "module.h"
#include "serve.h"

/* --- what there is --- */

static bool same_address(const char *a, const char *b)
{
	unsigned char x[16], y[16];

	if (inet_pton(AF_INET, a, x) == 1)
		return inet_pton(AF_INET, b, y) == 1 && !memcmp(x, y, 4);
	return inet_pton(AF_INET6, a, x) == 1 && inet_pton(AF_INET6, b, y) == 1 &&
	       !memcmp(x, y, 16);
}

static bool is_any(const char *bind)
{
	return same_address(bind, "::") || same_address(bind, "0.0.0.0");
}

/* Ask the module. On failure @why, and a negative errno: -ENOENT if it is not loaded. */
static int ask(struct module_state *state, char *why, size_t size)
{
	struct module *m;
	int error = 0;

	complain_into(why, size);
	m = module_open();
	if (!m)
		error = -errno;
	else if (!module_state(m, state))
		error = -EPERM;
	module_close(m);
	complain_into(NULL, 0);
	return error;
}

/* Is the loaded module what is wanted? */
static bool fits(struct serve *s, const struct module_state *state)
{
	if (!has_capability(CAP_NET_ADMIN))
		snprintf(s->why, sizeof(s->why),
			 "the module is loaded, but only root can change what it serves");
	else if (s->port && s->port != state->port)
		snprintf(s->why, sizeof(s->why), "the module listens on port %u", state->port);
	else if (s->bind && !same_address(s->bind, state->bind))
		snprintf(s->why, sizeof(s->why), "the module listens on %s", state->bind);
	else if (s->wanted == ENGINE_AUTO && !state->builtin)
		snprintf(s->why, sizeof(s->why),
			 "the module serves the site \"%s\", which --engine=kernel would replace",
			 state->site);
	else
		return true;
	return false;
}

bool kernel_usable(struct serve *s)
{
	struct module_state state;
	int error = ask(&state, s->why, sizeof(s->why));

	if (!error)
		return fits(s, &state);
	return error == -ENOENT && module_can_insert(s->why, sizeof(s->why));
}

bool kernel_conflict(const struct serve *s, unsigned int *port)
{
	const char *bind = s->bind ? s->bind : SERVE_BIND;
	struct module_state state;
	char why[256];

	if (ask(&state, why, sizeof(why)))
		return false;
	*port = state.port;
	return state.port == (s->port ? s->port : SERVE_PORT) &&
	       (is_any(bind) || is_any(state.bind) || same_address(bind, state.bind));
}

/* --- the packer --- */

/* What the packer says in the end, along with the image */
struct result {
	uint32_t files; /* 0: it was a file */
};

/*
 * In a process of its own, so that it can be ended, and that what it cannot do (packing ends the
 * program when memory is short) does not end the server.
 */
void kernel_pack(struct serve *s)
{
	struct khttpd_site site;
	struct result result;
	struct packed packed;
	int pair[2], fd;

	if (s->packed >= 0) {
		s->again = true;
		return;
	}
	s->again = false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		warn("cannot pack the site");
		return;
	}
	s->packer = serve_fork(s, SIGKILL);
	if (!s->packer) {
		fd = image_make(s->name, NULL, &site, &packed);
		result.files = packed.files;
		_exit(fd >= 0 && image_send(pair[1], &result, sizeof(result), fd) ? EXIT_SUCCESS :
										    EXIT_FAILURE);
	}
	close(pair[1]);
	if (s->packer < 0) {
		warn("cannot pack the site");
		s->packer = 0;
		close(pair[0]);
		return;
	}
	s->packed = pair[0];
}

/* --- the module --- */

/* The module is unloaded even if an error ends the program, though not by children that it ends. */
static unsigned long long left_behind;
static pid_t loader;

static void clean(void)
{
	if (left_behind && loader == getpid() && module_instance() == left_behind)
		module_remove();
}

static void set_inserted(struct serve *s, bool inserted)
{
	s->inserted = inserted;
	left_behind = inserted ? s->instance : 0;
	if (inserted && !loader) {
		loader = getpid();
		atexit(clean);
	}
}

/* Use the module that somebody else has loaded, if it fits. */
static bool use(struct serve *s, const struct module_state *state)
{
	if (!fits(s, state))
		return false;
	s->instance = module_instance();
	strcpy(s->why, "it was loaded already");
	return true;
}

/* Have the module listen where it should. If it will not, the reason is in @why. */
static bool listens(struct serve *s, struct module_state *state)
{
	int error = ask(state, s->why, sizeof(s->why));
	char why[256];

	if (!error)
		return use(s, state);
	if (error != -ENOENT)
		return false;
	s->error = module_insert(s->port, s->bind, s->why, sizeof(s->why));
	/* Somebody else was faster */
	if (s->error == -EEXIST && !ask(state, why, sizeof(why)))
		return use(s, state);
	if (s->error)
		return false;
	s->instance = module_instance();
	set_inserted(s, true);
	if (ask(state, s->why, sizeof(s->why)))
		return false;
	strcpy(s->why, "it is loaded until this ends");
	return true;
}

/* Serve the image @fd. */
static bool swap(struct serve *s, int fd, char *why, size_t size)
{
	struct khttpd_image_header header;
	bool done;
	size_t i;

	complain_into(why, size);
	done = module_load(fd);
	complain_into(NULL, 0);
	if (done && pread(fd, &header, sizeof(header), 0) == sizeof(header))
		for (i = 0; i < sizeof(header.digest); i++)
			sprintf(s->digest + 2 * i, "%02x", header.digest[i]);
	return done;
}

static void begin(struct serve *s, int fd)
{
	struct module_state state;

	s->events = module_events();
	if (listens(s, &state) && swap(s, fd, s->why, sizeof(s->why))) {
		serve_say_begin(s, state.bind, state.port);
		return;
	}
	kernel_end(s);
	if (s->events >= 0)
		close(s->events);
	s->events = -1;
	if (s->error == -EADDRINUSE || s->error == -EADDRNOTAVAIL) {
		warnx("cannot listen on %s port %u: %s", s->bind ? s->bind : SERVE_BIND,
		      s->port ? s->port : SERVE_PORT, strerror(-s->error));
		serve_end(s, EXIT_FAILURE);
		return;
	}
	serve_fall_back(s);
}

/* Somebody has unloaded the module; if there is another one now, it is theirs. */
static void lost(struct serve *s)
{
	warnx("somebody has unloaded the module");
	set_inserted(s, false);
	*s->digest = 0;
	serve_end(s, EXIT_FAILURE);
}

static bool is_lost(const struct serve *s, int error)
{
	return error == -ENOENT || module_instance() != s->instance;
}

/* Before a further site is loaded: what was nobody's in the beginning may be somebody's by now. */
static bool may_swap(struct serve *s, char *why, size_t size)
{
	struct module_state state;
	int error = ask(&state, why, size);

	if (is_lost(s, error)) {
		lost(s);
		return false;
	}
	if (error)
		return false;
	if (s->inserted || s->wanted == ENGINE_KERNEL || state.builtin ||
	    !strcmp(state.digest, s->digest))
		return true;
	warnx("somebody has loaded the site \"%s\", which --engine=kernel would replace",
	      state.site);
	*s->digest = 0;
	serve_end(s, EXIT_FAILURE);
	return false;
}

void kernel_packer_ended(struct serve *s, int status)
{
	s->packer = 0;
	if (WIFSIGNALED(status) && !s->ending)
		warnx("reading the site was ended by signal %d (%s)", WTERMSIG(status),
		      strsignal(WTERMSIG(status)));
}

void kernel_packed(struct serve *s)
{
	struct result result = { 0 };
	int fd, status;
	char why[256];

	image_receive(s->packed, &result, sizeof(result), &fd);
	close(s->packed);
	s->packed = -1;
	/* Its last words before we may be gone */
	if (fd < 0 && s->packer && waitpid(s->packer, &status, 0) == s->packer)
		kernel_packer_ended(s, status);
	if (fd < 0 && !s->serving) {
		serve_end(s, EXIT_FAILURE);
		return;
	}
	if (fd >= 0 && !s->serving) {
		begin(s, fd);
	} else if (fd >= 0 && may_swap(s, why, sizeof(why)) && swap(s, fd, why, sizeof(why))) {
		serve_say_changed(s, result.files);
	} else if (!s->done) {
		if (fd >= 0)
			warnx("%s", why);
		warnx("the old site goes on");
		s->since = 0;
	}
	if (fd >= 0)
		close(fd);
	if (s->again && !s->done && s->engine == ENGINE_KERNEL)
		kernel_pack(s);
}

void kernel_event(struct serve *s)
{
	struct module_state state;
	char text[4096];

	while (recv(s->events, text, sizeof(text), MSG_DONTWAIT) > 0)
		;
	if (is_lost(s, ask(&state, text, sizeof(text))))
		lost(s);
}

/* Is it still our site that the module serves? */
static bool is_ours(const struct serve *s)
{
	struct module_state state;
	char why[256];

	return *s->digest && !ask(&state, why, sizeof(why)) && module_instance() == s->instance &&
	       !strcmp(state.digest, s->digest);
}

void kernel_end(struct serve *s)
{
	int error;

	if (s->packer)
		kill(s->packer, SIGKILL);
	if (s->inserted && module_instance() != s->instance) {
		warnx("somebody has unloaded the module");
	} else if (s->inserted) {
		error = module_remove();
		if (error)
			warnx("the module stays loaded: %s", strerror(-error));
	} else if (is_ours(s)) {
		module_drop();
	}
	set_inserted(s, false);
	*s->digest = 0;
}
