/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* How many connections each peer address has. */
#ifndef KHTTPD_EPOLL_PEER_H
#define KHTTPD_EPOLL_PEER_H

#include <sys/socket.h>

struct peers;
struct peer;

/* peers_new() - none yet; NULL: out of memory */
struct peers *peers_new(void);
/* peers_free() - no connection is counted any more */
void peers_free(struct peers *peers);

/**
 * peer_get() - count one connection more
 * @peers: all of them
 * @address: of the client; a whole /64 counts as one IPv6 address
 * @max: connections that it may have; 0: any number
 *
 * Any thread.
 *
 * Return: its counter, for peer_put(); NULL if it has @max already, or memory is short.
 */
struct peer *peer_get(struct peers *peers, const struct sockaddr *address, unsigned int max);
void peer_put(struct peers *peers, struct peer *peer);

#endif
