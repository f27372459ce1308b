/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* khttpctl serve: what the loop (serve.c) and the two engines share. */
#ifndef KHTTPCTL_SERVE_H
#define KHTTPCTL_SERVE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SERVE_PORT 8081
#define SERVE_BIND "::"

struct watch;

enum engine { ENGINE_AUTO, ENGINE_KERNEL, ENGINE_EPOLL };

/**
 * struct serve - the server
 * @name: of the site, a folder or a file
 * @bind, @port: where to listen; NULL and 0: not said
 * @wanted: on the command line
 * @watching: --watch
 * @engine: what was chosen
 * @why: the reason
 * @watch: of the site; NULL: nobody asked for it
 * @old_mask: signals that were blocked before
 * @terminal: there was one whose end would be ours
 * @serving: requests are answered
 * @ending: somebody wants the end
 * @done: it is there
 * @status: exit status then
 * @since: when the first change that is not served yet was noticed; 0: there is none
 *
 * The module (serve_kernel.c):
 * @inserted: it was we who loaded it
 * @error: why that failed, a negative errno; 0: it did not
 * @instance: of the module that we use
 * @events: readable when modules come and go; -1: none
 * @packer: a process that reads the site; 0: none
 * @packed: gives its result; -1: there is none to come
 * @again: the site changed since it began
 * @digest: of the site that we loaded
 *
 * khttpd-epoll (serve_epoll.c):
 * @child: its process; 0: none
 * @words: its standard error; -1: none
 * @line, @line_len: of its words, what is not a whole line yet
 */
struct serve {
	const char *name;
	const char *bind;
	unsigned int port;
	enum engine wanted;
	bool watching;

	enum engine engine;
	char why[768];
	struct watch *watch;
	sigset_t old_mask;
	bool terminal, serving, ending, done;
	int status;
	int64_t since;

	bool inserted;
	int error;
	unsigned long long instance;
	int events;
	pid_t packer;
	int packed;
	bool again;
	char digest[33];

	pid_t child;
	int words;
	char line[1024];
	size_t line_len;
};

/* serve.c */
void serve_end(struct serve *s, int status);
void serve_say_begin(struct serve *s, const char *bind, unsigned int port);
/* @files: of the site; 0: not known */
void serve_say_changed(struct serve *s, uint32_t files);

/**
 * serve_fork() - start a process that does not outlive this one
 * @s: the server
 * @signal: what it then gets
 *
 * It is in a group of its own, so that Ctrl-C is for us alone: a second interrupt has a meaning to
 * it. Signals that are the end, or would be before it expects them, are blocked.
 *
 * Return: as fork() does.
 */
pid_t serve_fork(const struct serve *s, int signal);

/**
 * kernel_usable() - can the module serve this?
 * @s: the server; @why is set if it cannot
 */
bool kernel_usable(struct serve *s);
/* kernel_conflict() - does the module itself have our port? Sets @port. */
bool kernel_conflict(const struct serve *s, unsigned int *port);
/* Read the site; what comes of it is read by kernel_packed(). */
void kernel_pack(struct serve *s);
/* @s->packed is readable. */
void kernel_packed(struct serve *s);
/* The packer's process has ended. */
void kernel_packer_ended(struct serve *s, int status);
/* @s->events is readable. */
void kernel_event(struct serve *s);
/* Leave the module as it was, or unload it. */
void kernel_end(struct serve *s);
/* Serve with khttpd-epoll, for the reason in @s->why; or end if that is not wanted, or in vain. */
void serve_fall_back(struct serve *s);

void epoll_start(struct serve *s);
/* @s->words is readable. */
void epoll_read(struct serve *s);
void epoll_ended(struct serve *s, int status);
void epoll_end(struct serve *s);

#endif
