/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* System calls that the program needs once it has started; all others are refused. */
#ifndef KHTTPD_EPOLL_SANDBOX_H
#define KHTTPD_EPOLL_SANDBOX_H

#include <stdbool.h>

/**
 * enum sandbox - what becomes of another system call
 * @SANDBOX_DENY: it fails with ENOSYS, and the server goes on
 * @SANDBOX_KILL: it kills the server; so tests find what is missing
 * @SANDBOX_OFF: it is executed
 */
enum sandbox { SANDBOX_DENY, SANDBOX_KILL, SANDBOX_OFF };

/**
 * sandbox_program() - keep this thread, and those that it starts, to what the program needs
 * @sandbox: how
 *
 * That is enough to open the log anew, and to serve a site that another process has read. It starts
 * no other program, makes no socket and no memory that can be executed, and gains no privileges
 * (no_new_privs).
 *
 * Return: true; false after a message.
 */
bool sandbox_program(enum sandbox sandbox);

/**
 * sandbox_worker() - keep this thread to what serving needs
 * @sandbox: how
 *
 * For the threads that read what clients send: they use the descriptors that are there, and take
 * new ones from their listener only. It goes on top of sandbox_program(), which lets it in.
 *
 * Return: true; false after a message.
 */
bool sandbox_worker(enum sandbox sandbox);

#endif
