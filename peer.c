// SPDX-License-Identifier: MIT OR GPL-2.0
/* How many connections each peer address has, exactly: none is refused for another's. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "peer.h"

#define PEER_BUCKETS 4096

int khttpd_peers_init(struct khttpd_peers *peers)
{
	peers->bucket = kvcalloc(PEER_BUCKETS, sizeof(*peers->bucket), GFP_KERNEL);
	if (!peers->bucket)
		return -ENOMEM;
	spin_lock_init(&peers->lock);
	get_random_bytes(&peers->key, sizeof(peers->key));
	return 0;
}

void khttpd_peers_destroy(struct khttpd_peers *peers)
{
	kvfree(peers->bucket);
}

/* One household or host has a whole /64, so that is what counts as one IPv6 address. */
static void peer_addr(const struct sock *sk, struct in6_addr *addr)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		*addr = sk->sk_v6_daddr;
		if (!ipv6_addr_v4mapped(addr))
			memset(&addr->s6_addr[8], 0, 8);
		return;
	}
#endif
	ipv6_addr_set_v4mapped(sk->sk_daddr, addr);
}

static struct khttpd_peer *peer_find(struct hlist_head *bucket, const struct in6_addr *addr)
{
	struct khttpd_peer *peer;

	hlist_for_each_entry(peer, bucket, node)
		if (ipv6_addr_equal(&peer->addr, addr))
			return peer;
	return NULL;
}

struct khttpd_peer *khttpd_peer_get(struct khttpd_peers *peers, const struct sock *sk,
				    unsigned int max)
{
	struct khttpd_peer *peer, *fresh = NULL;
	struct hlist_head *bucket;
	struct in6_addr addr;

	peer_addr(sk, &addr);
	bucket = &peers->bucket[siphash(&addr, sizeof(addr), &peers->key) % PEER_BUCKETS];
again:
	spin_lock(&peers->lock);
	peer = peer_find(bucket, &addr);
	if (!peer && !fresh) {
		spin_unlock(&peers->lock);
		fresh = kmalloc(sizeof(*fresh), GFP_KERNEL | __GFP_NOWARN);
		if (!fresh)
			return ERR_PTR(-ENOMEM);
		fresh->addr = addr;
		fresh->conns = 0;
		goto again;
	}
	if (!peer) {
		peer = fresh;
		fresh = NULL;
		hlist_add_head(&peer->node, bucket);
	}
	if (max && peer->conns >= max)
		peer = ERR_PTR(-EBUSY); /* conns >= max >= 1: never the one just added */
	else
		peer->conns++;
	spin_unlock(&peers->lock);
	kfree(fresh);
	return peer;
}

void khttpd_peer_put(struct khttpd_peers *peers, struct khttpd_peer *peer)
{
	spin_lock(&peers->lock);
	if (--peer->conns)
		peer = NULL;
	else
		hlist_del(&peer->node);
	spin_unlock(&peers->lock);
	kfree(peer);
}
