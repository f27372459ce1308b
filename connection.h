/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Inside the kernel engine: the server, its shards and their connections. */
#ifndef KHTTPD_CONNECTION_H
#define KHTTPD_CONNECTION_H

#include <linux/in6.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "content.h"
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

/* A place in the list of all connections of a shard: @conn's, or a cursor's if it is NULL. */
struct khttpd_conn_node {
	struct list_head list;
	struct khttpd_conn *conn;
};

/**
 * struct khttpd_shard - one listener and the connections that it accepted
 * @srv: the server
 * @listener: SO_REUSEPORT socket; its callbacks stay the kernel's own
 * @acceptor: kthread that blocks in kernel_accept(); a task reference is held
 * @lock: protects @queue, @all, @conns and, of its connections, @node, @since, writing @phase and
 *	@verdict. Process context only; taken inside the socket's lock
 * @queue: connections by phase, oldest first; the last one holds those with a verdict
 * @all: the same connections by age, and cursors of those who list them
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
	struct list_head all;
	unsigned int conns;
	bool stopping;
	struct delayed_work sweep;
};

/**
 * struct khttpd_server - all of the engine
 * @contents: what is served
 * @wq: runs the connections' work and the sweeps
 * @peers: connections by address
 * @cut: looks for replies from images that are outdated; queued while there are many images
 * @conns: struct khttpd_conn that exist; the allocation counts, the destructor uncounts
 * @drained: woken when @conns reaches 0
 * @data_ready, @write_space, @state_change: the callbacks that sockets are born with
 * @n_shards: entries of @shard
 */
struct khttpd_server {
	struct khttpd_contents contents;
	struct workqueue_struct *wq;
	struct khttpd_peers peers;
	struct delayed_work cut;
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

/**
 * struct khttpd_conns_cursor - how far a listing of all connections has come
 *
 * It stands in the list itself, so that going on costs the same however long the list is. Each
 * connection that stays is seen once; ones that come or go meanwhile may be.
 */
struct khttpd_conns_cursor {
	struct khttpd_server *srv;
	struct khttpd_conn_node node;
	unsigned int i; /* shard */
	unsigned long began; /* jiffies */
};

/**
 * struct khttpd_conn_info - what can be told of a connection
 * @family: AF_INET or AF_INET6
 * @address: of the peer; an IPv4 address in its first four bytes
 * @port: of the peer
 * @phase: enum conn_phase
 * @age_ms: since it was accepted
 * @quiet_ms: since its phase began or made progress
 * @requests: replies planned
 * @bytes: given to TCP
 */
struct khttpd_conn_info {
	u16 family;
	struct in6_addr address;
	u16 port;
	u8 phase;
	u64 age_ms;
	u64 quiet_ms;
	u32 requests;
	u64 bytes;
};

/**
 * khttpd_conns_begin() - begin to list all connections
 * @cur: to be filled in; must not move
 * @srv: the server; must stay until khttpd_conns_end()
 *
 * Context: process.
 */
void khttpd_conns_begin(struct khttpd_conns_cursor *cur, struct khttpd_server *srv);

/**
 * khttpd_conns_next() - the next connection
 * @cur: the cursor
 * @info: set if there is one
 *
 * Context: process.
 * Return: true if there is one.
 */
bool khttpd_conns_next(struct khttpd_conns_cursor *cur, struct khttpd_conn_info *info);

/**
 * khttpd_conns_end() - end a listing
 * @cur: the cursor
 */
void khttpd_conns_end(struct khttpd_conns_cursor *cur);

/**
 * khttpd_conns_cut_init() - make khttpd_conns_cut_later() possible
 * @srv: the server; who stops it cancels @srv->cut
 */
void khttpd_conns_cut_init(struct khttpd_server *srv);

/**
 * khttpd_conns_cut_later() - the site was changed: look after the replies from older ones
 * @srv: the server
 *
 * Connections whose reply comes from an image that is outdated close in their own work, within
 * twice KHTTPD_RETIRED_MS. Any context.
 */
void khttpd_conns_cut_later(struct khttpd_server *srv);

#endif
