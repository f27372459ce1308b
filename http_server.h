/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The kernel engine's face: what main.c starts, stops and lets people change. */
#ifndef KHTTPD_HTTP_SERVER_H
#define KHTTPD_HTTP_SERVER_H

#include <linux/types.h>

#include "content.h"

#define KHTTPD_MAX_SHARDS 1024

/**
 * struct khttpd_params - time-outs and limits
 *
 * Written by module parameters at any time, read with READ_ONCE() where they are needed; each
 * stands alone, so no lock. Names, units and meaning: DESIGN.md, the README's table.
 */
struct khttpd_params {
	unsigned int first_byte_timeout_ms;
	unsigned int header_timeout_ms;
	unsigned int idle_timeout_ms;
	unsigned int send_timeout_ms;
	unsigned int linger_timeout_ms;
	unsigned int max_conns;
	unsigned int max_conns_per_ip;
	unsigned int max_requests;
	unsigned int max_head;
	unsigned int max_target;
	unsigned int max_body;
	unsigned int max_site_bytes;
};

extern struct khttpd_params khttpd_params;

/**
 * struct khttpd_config - what is fixed while the server runs
 * @bind: address to listen on; "::" is every address, IPv4 too
 * @port: TCP port, 1 to 65535
 * @backlog: length of each listener's queue of connections to accept
 * @shards: listeners and accept threads; 0: one per online CPU
 * @content: what is served; the server's from khttpd_server_start() on, also if that fails
 */
struct khttpd_config {
	const char *bind;
	unsigned int port;
	unsigned int backlog;
	unsigned int shards;
	struct khttpd_content *content;
};

struct khttpd_server;

/**
 * khttpd_server_start() - listen and serve, in the network namespace of the calling process
 * @config: how; not kept
 *
 * Holds a reference on that namespace until khttpd_server_stop(). Says in the log why it fails.
 *
 * Context: process, may sleep.
 * Return: the server, or ERR_PTR: -EINVAL for a bad address or number, -EADDRINUSE, -ENOMEM,
 * or what the network stack says.
 */
struct khttpd_server *khttpd_server_start(const struct khttpd_config *config);

/**
 * khttpd_server_stop() - close every connection and listener, and wait until nothing is left
 * @srv: from khttpd_server_start()
 *
 * Replies that TCP has already taken are still delivered, unless the peer sends more meanwhile.
 * Bounded: no step waits for a peer.
 *
 * Context: process, may sleep.
 */
void khttpd_server_stop(struct khttpd_server *srv);

#endif
