/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The user-space engine: threads that each have a listener, connections and an epoll set. */
#ifndef KHTTPD_EPOLL_SERVER_H
#define KHTTPD_EPOLL_SERVER_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "content.h"
#include "log.h"
#include "sandbox.h"

/**
 * struct limits - names, units and defaults are those of the module's parameters
 * @max_conns_per_ip: 0: no limit
 * @max_requests: of one connection; 0: no limit
 */
struct limits {
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
};

/* Connections above max_conns: those that were told to leave and have not closed yet */
static inline unsigned int server_credit(const struct limits *limits)
{
	return limits->max_conns / 16 + 16;
}

/**
 * struct server_config - what server_start() needs
 * @address: where to listen
 * @backlog: of each listener
 * @threads: as many listeners, too
 * @limits: copied
 * @content: what is served first; owned by the server if it starts
 * @log: for its replies; NULL: none
 * @sandbox: for its threads
 */
struct server_config {
	struct sockaddr_storage address;
	int backlog;
	unsigned int threads;
	struct limits limits;
	struct content *content;
	struct log *log;
	enum sandbox sandbox;
};

struct server;

/**
 * server_open() - bind the listeners
 * @config: what and where
 *
 * Return: the server; NULL after a message.
 */
struct server *server_open(const struct server_config *config);

/**
 * server_run() - start the threads
 * @srv: from server_open()
 *
 * Return: true; false after a message.
 */
bool server_run(struct server *srv);

/**
 * server_swap() - serve something else from now on
 * @srv: the server
 * @content: what; owned by the server
 *
 * When it returns requests get it, if no thread is stuck. Replies that were planned from the old
 * image are sent from that; but see RETIRED_MAX. One thread calls it.
 */
void server_swap(struct server *srv, struct content *content);

/**
 * server_stop() - accept nobody any more, let replies end, close and free all
 * @srv: the server
 * @ms: milliseconds that replies have
 */
void server_stop(struct server *srv, unsigned int ms);

#endif
