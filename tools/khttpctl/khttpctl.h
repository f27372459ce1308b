/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* khttpctl: what its sub-commands share. */
#ifndef KHTTPCTL_H
#define KHTTPCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../core/site.h"
#include "../../pack/pack.h"

/* The sub-commands. @argv[0] is "khttpctl NAME"; the result is the exit status. */
int cmd_pack(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_load(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_unload(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_conns(int argc, char **argv);

/**
 * wants_json() - read the command line of a sub-command whose only option is --json
 * @argc, @argv: of the sub-command
 * @help: what --json does
 * @doc: what the sub-command does
 *
 * Return: whether it is given. Ends the program, as argp_parse() does, after anything else.
 */
bool wants_json(int argc, char **argv, const char *help, const char *doc);

/**
 * module_load() - have the module serve an image
 * @fd: the image, open for reading
 *
 * Return: true; false after a message.
 */
bool module_load(int fd);

/**
 * output_write() - put bytes into a file, all of them or none
 * @name: the file; an older one is replaced when all is on the disk
 * @data: the bytes
 * @size: how many
 *
 * Return: true; false after a message.
 */
bool output_write(const char *name, const void *data, uint64_t size);

/**
 * image_load() - read a site image and check it
 * @name: the file
 * @site: set on success; lives until the end of the program
 *
 * Return: a descriptor of the memory that holds it, sealed; -1 after a message.
 */
int image_load(const char *name, struct khttpd_site *site);

/* is_folder() - does @name lead to one? */
bool is_folder(const char *name);

/**
 * image_make() - read a site image and check it, or pack a folder
 * @name: the file or folder
 * @how: how to pack, with its hosts; NULL: as usual, @name alone
 * @site: set on success; lives until its image is unmapped
 * @packed: set on success: what was packed, but for the image; nothing if @name is a file
 *
 * Return: a descriptor of the memory that holds the image, sealed; -1 after a message.
 */
int image_make(const char *name, const struct pack_options *how, struct khttpd_site *site,
	       struct packed *packed);

/**
 * image_hold() - copy an image into memory that nobody can change, to be handed to the kernel
 * @image: it
 * @size: bytes at @image
 *
 * Return: a sealed descriptor; -1 and errno.
 */
int image_hold(const void *image, uint64_t size);

/**
 * image_open() - map an image and check it
 * @fd: a sealed descriptor
 * @name: for messages
 * @site: set on success; lives until the end of the program, or until its image is unmapped
 *
 * Return: true; false after a message.
 */
bool image_open(int fd, const char *name, struct khttpd_site *site);

/**
 * image_send() - hand an image to another process
 * @to: a socket that keeps messages apart
 * @data, @size: what is said along with it
 * @fd: the descriptor of its memory; negative: none
 *
 * Return: true, or false and errno.
 */
bool image_send(int to, const void *data, size_t size, int fd);

/**
 * image_receive() - take what image_send() has sent
 * @from: the socket
 * @data, @size: for what is said along with it, which has that many bytes
 * @fd: set to a descriptor of the image's memory; -1: none came, or none is free, after a message
 *
 * Return: true; false if there is no such message.
 */
bool image_receive(int from, void *data, size_t size, int *fd);

/* image_list() - print the paths and rules of a site, one on a line */
void image_list(const struct khttpd_site *site);

#endif
