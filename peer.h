/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* How many connections each peer address has. */
#ifndef KHTTPD_PEER_H
#define KHTTPD_PEER_H

#include <linux/in6.h>
#include <linux/list.h>
#include <linux/siphash.h>
#include <linux/spinlock.h>

struct sock;

/**
 * struct khttpd_peer - one address, IPv4 or IPv6 /64, that has connections
 * @node: in the table
 * @addr: the address; IPv4 as ::ffff:a.b.c.d
 * @conns: its connections, at least 1
 */
struct khttpd_peer {
	struct hlist_node node;
	struct in6_addr addr;
	unsigned int conns;
};

/**
 * struct khttpd_peers - all addresses that have connections
 * @lock: protects @bucket and every peer in it. Process context only
 * @key: random, so that nobody can aim at one bucket
 * @bucket: hash table
 */
struct khttpd_peers {
	spinlock_t lock;
	siphash_key_t key;
	struct hlist_head *bucket;
};

int khttpd_peers_init(struct khttpd_peers *peers);
void khttpd_peers_destroy(struct khttpd_peers *peers);

/**
 * khttpd_peer_get() - count a connection of a socket's peer
 * @peers: the table
 * @sk: connected TCP socket
 * @max: connections that one address may have; 0: no limit
 *
 * Context: process, may sleep.
 * Return: the peer, for khttpd_peer_put(); ERR_PTR(-EBUSY) at the limit, ERR_PTR(-ENOMEM).
 */
struct khttpd_peer *khttpd_peer_get(struct khttpd_peers *peers, const struct sock *sk,
				    unsigned int max);

/**
 * khttpd_peer_put() - uncount it
 * @peers: the table
 * @peer: from khttpd_peer_get()
 *
 * Context: process.
 */
void khttpd_peer_put(struct khttpd_peers *peers, struct khttpd_peer *peer);

#endif
