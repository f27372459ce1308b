/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Talks to khttpd.ko through the generic netlink family of ../../khttpd_netlink.h. */
#ifndef KHTTPCTL_NETLINK_H
#define KHTTPCTL_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

#include "../../khttpd_netlink.h"

struct module;

/* A line on standard error; the program has it. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * module_open() - reach the module
 *
 * Return: the connection to it, or NULL after a message: it is not loaded (errno is ENOENT), or the
 * kernel has no netlink for us.
 */
struct module *module_open(void);
void module_close(struct module *m);

/* module_events() - a descriptor that is readable when modules come or go; -1: none */
int module_events(void);

/**
 * module_ask() - one command and its replies
 * @m: the module
 * @cmd: enum khttpd_cmd
 * @dump: ask for all there is
 * @fd: goes along as KHTTPD_A_FD; -1: none
 * @reply: called for each reply; NULL: none is expected
 * @context: for @reply
 *
 * Return: true; false after a message with what the kernel says.
 */
bool module_ask(struct module *m, enum khttpd_cmd cmd, bool dump, int fd,
		void (*reply)(const struct nlmsghdr *nlh, void *context), void *context);

/* Sort attributes into @table, of which there are @max + 1; later ones win. */
void attrs_of_reply(const struct nlmsghdr *nlh, const struct nlattr **table, unsigned int max);
void attrs_of_nest(const struct nlattr *nest, const struct nlattr **table, unsigned int max);

/* Values of attributes, or 0 and "" if one is missing or too short. */
uint64_t attr_number(const struct nlattr *attr);
const char *attr_text(const struct nlattr *attr);

#endif
