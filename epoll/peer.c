// SPDX-License-Identifier: MIT OR GPL-2.0
/* How many connections each peer address has, exactly: none is refused for another's. */
#include "peer.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS 4096

struct peer {
	struct peer *next;
	uint64_t addr[2];
	unsigned int conns;
};

struct peers {
	pthread_mutex_t lock; /* of all that follows */
	uint64_t key[2]; /* nobody shall fill one bucket on purpose */
	struct peer *bucket[BUCKETS];
};

struct peers *peers_new(void)
{
	struct peers *peers = calloc(1, sizeof(*peers));

	if (!peers)
		return NULL;
	pthread_mutex_init(&peers->lock, NULL);
	if (getrandom(peers->key, sizeof(peers->key), 0) == sizeof(peers->key))
		return peers;
	free(peers);
	return NULL;
}

void peers_free(struct peers *peers)
{
	pthread_mutex_destroy(&peers->lock);
	free(peers);
}

static void peer_addr(const struct sockaddr *address, uint64_t addr[2])
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;

	addr[0] = 0;
	addr[1] = 0;
	if (address->sa_family == AF_INET)
		memcpy(&addr[1], &in->sin_addr, 4);
	else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		memcpy(&addr[1], &in6->sin6_addr.s6_addr[12], 4);
	else
		memcpy(&addr[0], &in6->sin6_addr, 8);
}

/* Multiply and fold with secret keys. */
static struct peer **bucket_of(struct peers *peers, const uint64_t addr[2])
{
	unsigned __int128 x =
		(unsigned __int128)(addr[0] ^ peers->key[0]) * (addr[1] ^ peers->key[1]);
	uint64_t hash = (uint64_t)x ^ (uint64_t)(x >> 64);

	return &peers->bucket[(hash ^ hash >> 32) % BUCKETS];
}

struct peer *peer_get(struct peers *peers, const struct sockaddr *address, unsigned int max)
{
	struct peer **bucket, *peer;
	uint64_t addr[2];

	peer_addr(address, addr);
	bucket = bucket_of(peers, addr);
	pthread_mutex_lock(&peers->lock);
	for (peer = *bucket; peer; peer = peer->next)
		if (!memcmp(peer->addr, addr, sizeof(addr)))
			break;
	if (!peer) {
		peer = calloc(1, sizeof(*peer));
		if (peer) {
			memcpy(peer->addr, addr, sizeof(addr));
			peer->next = *bucket;
			*bucket = peer;
		}
	}
	if (peer && max && peer->conns >= max)
		peer = NULL;
	else if (peer)
		peer->conns++;
	pthread_mutex_unlock(&peers->lock);
	return peer;
}

void peer_put(struct peers *peers, struct peer *peer)
{
	struct peer **at;

	pthread_mutex_lock(&peers->lock);
	if (--peer->conns) {
		peer = NULL;
	} else {
		for (at = bucket_of(peers, peer->addr); *at != peer; at = &(*at)->next)
			;
		*at = peer->next;
	}
	pthread_mutex_unlock(&peers->lock);
	free(peer);
}
