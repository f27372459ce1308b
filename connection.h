/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Inside the kernel engine: the server, its shards and their connections. */
#ifndef KHTTPD_CONNECTION_H
#define KHTTPD_CONNECTION_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "core/request.h"
#include "http_server.h"
#include "peer.h"

struct socket;
struct task_struct;

/*
 * Where a connection is, and so which time-out runs. Each shard keeps one queue per phase, in
 * the order in which connections entered it: as the time-out of a phase is the same for all,
 * the first in the queue is the first to expire, and the first idle one is the longest idle.
 *
 *   FIRST -> HEAD -> SEND -> IDLE -> HEAD ...     SEND and HEAD are skipped when nothing waits
 *   any -> LINGER (a last reply was sent) -> closed
 */
enum conn_phase {
	CONN_FIRST, /* accepted, no byte yet */
	CONN_HEAD, /* a request has begun */
	CONN_IDLE, /* between two requests */
	CONN_SEND, /* a reply waits for the peer to take it */
	CONN_LINGER, /* our side is shut, input is thrown away until the peer closes */
	CONN_PHASES,
	CONN_LEAVING = CONN_PHASES, /* queue only: has a verdict, its work is queued */
};

/* What others want of a connection; its work carries it out. */
enum conn_verdict {
	CONN_STAY,
	CONN_EXPIRED, /* the phase's time is up; void once the phase changes */
	CONN_SHED, /* room is needed: close after what was already asked for */
};

/**
 * struct khttpd_shard - one listener and the connections that it accepted
 * @srv: the server
 * @listener: SO_REUSEPORT socket; its callbacks stay the kernel's own
 * @acceptor: kthread that blocks in kernel_accept(); a task reference is held
 * @lock: protects @queue, @conns and, of its connections, @node, @since, writing @phase and
 *	@verdict. Process context only; taken inside the socket's lock
 * @queue: connections by phase, oldest first; the last one holds those with a verdict
 * @conns: connections in @queue
 * @stopping: the module goes: every connection is to close; read by works without the lock
 * @sweep: looks for expired connections; queued while there are connections
 */
struct khttpd_shard {
	struct khttpd_server *srv;
	struct socket *listener;
	struct task_struct *acceptor;
	spinlock_t lock;
	struct list_head queue[CONN_PHASES + 1];
	unsigned int conns;
	bool stopping;
	struct delayed_work sweep;
};

/**
 * struct khttpd_server - all of the engine
 * @site: what is served
 * @wq: runs the connections' work and the sweeps
 * @peers: connections by address
 * @conns: struct khttpd_conn that exist; the allocation counts, the destructor uncounts
 * @drained: woken when @conns reaches 0
 * @data_ready, @write_space, @state_change: the callbacks that sockets are born with
 * @n_shards: entries of @shard
 */
struct khttpd_server {
	const struct khttpd_site *site;
	struct workqueue_struct *wq;
	struct khttpd_peers peers;
	atomic_t conns;
	wait_queue_head_t drained;
	void (*data_ready)(struct sock *sk);
	void (*write_space)(struct sock *sk);
	void (*state_change)(struct sock *sk);
	unsigned int n_shards;
	struct khttpd_shard shard[];
};

int khttpd_conn_caches_create(void);
void khttpd_conn_caches_destroy(void);

/**
 * khttpd_conn_start() - serve an accepted socket
 * @shard: whose listener accepted it
 * @sock: the socket; owned by the connection on success only
 *
 * Context: the shard's accept kthread.
 * Return: 0, -ENOMEM or -EBUSY: a limit is reached.
 */
int khttpd_conn_start(struct khttpd_shard *shard, struct socket *sock);

/**
 * khttpd_shard_init() - make a shard ready for connections
 * @shard: the shard
 * @srv: its server
 */
void khttpd_shard_init(struct khttpd_shard *shard, struct khttpd_server *srv);

/**
 * khttpd_shard_stop() - tell every connection of a shard to close
 * @shard: the shard; its acceptor has ended, so no connection can be added
 *
 * The connections close in their own work; @srv->drained says when the last one has.
 */
void khttpd_shard_stop(struct khttpd_shard *shard);

#endif
