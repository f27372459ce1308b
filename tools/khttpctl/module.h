/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The module as a whole: what it says of itself, getting it into the kernel and out again. */
#ifndef KHTTPCTL_MODULE_H
#define KHTTPCTL_MODULE_H

#include "netlink.h"

#define MODULE_MAX_PARAMS 64

/* struct module_state - what it serves, where, and with which limits */
struct module_state {
	char version[64];
	uint32_t image_version;
	char bind[64];
	uint32_t port, shards, backlog, conns, images;
	struct {
		char name[64];
		uint32_t value;
	} params[MODULE_MAX_PARAMS];
	size_t n_params;
	char site[64];
	char digest[33];
	uint32_t bytes, entries, hosts;
	uint64_t since;
	bool builtin;
};

/* complain_into() - keep what functions here complain of instead of printing it; NULL: print */
void complain_into(char *text, size_t size);

/* module_state() - ask for it; false after a message */
bool module_state(struct module *m, struct module_state *s);

/* module_drop() - have the module serve its built-in page; false after a message */
bool module_drop(void);

/**
 * module_can_insert() - is there a module for this kernel, and may we load it?
 * @why: set if not
 * @size: bytes at @why
 *
 * Where the module is already loaded this says nothing.
 */
bool module_can_insert(char *why, size_t size);

/**
 * module_insert() - load the module
 * @port: where to listen; 0: where its own parameters say
 * @bind: an IP address, and nothing else, to listen on; NULL: where its own parameters say
 * @why: set on failure
 * @size: bytes at @why
 *
 * modprobe does it if it knows the module, so that what is set for it in modprobe.d counts;
 * otherwise khttpd.ko beside khttpctl, or in the folder above, is loaded.
 *
 * Return: 0, or a negative errno: -EEXIST if somebody else was faster.
 */
int module_insert(unsigned int port, const char *bind, char *why, size_t size);

/* module_instance() - a number that no other time of the module in the kernel has had, or 0 */
unsigned long long module_instance(void);

/* module_remove() - unload the module; 0, or a negative errno after some seconds */
int module_remove(void);

/* has_capability() - is it in effect? @capability is one of those of linux/capability.h */
bool has_capability(int capability);

/**
 * find_beside() - a file that came with this program
 * @name: of the file
 * @path: set to where it is: the program's folder or, if @above, the one above
 * @size: bytes at @path
 * @above: look there too
 *
 * A file that others than root, the user or the program's owner could have put there does not
 * count: it might be run, or loaded into the kernel, as root.
 */
bool find_beside(const char *name, char *path, size_t size, bool above);

#endif
