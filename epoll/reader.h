/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* A process that reads the site again, so that the server need not be able to. */
#ifndef KHTTPD_EPOLL_READER_H
#define KHTTPD_EPOLL_READER_H

#include <stdbool.h>
#include <stdint.h>

#define READER_BAD (-1) /* nothing of use was read */
#define READER_GONE (-2) /* there is no such process any more */

/**
 * reader_start() - start the process
 * @name, @large_len: what to read, as for content_make()
 *
 * Packing takes memory, time and system calls, and may fail in ways that end a process: for each
 * site that is read there is one, which this one starts. It ends when the program does. Call it
 * before there are threads.
 *
 * Return: a socket to talk to it; -1 and errno.
 */
int reader_start(const char *name, uint64_t large_len);

/**
 * reader_ask() - have the site read
 * @reader: the socket
 * @number: of this request; answers to others are late, and of no interest
 */
bool reader_ask(int reader, uint8_t number);

/**
 * reader_answer() - what was read
 * @reader: the socket, which is readable
 * @number: of the request that is answered
 *
 * Return: a descriptor of the sealed memory that holds the image; READER_BAD after a message, or
 * READER_GONE.
 */
int reader_answer(int reader, uint8_t *number);

#endif
