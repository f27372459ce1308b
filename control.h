/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The control plane: generic netlink family "khttpd". */
#ifndef KHTTPD_CONTROL_H
#define KHTTPD_CONTROL_H

#include "http_server.h"

struct khttpd_server;

/**
 * khttpd_control_start() - let user space see and change what is served
 * @srv: the server; must stay until khttpd_control_stop()
 * @config: as it was started
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno.
 */
int khttpd_control_start(struct khttpd_server *srv, const struct khttpd_config *config);

/**
 * khttpd_control_stop() - end that; no command is running when it returns
 *
 * Context: process, may sleep.
 */
void khttpd_control_stop(void);

#endif
