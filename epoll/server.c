// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The user-space engine. Each thread has a listener, its connections and an epoll set, and shares
 * nothing with the others but counters. From top to bottom, this is what happens to a connection:
 *
 *	accept -> read -> plan -> write -> (wait, and read again) -> linger -> close
 *
 * The set is edge-triggered: the kernel reports that a socket became readable or writable once, and
 * not again for what was there before. Two rules follow, and all of conn_io() is built on them:
 *
 *  - Whoever was told goes on until the kernel has no more. Only then is another event promised.
 *    It says so by EAGAIN; and, which saves a system call for each request, by filling less of a
 *    buffer than it could: nothing is left then but what events tell of by name (see epoll(7)).
 *  - Whoever stops earlier, here because others want their turn, must come back by himself: such
 *    connections are in the thread's list @again.
 *
 * In return each socket is registered once, for both directions, and epoll_ctl() is never called
 * again: waiting for room to write costs no system call.
 */
#include "server.h"

#include <assert.h>
#include <err.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../core/response.h"
#include "peer.h"

#define BUDGET 4 /* batches of replies before others have their turn */
#define RECEIVES 8 /* recv() with something before that */
#define TICK_MS 100 /* how often time-outs are looked at */
#define EVENTS 256 /* taken from the kernel at a time */
#define ACCEPTS 64 /* connections accepted before others have their turn */
#define LAST_CALLS 64 /* so often that, when the server stops */
#define RECEIVE 16384 /* bytes received at a time; so many may wait behind a reply, too */
#define UNSENT_MAX 131072 /* bytes of a reply that wait in the kernel for the client's window */
#define FILE_MIN 16384 /* bodies from this size on are sent by sendfile() */
#define BUFFER_MIN 1024 /* first size of a request buffer */

/*
 * A client that takes its time over a reply keeps the image that the reply is from. So that nobody
 * fills the memory by asking for a large file between reloads, images that more than so many others
 * replaced are not kept for anybody, once they have had so long.
 */
#define RETIRED_MAX 4
#define RETIRED_MS 10000

#define SWAP_MS 1000 /* that server_swap() waits for its threads at most */

#define TX_REPLIES 16 /* replies that one send carries */
#define TX_HEADS 8192
static_assert(TX_HEADS >= KHTTPD_MAX_REPLY_HEAD, "the longest head fits");

/* What a connection waits for; each has a time-out. */
enum phase {
	FIRST, /* the first byte of its first request */
	HEAD, /* the rest of a request */
	IDLE, /* the next request */
	SEND, /* room for replies */
	LINGER, /* the client's end, ours was sent */
	PHASES,
};

/* Why conn_io() is called for a connection to which nothing happened. */
enum verdict {
	STAY,
	EXPIRED, /* its time is up */
	SHED, /* it makes room for a new one */
};

struct list {
	struct list *prev, *next;
};

/**
 * struct tx - replies on their way out; a connection has one only while there are some
 * @vec: heads and small bodies in order, two entries a reply at most
 * @n_vec: entries in use
 * @first: first entry that was not sent whole
 * @bytes: bytes in @vec that were not sent
 * @at: where in the image a large body after them goes on
 * @left: bytes of it that were not sent
 * @used: bytes in use at @heads
 * @content: what the replies come from; NULL while there are none
 * @heads: where the replies' heads are written
 */
struct tx {
	struct iovec vec[2 * TX_REPLIES];
	unsigned int n_vec;
	unsigned int first;
	size_t bytes;
	off_t at;
	uint64_t left;
	uint32_t used;
	struct content *content;
	char heads[TX_HEADS];
};

/**
 * struct conn - one accepted socket
 * @node: in the thread's queue[@phase]
 * @again: in the thread's list of those that go on by themselves; empty: not there
 * @since: milliseconds at which @phase was entered or made progress
 * @fd: the socket
 * @phase: enum phase
 * @closing: the last reply was planned; all further input is thrown away
 * @shut: and our side of the connection was shut
 * @eof: the client has shut its side
 * @probe: an event told of more than bytes, an end or an urgent mark: only EAGAIN or 0 is the end
 * @last: it was shed: the next reply is the last
 * @sent: bytes given to the kernel
 * @acked: bytes of them that the client had acknowledged when that was looked at last
 * @acked_at: milliseconds since when it is that many
 * @requests: replies planned so far
 * @address: the client's, of either version
 * @peer: its address's counter
 * @tx: NULL unless replies wait to be sent
 * @rest: bytes that were received behind the request whose reply waits; NULL: none
 * @rest_len: how many
 * @reader: HTTP reading position
 */
struct conn {
	struct list node;
	struct list again;
	uint64_t since;
	int fd;
	uint8_t phase;
	bool closing;
	bool shut;
	bool eof;
	bool probe;
	bool last;
	uint64_t sent;
	uint64_t acked;
	uint64_t acked_at;
	uint32_t requests;
	struct sockaddr_in6 address;
	struct peer *peer;
	struct tx *tx;
	char *rest;
	size_t rest_len;
	struct khttpd_reader reader;
};

/**
 * struct worker - a thread
 * @next: what to serve from now on, put there by server_swap(); NULL: no change
 * @sheddable: idle connections that nobody has claimed yet; may be negative for a moment
 * @sheds: connections that were claimed, and must go as soon as they are idle
 * @oldest: since when its longest idle connection has been idle; a turn old
 * @content: what it serves; from here on other threads keep out
 * @queue: its connections by phase, those that entered it first in front
 * @again: connections that go on without an event
 * @n: its connections
 * @now: milliseconds of a clock that nobody sets
 * @tick: @now when time-outs were looked at last
 * @end: @now at which replies must have ended; 0 unless the server stops
 * @accept_at: @now from which on accept() is to be tried without an event; 0: an event will come
 * @spare: one batch is kept, because most runs need one for a moment
 * @log: where its replies are logged; NULL: nowhere
 * @buf: where input is received
 */
struct worker {
	_Atomic(struct content *) next;
	struct server *srv;
	pthread_t thread;
	int epoll, listener, wake;
	atomic_int sheddable;
	atomic_int sheds;
	atomic_ullong oldest;
	struct content *content;
	struct list queue[PHASES];
	struct list again;
	unsigned int n;
	uint64_t now;
	uint64_t tick;
	uint64_t end;
	uint64_t accept_at;
	struct tx *spare;
	struct khttpd_clock clock;
	struct log_ring *log;
	char buf[RECEIVE];
};

struct server {
	struct limits limits;
	struct peers *peers;
	atomic_uint conns;
	atomic_uint served; /* number of the image that is served */
	struct content *content; /* that image; server_swap() knows it without the threads */
	enum sandbox sandbox;
	pthread_barrier_t ready; /* all threads are in their sandboxes */
	atomic_bool stopping;
	atomic_ullong end; /* milliseconds at which replies must have ended, when stopping */
	unsigned int n_workers;
	struct worker *worker[];
};

/* ------------------------------------------------------------------- lists */

static void list_init(struct list *list)
{
	list->prev = list;
	list->next = list;
}

static bool list_empty(const struct list *list)
{
	return list->next == list;
}

static void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

static void list_append(struct list *list, struct list *node)
{
	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;
}

#define conn_of(list, member) ((struct conn *)((char *)(list)-offsetof(struct conn, member)))

/* ----------------------------------------------- phases, time-outs, limits */

static uint64_t milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* Bytes, our FIN included, that the client has not acknowledged. */
static int conn_unacked(const struct conn *c)
{
	int n = 0;

	return ioctl(c->fd, SIOCOUTQ, &n) ? 0 : n;
}

/* Enter @phase, or start its time anew when @progress was made in it. */
static void conn_enter(struct worker *w, struct conn *c, enum phase phase, bool progress)
{
	if (c->phase == phase && !progress)
		return;
	if (c->phase != phase && (phase == IDLE || c->phase == IDLE))
		atomic_fetch_add(&w->sheddable, phase == IDLE ? 1 : -1);
	if (c->phase != phase && (phase == SEND || phase == LINGER)) {
		c->acked = c->sent - conn_unacked(c);
		c->acked_at = w->now;
	}
	c->phase = phase;
	c->since = w->now;
	list_remove(&c->node);
	list_append(&w->queue[phase], &c->node);
}

static unsigned int timeout_of(const struct limits *l, enum phase phase)
{
	switch (phase) {
	case FIRST:
		return l->first_byte_timeout_ms;
	case HEAD:
		return l->header_timeout_ms;
	case IDLE:
		return l->idle_timeout_ms;
	case SEND:
		return l->send_timeout_ms;
	default:
		return l->linger_timeout_ms;
	}
}

static void conn_io(struct worker *w, struct conn *c, enum verdict verdict);

/* Each queue is in the order of time, so that only what has expired is looked at. */
static void worker_expire(struct worker *w)
{
	enum phase phase;
	struct conn *c;
	unsigned int n;

	for (phase = 0; phase < PHASES; phase++) {
		/* conn_io() may put it back at the end: look at none twice */
		for (n = w->n; n && !list_empty(&w->queue[phase]); n--) {
			c = conn_of(w->queue[phase].next, node);
			if (w->now - c->since < timeout_of(&w->srv->limits, phase))
				break;
			conn_io(w, c, EXPIRED);
		}
	}
}

/* Shed what was claimed, those that have been idle longest. */
static void worker_shed(struct worker *w)
{
	while (atomic_load(&w->sheds) > 0 && !list_empty(&w->queue[IDLE])) {
		atomic_fetch_sub(&w->sheds, 1);
		atomic_fetch_add(&w->sheddable, 1); /* it leaves now, and then is taken off */
		conn_io(w, conn_of(w->queue[IDLE].next, node), SHED);
	}
	if (!list_empty(&w->queue[IDLE]))
		atomic_store_explicit(&w->oldest, conn_of(w->queue[IDLE].next, node)->since,
				      memory_order_relaxed);
}

static void worker_kick(struct worker *w)
{
	uint64_t one = 1;

	/* It fails only when the counter is full, and then the thread is awake */
	if (write(w->wake, &one, sizeof(one)) < 0)
		return;
}

/*
 * Make room: the connection that has been idle longest, of all threads, is to go. Each is claimed
 * by one newcomer only. Should it get a request before its thread sheds it, the next one goes.
 */
static bool make_room(struct worker *w)
{
	struct worker *oldest, *other;
	uint64_t since, at;
	unsigned int i;
	int unclaimed;

	do {
		oldest = NULL;
		since = UINT64_MAX;
		for (i = 0; i < w->srv->n_workers; i++) {
			other = w->srv->worker[i];
			at = atomic_load_explicit(&other->oldest, memory_order_relaxed);
			if (atomic_load(&other->sheddable) > 0 && at < since) {
				since = at;
				oldest = other;
			}
		}
		if (!oldest)
			return false;
		unclaimed = atomic_fetch_sub(&oldest->sheddable, 1);
		if (unclaimed <= 0) /* somebody else was faster */
			atomic_fetch_add(&oldest->sheddable, 1);
	} while (unclaimed <= 0);
	atomic_fetch_add(&oldest->sheds, 1);
	if (oldest == w)
		worker_shed(w);
	else
		worker_kick(oldest);
	return true;
}

/* ------------------------------------------------------------------ accept */

static void conn_free(struct server *srv, struct conn *c)
{
	if (c->peer)
		peer_put(srv->peers, c->peer);
	close(c->fd);
	free(c);
	atomic_fetch_sub(&srv->conns, 1);
}

/* May it come in? One that was shed leaves a little later: the new one comes in on credit. */
static bool conn_admit(struct worker *w, struct conn *c, const struct sockaddr *address)
{
	struct server *srv = w->srv;
	unsigned int max = srv->limits.max_conns, n = atomic_load(&srv->conns);

	c->peer = peer_get(srv->peers, address, srv->limits.max_conns_per_ip);
	if (!c->peer)
		return false;
	return n <= max || (make_room(w) && n - max <= server_credit(&srv->limits));
}

static void conn_start(struct worker *w, int fd, const struct sockaddr *address)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event event = { EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET,
				     { .ptr = c } };

	if (!c) {
		close(fd);
		return;
	}
	atomic_fetch_add(&w->srv->conns, 1);
	c->fd = fd;
	memcpy(&c->address, address, sizeof(c->address));
	list_init(&c->again);
	list_init(&c->node);
	if (!conn_admit(w, c, address) || epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event)) {
		conn_free(w->srv, c);
		return;
	}
	w->n++;
	c->phase = FIRST;
	c->since = w->now;
	list_append(&w->queue[FIRST], &c->node);
	/* If its request is here already the first epoll_wait() reports it: adding looks */
}

static void worker_accept(struct worker *w)
{
	struct pollfd waiting = { .fd = w->listener, .events = POLLIN };
	struct sockaddr_storage address;
	unsigned int n = ACCEPTS, before;
	socklen_t len;
	int fd;

	w->accept_at = 0;
	while (n--) {
		before = w->n;
		len = sizeof(address);
		fd = accept4(w->listener, (struct sockaddr *)&address, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			conn_start(w, fd, (struct sockaddr *)&address);
			continue;
		}
		switch (errno) {
		case EAGAIN:
			return;
		case EMFILE:
		case ENFILE:
		case ENOBUFS:
		case ENOMEM:
			/*
			 * The kernel has told of it, and will not again: come back. It looks for
			 * a descriptor before it looks for a connection, so there may be none.
			 */
			if (poll(&waiting, 1, 0) == 1)
				make_room(w);
			/* Now if a descriptor is free; else each turn would cost one more */
			w->accept_at = w->now + (w->n < before ? 0 : TICK_MS);
			return;
		case EINVAL: /* as root can: ss --kill */
			warnx("a listener was closed from outside: its thread accepts nobody any more");
			return;
		case ECONNABORTED: /* it went while it waited */
		case EINTR:
			break;
		default: /* what the network may say of a new connection: accept(2) */
			w->accept_at = w->now + TICK_MS;
			return;
		}
	}
	w->accept_at = w->now;
}

/* -------------------------------------------------------------------- read */

static void tx_put(struct worker *w, struct conn *c)
{
	struct tx *tx = c->tx;

	c->tx = NULL;
	if (tx->content)
		content_put(tx->content);
	if (w->spare)
		free(tx);
	else
		w->spare = tx;
}

static bool tx_get(struct worker *w, struct conn *c)
{
	struct tx *tx = c->tx;

	if (tx)
		return true;
	tx = w->spare ? w->spare : malloc(sizeof(*tx));
	w->spare = NULL;
	if (!tx)
		return false;
	/* What these describe needs no cleaning */
	tx->n_vec = 0;
	tx->first = 0;
	tx->bytes = 0;
	tx->left = 0;
	tx->used = 0;
	tx->content = NULL;
	c->tx = tx;
	return true;
}

static bool tx_full(const struct tx *tx)
{
	return tx->content && (tx->left || tx->n_vec > 2 * (TX_REPLIES - 1) ||
			       TX_HEADS - tx->used < tx->content->site.longest_head);
}

static void tx_add(struct tx *tx, const void *p, size_t len)
{
	tx->vec[tx->n_vec].iov_base = (void *)p;
	tx->vec[tx->n_vec++].iov_len = len;
	tx->bytes += len;
}

static void worker_read_clock(struct worker *w)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	if (w->clock.seconds != t.tv_sec) {
		khttpd_date_format(w->clock.date, t.tv_sec);
		w->clock.seconds = t.tv_sec;
	}
}

/* ... and plan: put the reply to @req into c->tx, which has room for it. */
static void conn_answer(struct worker *w, struct conn *c, struct khttpd_request *req, bool last)
{
	const struct limits *l = &w->srv->limits;
	struct tx *tx = c->tx;
	char *head = tx->heads + tx->used;
	const struct khttpd_site *site;
	struct khttpd_reply reply;

	c->requests++;
	if (!tx->content)
		tx->content = content_get(w->content);
	site = &tx->content->site;
	if (last || (l->max_requests && c->requests >= l->max_requests))
		req->close = true;
	worker_read_clock(w);
	if (!khttpd_reply_plan(site, req, &w->clock, head, TX_HEADS - tx->used, &reply)) {
		/* Never: tx_full() leaves room for the longest head. But close if so. */
		c->closing = true;
		return;
	}
	if (w->log)
		log_reply(w->log, &w->clock, (const struct sockaddr *)&c->address, req, &reply);
	c->closing = reply.close;
	tx->used += reply.head_len;
	tx_add(tx, head, reply.head_len);
	/* Texts of errors are not in the image */
	if (reply.body_len >= FILE_MIN && reply.body >= site->image &&
	    reply.body < site->image + site->size) {
		tx->at = reply.body - site->image;
		tx->left = reply.body_len;
	} else if (reply.body_len) {
		tx_add(tx, reply.body, reply.body_len);
	}
}

/* End the request that is being read with an error of our own making. */
static void conn_fail(struct worker *w, struct conn *c, uint16_t status)
{
	struct khttpd_request req;

	khttpd_reader_fail(&c->reader, status, &req);
	conn_answer(w, c, &req, true);
}

/* Give the reader the buffer that it wants; its size is bounded by 2 * max_head. */
static bool conn_grow_buffer(struct conn *c)
{
	struct khttpd_reader *r = &c->reader;
	uint32_t size = BUFFER_MIN;
	char *buf;

	while (size < r->want)
		size *= 2;
	buf = realloc(r->buf, size);
	if (!buf)
		return false;
	r->buf = buf;
	r->buf_size = size;
	return true;
}

/* Feed @len bytes to the reader until all are taken or no further reply fits; how many it took. */
static size_t conn_feed(struct worker *w, struct conn *c, const char *data, size_t len, bool last)
{
	const struct limits *l = &w->srv->limits;
	struct khttpd_limits limits = { l->max_head, l->max_target, l->max_body };
	struct khttpd_request req;
	size_t done = 0, used;

	for (;;) {
		if (c->closing)
			return len;
		if (tx_full(c->tx))
			return done;
		switch (khttpd_reader_feed(&c->reader, &limits, data + done, len - done, &used,
					   &req)) {
		case KHTTPD_READ_MORE:
			return len;
		case KHTTPD_READ_BUFFER:
			done += used;
			if (!conn_grow_buffer(c))
				conn_fail(w, c, 503);
			break; /* it may have all that it needs: ask again */
		case KHTTPD_READ_REQUEST:
			done += used;
			conn_answer(w, c, &req, last);
			if (done == len)
				return done;
		}
	}
}

/* ------------------------------------------------------------------- write */

/* Send all of c->tx: 0, EAGAIN when the kernel has no room, or an error. */
static int conn_send(struct conn *c, bool *progress)
{
	struct tx *tx = c->tx;
	ssize_t n;

	while (tx->bytes) {
		struct iovec *vec = &tx->vec[tx->first];
		struct msghdr msg = { .msg_iov = vec, .msg_iovlen = tx->n_vec - tx->first };

		n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | (tx->left || c->closing ? MSG_MORE : 0));
		if (n < 0)
			return errno;
		*progress = true;
		c->sent += n;
		tx->bytes -= n;
		for (; tx->first < tx->n_vec && (size_t)n >= vec->iov_len; vec++, tx->first++)
			n -= vec->iov_len;
		if (tx->first < tx->n_vec) {
			vec->iov_base = (char *)vec->iov_base + n;
			vec->iov_len -= n;
		}
	}
	while (tx->left) {
		n = sendfile(c->fd, tx->content->fd, &tx->at, tx->left);
		if (n < 0)
			return errno;
		*progress = true;
		c->sent += n;
		tx->left -= n;
	}
	tx->n_vec = 0;
	tx->first = 0;
	tx->used = 0;
	if (tx->content)
		content_put(tx->content);
	tx->content = NULL;
	return 0;
}

/* --------------------------------------------------------- linger and close */

static void conn_close(struct worker *w, struct conn *c)
{
	list_remove(&c->again);
	list_remove(&c->node);
	if (c->phase == IDLE)
		atomic_fetch_sub(&w->sheddable, 1);
	/* Whoever goes by himself makes room as well: one less needs to be shed */
	if (!c->last && atomic_load(&w->sheds) > 0) {
		atomic_fetch_sub(&w->sheds, 1);
		atomic_fetch_add(&w->sheddable, 1);
	}
	w->n--;
	if (c->tx)
		tx_put(w, c);
	free(c->rest);
	free(c->reader.buf);
	conn_free(w->srv, c); /* closing takes it out of the epoll set */
}

/* Close with RST: the client takes nothing any more. */
static void conn_abort(struct worker *w, struct conn *c)
{
	struct linger at_once = { 1, 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	conn_close(w, c);
}

/* Throw input away: 0, EAGAIN when one turn was not enough for all of it, or an error. */
static int conn_discard(struct worker *w, struct conn *c)
{
	unsigned int n = RECEIVES;
	ssize_t len;

	while (!c->eof && n--) {
		len = recv(c->fd, w->buf, RECEIVE, 0);
		if (len < 0)
			return errno == EAGAIN ? 0 : errno;
		c->eof = !len;
		if (len < RECEIVE && !c->probe)
			return 0;
	}
	return c->eof ? 0 : EAGAIN;
}

/*
 * No more replies: shut our side, and read on until the client has closed its own and has got all,
 * or time is up. Closing with unread input would make the kernel send RST, and with that the client
 * loses what it has not read yet. And a socket that is closed earlier would leave our limits, but
 * not the kernel's memory. If @drained there is nothing to read before the next event.
 */
static void conn_linger(struct worker *w, struct conn *c, bool drained)
{
	int err = drained ? 0 : conn_discard(w, c);

	c->closing = true;
	free(c->rest);
	c->rest = NULL;
	if ((err && err != EAGAIN) || (c->eof && !conn_unacked(c))) {
		conn_close(w, c);
		return;
	}
	if (!c->shut) {
		c->shut = true;
		c->sent++; /* the FIN is acknowledged, too */
		shutdown(c->fd, SHUT_WR);
	}
	conn_enter(w, c, LINGER, false);
	if (err && list_empty(&c->again))
		list_append(&w->again, &c->again);
}

/*
 * Time is up in a phase that needs nothing from us. Start it anew while the client still takes what
 * it was sent; give it up when that has stood still for the send time-out, or for the shorter one
 * after a shedding. A client that lingers has the whole time after its last ACK.
 */
static void conn_expire(struct worker *w, struct conn *c, int unacked)
{
	unsigned int limit = timeout_of(&w->srv->limits, c->last ? LINGER : SEND);
	uint64_t acked = c->sent - unacked;
	bool moved = acked != c->acked;

	if (acked >= c->sent && c->phase != SEND && (c->phase != LINGER || !moved)) {
		conn_discard(w, c);
		conn_close(w, c);
	} else if (!moved && w->now - c->acked_at >= limit) {
		conn_abort(w, c);
	} else {
		if (moved)
			c->acked_at = w->now;
		c->acked = acked;
		conn_enter(w, c, c->phase, true);
	}
}

/* Reset those that have kept an old image for too long: see RETIRED_MAX. */
static void worker_retire(struct worker *w)
{
	unsigned int served = atomic_load_explicit(&w->srv->served, memory_order_relaxed);
	struct list *node = w->queue[SEND].next, *next;
	const struct content *content;
	struct conn *c;
	uint64_t at;

	if (content_count() <= RETIRED_MAX + 1)
		return;
	/* Who waits to send waits here: elsewhere nobody has a reply that is not sent */
	for (; node != &w->queue[SEND]; node = next) {
		next = node->next;
		c = conn_of(node, node);
		content = c->tx ? c->tx->content : NULL;
		if (!content || served - content->number <= RETIRED_MAX)
			continue;
		at = atomic_load_explicit(&content->replaced, memory_order_relaxed);
		if (at && w->now >= at + RETIRED_MS)
			conn_abort(w, c);
	}
}

/* --------------------------------------------------------------------- run */

/* An idle connection keeps neither the reply batch nor the request buffer. */
static void conn_trim(struct worker *w, struct conn *c)
{
	if (c->tx && !c->tx->bytes && !c->tx->left)
		tx_put(w, c);
	if (c->reader.buf && (c->closing || khttpd_reader_idle(&c->reader))) {
		free(c->reader.buf);
		c->reader.buf = NULL;
		c->reader.buf_size = 0;
		c->reader.want = 0;
	}
}

/* Keep @len bytes at @data, which lie in w->buf or in c->rest, for the next run. */
static bool conn_keep(struct conn *c, const char *data, size_t len)
{
	char *rest;

	if (!len) {
		free(c->rest);
		c->rest = NULL;
		return true;
	}
	if (data == c->rest && len == c->rest_len)
		return true;
	rest = malloc(len);
	if (!rest)
		return false;
	memcpy(rest, data, len);
	free(c->rest);
	c->rest = rest;
	c->rest_len = len;
	return true;
}

/* Wait for input, with the time-out that fits. */
static void conn_await(struct worker *w, struct conn *c, bool progress)
{
	if (!khttpd_reader_idle(&c->reader))
		conn_enter(w, c, HEAD, progress);
	else if (c->requests)
		conn_enter(w, c, IDLE, progress);
}

/* One run: answer what is there, within the budget. The connection may be gone afterwards. */
static void conn_io(struct worker *w, struct conn *c, enum verdict verdict)
{
	bool last = verdict == SHED || c->last || w->end, progress = false;
	bool drained = false, all = false;
	const char *in = c->rest;
	size_t in_len = c->rest ? c->rest_len : 0, took;
	unsigned int budget = BUDGET, receives = RECEIVES;
	uint32_t before = c->requests;
	ssize_t n;
	int err;

	if (verdict == EXPIRED && c->phase >= IDLE) {
		/* Asked once: with the last ACK the next request may come */
		err = conn_unacked(c);
		if (err || c->phase != IDLE) {
			conn_expire(w, c, err);
			return;
		}
	}
	list_remove(&c->again);
	c->last |= verdict == SHED;
	for (;;) {
		if (c->tx) {
			err = conn_send(c, &progress);
			if (progress)
				c->acked_at = w->now;
			if (err == EAGAIN) {
				if (!conn_keep(c, in, in_len))
					conn_close(w, c);
				else
					conn_enter(w, c, SEND, progress);
				return;
			}
			if (err) {
				conn_close(w, c);
				return;
			}
		}
		if (c->closing) {
			conn_trim(w, c);
			conn_linger(w, c, drained || all);
			return;
		}
		if (all)
			break;
		if (!budget-- || !receives || !tx_get(w, c)) {
			if (!conn_keep(c, in, in_len) || !c->tx) {
				conn_close(w, c);
				return;
			}
			conn_await(w, c, c->requests != before);
			list_append(&w->again, &c->again);
			return;
		}
		while (!c->closing) {
			if (!in_len) {
				all = drained;
				if (all || !receives)
					break;
				receives--;
				n = c->eof ? 0 : recv(c->fd, w->buf, RECEIVE, 0);
				if (n < 0 && errno != EAGAIN) {
					conn_close(w, c);
					return;
				}
				c->eof = !n;
				all = n <= 0;
				if (all)
					break;
				drained = n < RECEIVE && !c->probe;
				in = w->buf;
				in_len = n;
			}
			took = conn_feed(w, c, in, in_len, last);
			in += took;
			in_len -= took;
			if (in_len)
				break; /* the batch is full */
		}
		/* A request that has come counts: it was we who had no time to read it. */
		if (verdict == EXPIRED && c->requests != before)
			verdict = STAY;
		/* Here the head of a request has come, but not in time. */
		if (all && verdict != STAY && !c->closing && !khttpd_reader_idle(&c->reader))
			conn_fail(w, c, verdict == EXPIRED ? 408 : 503);
	}
	conn_keep(c, NULL, 0);
	conn_trim(w, c);
	/* All was taken and answered: wait for more, or end if somebody wants that. */
	if (!c->eof && !((last || verdict == EXPIRED) && khttpd_reader_idle(&c->reader)))
		conn_await(w, c, c->requests != before);
	else if (conn_unacked(c))
		conn_linger(w, c, all);
	else
		conn_close(w, c);
}

/* ------------------------------------------------------------------ thread */

/* server_swap() has left something, or server_stop() was called. */
static void worker_wake(struct worker *w)
{
	unsigned int last_calls = LAST_CALLS;
	struct content *content;
	uint64_t count;

	if (read(w->wake, &count, sizeof(count)) < 0)
		return;
	content = atomic_exchange(&w->next, NULL);
	if (content) {
		content_put(w->content);
		w->content = content;
	}
	if (!atomic_load(&w->srv->stopping) || w->end)
		return;
	/* Who has been let in by the kernel already is not turned away */
	do
		worker_accept(w);
	while (w->accept_at == w->now && last_calls--);
	w->end = atomic_load(&w->srv->end);
	close(w->listener);
	w->listener = -1;
	w->accept_at = 0;
	/* Those that wait for a request leave; whoever has begun one gets his last reply */
	while (!list_empty(&w->queue[FIRST]))
		conn_io(w, conn_of(w->queue[FIRST].next, node), SHED);
	while (!list_empty(&w->queue[IDLE]))
		conn_io(w, conn_of(w->queue[IDLE].next, node), SHED);
}

/* Those that stopped because their turn was over. They may do so again: not in this round. */
static void worker_go_on(struct worker *w)
{
	struct list round;

	if (list_empty(&w->again))
		return;
	round = w->again;
	round.next->prev = &round;
	round.prev->next = &round;
	list_init(&w->again);
	while (!list_empty(&round))
		conn_io(w, conn_of(round.next, again), STAY);
}

static int worker_timeout(const struct worker *w)
{
	if (!list_empty(&w->again) || (w->accept_at && w->accept_at <= w->now))
		return 0;
	return w->n || w->accept_at || w->end ? TICK_MS : -1;
}

static void worker_turn(struct worker *w)
{
	struct epoll_event events[EVENTS];
	bool accept = false, wake = false;
	int i, n = epoll_wait(w->epoll, events, EVENTS, worker_timeout(w));
	struct conn *c;

	w->now = milliseconds();
	/*
	 * A connection that is closed here may have a later event in this array only if somebody
	 * else closes it. Accepting does that, to make room, and so do time-outs: they come last.
	 */
	for (i = 0; i < n; i++) {
		if (events[i].data.ptr == &w->listener) {
			accept = true;
			continue;
		}
		if (events[i].data.ptr == &w->wake) {
			wake = true;
			continue;
		}
		c = events[i].data.ptr;
		if (events[i].events & EPOLLERR) { /* reset: nobody takes a reply */
			conn_close(w, c);
			continue;
		}
		if (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLPRI))
			c->probe = true;
		conn_io(w, c, STAY);
	}
	worker_go_on(w);
	if (wake)
		worker_wake(w);
	if (!w->end && (accept || (w->accept_at && w->accept_at <= w->now)))
		worker_accept(w);
	if (w->now - w->tick >= TICK_MS) {
		w->tick = w->now;
		worker_expire(w);
		worker_retire(w);
	}
	worker_shed(w);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	enum phase phase;

	if (!sandbox_worker(w->srv->sandbox))
		_exit(EXIT_FAILURE);
	pthread_barrier_wait(&w->srv->ready);
	while (!w->end || (w->n && w->now < w->end))
		worker_turn(w);
	for (phase = 0; phase < PHASES; phase++)
		while (!list_empty(&w->queue[phase]))
			conn_abort(w, conn_of(w->queue[phase].next, node));
	return NULL;
}

/* ------------------------------------------------------------------ server */

/*
 * The first listener binds before SO_REUSEPORT is set: so a port in use is an error, and nobody
 * shares it by accident.
 */
static int listener_open(const struct server_config *config, bool first)
{
	const struct sockaddr *address = (const struct sockaddr *)&config->address;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, off = 0, unsent = UNSENT_MAX;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Accepted sockets inherit what follows. What we send is ready to go ... */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* ... HTTP knows no urgent data: such a byte is one like any other, in its place ... */
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	/*
	 * ... and without this the kernel takes megabytes at once, and whoever is still receiving
	 * them would be idle for us.
	 */
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	if (address->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if ((first || !setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on))) &&
	    !bind(fd, address, sizeof(config->address)) &&
	    !setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) &&
	    !listen(fd, config->backlog))
		return fd;
	close(fd);
	return -1;
}

/* Its thread has ended, or was never started. */
static void worker_free(struct worker *w)
{
	struct content *missed = atomic_exchange(&w->next, NULL);

	if (missed)
		content_put(missed);
	content_put(w->content);
	if (w->listener >= 0)
		close(w->listener);
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->wake >= 0)
		close(w->wake);
	free(w->spare);
	free(w);
}

static bool worker_open(struct worker *w, const struct server_config *config, bool first)
{
	struct epoll_event event = { EPOLLIN | EPOLLET, { .ptr = NULL } };

	if (config->log) {
		w->log = log_ring(config->log);
		if (!w->log)
			return false;
	}
	w->listener = listener_open(config, first);
	if (w->listener < 0)
		return false;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->epoll < 0 || w->wake < 0)
		return false;
	event.data.ptr = &w->listener;
	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->listener, &event))
		return false;
	event.data.ptr = &w->wake;
	return !epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &event);
}

static struct worker *worker_new(struct server *srv, struct content *content)
{
	struct worker *w = calloc(1, sizeof(*w));
	enum phase phase;

	if (!w)
		return NULL;
	w->srv = srv;
	w->content = content_get(content);
	w->listener = -1;
	w->epoll = -1;
	w->wake = -1;
	w->now = milliseconds();
	list_init(&w->again);
	for (phase = 0; phase < PHASES; phase++)
		list_init(&w->queue[phase]);
	return w;
}

static void server_free(struct server *srv)
{
	while (srv->n_workers)
		worker_free(srv->worker[--srv->n_workers]);
	if (srv->peers)
		peers_free(srv->peers);
	free(srv);
}

struct server *server_open(const struct server_config *config)
{
	struct server *srv = calloc(1, sizeof(*srv) + config->threads * sizeof(*srv->worker));
	bool first, good;
	struct worker *w;
	int error;

	if (!srv)
		return NULL;
	srv->limits = config->limits;
	srv->sandbox = config->sandbox;
	srv->content = config->content;
	srv->peers = peers_new();
	good = srv->peers;
	while (good && srv->n_workers < config->threads) {
		first = !srv->n_workers;
		w = worker_new(srv, config->content);
		if (w)
			srv->worker[srv->n_workers++] = w;
		good = w && worker_open(w, config, first);
	}
	if (good) {
		content_put(config->content);
		return srv;
	}
	error = errno;
	server_free(srv);
	errno = error;
	return NULL;
}

bool server_run(struct server *srv)
{
	unsigned int i;

	errno = pthread_barrier_init(&srv->ready, NULL, srv->n_workers + 1);
	if (errno)
		return false;
	for (i = 0; i < srv->n_workers; i++) {
		errno = pthread_create(&srv->worker[i]->thread, NULL, worker_main, srv->worker[i]);
		if (errno)
			return false;
	}
	pthread_barrier_wait(&srv->ready);
	return true;
}

void server_swap(struct server *srv, struct content *content)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t end = milliseconds() + SWAP_MS;
	unsigned int i;
	struct content *missed;

	/* The old one lives: threads have it, or will find it in @next */
	atomic_store(&srv->content->replaced, milliseconds());
	content->number = atomic_fetch_add(&srv->served, 1) + 1;
	srv->content = content;
	for (i = 0; i < srv->n_workers; i++) {
		missed = atomic_exchange(&srv->worker[i]->next, content_get(content));
		if (missed)
			content_put(missed);
		worker_kick(srv->worker[i]);
	}
	content_put(content);
	/* Who is told that it is served shall get it, on a connection that he has, too */
	for (i = 0; i < srv->n_workers && milliseconds() < end;) {
		while (i < srv->n_workers && !atomic_load(&srv->worker[i]->next))
			i++;
		if (i < srv->n_workers)
			nanosleep(&pause, NULL);
	}
}

void server_stop(struct server *srv, unsigned int ms)
{
	unsigned int i;

	atomic_store(&srv->end, milliseconds() + ms);
	atomic_store(&srv->stopping, true);
	for (i = 0; i < srv->n_workers; i++)
		worker_kick(srv->worker[i]);
	/* To make room a thread looks at all others: until the last one has ended */
	for (i = 0; i < srv->n_workers; i++)
		pthread_join(srv->worker[i]->thread, NULL);
	pthread_barrier_destroy(&srv->ready);
	server_free(srv);
}
