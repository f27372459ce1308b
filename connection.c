// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Connections: socket callbacks queue a connection's one work, which alone reads, writes and
 * closes it. The shape is nvmet-tcp's (drivers/nvme/target/tcp.c).
 *
 * Who may touch a connection, and until when:
 *  - its work (process context, never on two CPUs at once) owns all that has no lock below;
 *  - the socket's callbacks (softirq or process context, socket locked) find it by sk_user_data
 *    under sk_callback_lock and only queue its work;
 *  - sweep, shedding and stop (process context) find it in its shard's queues under the shard's
 *    lock, and only set a verdict and queue its work.
 * conn_close() takes it out of both places, each under its lock; after that nobody can find it,
 * and it is freed. Nothing of ours hangs on an skb: bodies are sent by page reference.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/net.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "compat/compat.h"
#include "connection.h"
#include "core/response.h"
#include "stats.h"

#define CONN_BUDGET 4 /* batches of replies per run of a connection's work */
#define CONN_SWEEP_MS 100 /* how often time-outs are looked at */
#define CONN_JUDGE_MAX 256 /* connections judged before the shard's lock is let go */
#define CONN_PAGES_MIN 16384 /* bodies from this size on go by page reference */
#define CONN_BUFFER_MIN 1024 /* first size of a request buffer */

#define TX_REPLIES 16 /* replies that one send carries */
#define TX_SIZE 8192

/**
 * struct conn_tx - replies on their way out; exists only while there are some
 * @vec: heads and small bodies in order, two entries a reply at most
 * @n_vec: entries in use
 * @first: first entry that TCP has not taken whole
 * @bytes: bytes in @vec that TCP has not taken
 * @pages: a large body after them, in the vmalloc area
 * @pages_left: bytes of it that TCP has not taken
 * @used: bytes in use at @heads
 * @content: what the replies come from; NULL while there are none
 * @req: the request that is being read or answered; here because it is large for a stack
 * @heads: where the replies' heads are written
 */
struct conn_tx {
	struct kvec vec[2 * TX_REPLIES];
	u32 n_vec;
	u32 first;
	size_t bytes;
	const u8 *pages;
	u64 pages_left;
	u32 used;
	struct khttpd_content *content;
	struct khttpd_request req;
	char heads[];
};

#define TX_HEADS (TX_SIZE - sizeof(struct conn_tx))
static_assert(TX_HEADS >= KHTTPD_MAX_REPLY_HEAD);

/**
 * struct khttpd_conn - one accepted socket
 * @io: the work; queued by whoever wants something done
 * @sock: the socket, owned
 * @shard: where it was accepted
 * @node: in @shard->queue
 * @since: jiffies at which @phase was entered or made progress
 * @phase: enum conn_phase
 * @verdict: enum conn_verdict; read by the work without the lock
 * @closing: the last reply was planned; all further input is thrown away
 * @shut: and our side of the connection was shut
 * @last: it was shed: the next reply is the last
 * @una: the first byte that the peer had not acknowledged when @phase was entered last
 * @una_at: jiffies since when it is that one
 * @requests: replies planned so far; the work writes it, a dump reads it
 * @bytes: given to TCP so far; likewise
 * @began: jiffies at which it was accepted
 * @all: in @shard->all
 * @peer: its address's counter
 * @tx: NULL unless replies wait to be taken by TCP
 * @reader: HTTP reading position
 */
struct khttpd_conn {
	struct work_struct io;
	struct socket *sock;
	struct khttpd_shard *shard;
	struct list_head node;
	unsigned long since;
	u8 phase;
	u8 verdict;
	bool closing;
	bool shut;
	bool last;
	u32 una;
	unsigned long una_at;
	u32 requests;
	u64 bytes;
	unsigned long began;
	struct khttpd_conn_node all;
	struct khttpd_peer *peer;
	struct conn_tx *tx;
	struct khttpd_reader reader;
};

/* Why reading stopped with input left in the socket. */
enum conn_rx_stop {
	CONN_RX_ALL, /* it did not: all was taken */
	CONN_RX_FULL, /* no room for another reply in this batch */
	CONN_RX_BUFFER, /* the reader wants a larger buffer: see conn_wants_buffer() */
};

/* What one run of the work carries through read_sock() to the actor. */
struct conn_rx {
	struct khttpd_conn *c;
	struct khttpd_limits limits;
	bool last; /* the next reply is the connection's last */
	u8 stop; /* enum conn_rx_stop */
	u32 planned; /* replies planned in this run */
	struct khttpd_clock clock; /* valid once a reply was planned */
};

/* What conn_io() does after conn_run() has let go of the socket. */
enum conn_next {
	CONN_WAIT, /* a callback, the sweep or a stop will queue the work */
	CONN_AGAIN, /* the budget is spent: back to the end of the queue */
	CONN_CLOSE,
	CONN_ABORT, /* close with RST: the peer takes nothing any more */
};

static struct kmem_cache *conn_cache;
static struct kmem_cache *conn_tx_cache;

/*
 * One batch is kept for each CPU, because most runs need one for a moment and the allocator
 * would zero it each time (init_on_alloc). Exchanged atomically, by works and at module exit.
 */
static DEFINE_PER_CPU(struct conn_tx *, conn_tx_spare);

/* The date is written once a second and CPU. Process context; preemption off while in use. */
static DEFINE_PER_CPU(struct khttpd_clock, conn_clock);

int khttpd_conn_caches_create(void)
{
	conn_cache = kmem_cache_create("khttpd_conn", sizeof(struct khttpd_conn), 0, 0, NULL);
	conn_tx_cache = kmem_cache_create("khttpd_conn_tx", TX_SIZE, 0, 0, NULL);
	if (conn_cache && conn_tx_cache)
		return 0;
	khttpd_conn_caches_destroy();
	return -ENOMEM;
}

void khttpd_conn_caches_destroy(void)
{
	struct conn_tx **spare;
	int cpu;

	for_each_possible_cpu(cpu) {
		spare = per_cpu_ptr(&conn_tx_spare, cpu);
		if (*spare)
			kmem_cache_free(conn_tx_cache, *spare);
		*spare = NULL;
	}
	kmem_cache_destroy(conn_tx_cache);
	kmem_cache_destroy(conn_cache);
}

/* ------------------------------------------------------------------ waking */

static void conn_kick(struct khttpd_conn *c)
{
	int cpu = READ_ONCE(c->sock->sk->sk_incoming_cpu);

	queue_work_on(cpu < 0 ? WORK_CPU_UNBOUND : cpu, c->shard->srv->wq, &c->io);
}

static void conn_data_ready(struct sock *sk)
{
	struct khttpd_conn *c;

	compat_trace_data_ready(sk);
	read_lock_bh(&sk->sk_callback_lock);
	c = sk->sk_user_data;
	if (c)
		conn_kick(c);
	read_unlock_bh(&sk->sk_callback_lock);
}

/* TCP calls this with each ACK once a send has run out of room; queue only if there is room. */
static void conn_write_space(struct sock *sk)
{
	struct khttpd_conn *c;

	read_lock_bh(&sk->sk_callback_lock);
	c = sk->sk_user_data;
	if (c && sk_stream_is_writeable(sk)) {
		clear_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
		conn_kick(c);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

static void conn_state_change(struct sock *sk)
{
	struct khttpd_conn *c;

	/* Our own FIN was acknowledged; only the peer's, or a reset, is news. */
	if (sk->sk_state == TCP_FIN_WAIT2)
		return;
	read_lock_bh(&sk->sk_callback_lock);
	c = sk->sk_user_data;
	if (c)
		conn_kick(c);
	read_unlock_bh(&sk->sk_callback_lock);
}

/* ------------------------------------------------- phases, time-outs, limits */

/*
 * Enter @phase, or start its time anew when @progress was made in it. The work alone changes
 * phases; doing so voids a verdict that others reached on the old one. Once the shard stops, the
 * work must run again.
 *
 * A connection that was shed has been replaced by a newcomer already, so it still goes: after its
 * next reply, or at once, by the run that the verdict has queued, if it would be idle. To make it
 * idle again would let it be shed for a second newcomer.
 *
 * Nothing is done twice in a jiffy: a verdict that came within it has queued the work once more.
 */
static void conn_enter(struct khttpd_conn *c, enum conn_phase phase, bool progress)
{
	struct khttpd_shard *shard = c->shard;
	u32 una = tcp_sk(c->sock->sk)->snd_una;

	if (c->phase == phase && (!progress || !time_after(jiffies, c->since)))
		return;
	if (c->phase != phase || c->una != una) {
		c->una = una;
		c->una_at = jiffies;
	}
	spin_lock(&shard->lock);
	if (c->verdict == CONN_SHED && phase == CONN_IDLE) {
		spin_unlock(&shard->lock);
		return;
	}
	c->phase = phase;
	c->since = jiffies;
	if (c->verdict != CONN_STAY) {
		c->last |= c->verdict == CONN_SHED;
		WRITE_ONCE(c->verdict, CONN_STAY);
	}
	list_move_tail(&c->node, &shard->queue[phase]);
	if (shard->stopping)
		conn_kick(c);
	spin_unlock(&shard->lock);
}

/* The shard's lock is held, so the connection cannot go before its work is queued. */
static void conn_judge(struct khttpd_conn *c, enum conn_verdict verdict)
{
	lockdep_assert_held(&c->shard->lock);
	WRITE_ONCE(c->verdict, verdict);
	list_move_tail(&c->node, &c->shard->queue[CONN_LEAVING]);
	conn_kick(c);
}

static unsigned int conn_timeout_ms(enum conn_phase phase)
{
	switch (phase) {
	case CONN_FIRST:
		return READ_ONCE(khttpd_params.first_byte_timeout_ms);
	case CONN_HEAD:
		return READ_ONCE(khttpd_params.header_timeout_ms);
	case CONN_IDLE:
		return READ_ONCE(khttpd_params.idle_timeout_ms);
	case CONN_SEND:
		return READ_ONCE(khttpd_params.send_timeout_ms);
	default:
		return READ_ONCE(khttpd_params.linger_timeout_ms);
	}
}

/* Judge what has expired in the queue of @phase; false if there may be more. */
static bool shard_expire(struct khttpd_shard *shard, enum conn_phase phase)
{
	unsigned long limit = msecs_to_jiffies(conn_timeout_ms(phase));
	unsigned int budget = CONN_JUDGE_MAX;
	struct khttpd_conn *c, *tmp;

	lockdep_assert_held(&shard->lock);
	list_for_each_entry_safe(c, tmp, &shard->queue[phase], node) {
		if (time_before(jiffies, c->since + limit))
			return true; /* the rest entered later */
		if (!budget--)
			return false;
		conn_judge(c, CONN_EXPIRED);
	}
	return true;
}

static void shard_sweep(struct work_struct *work)
{
	struct khttpd_shard *shard = container_of(work, struct khttpd_shard, sweep.work);
	enum conn_phase phase = 0;
	bool again;

	while (phase < CONN_PHASES) {
		spin_lock(&shard->lock);
		if (shard_expire(shard, phase))
			phase++;
		spin_unlock(&shard->lock);
		cond_resched();
	}
	spin_lock(&shard->lock);
	again = shard->conns;
	spin_unlock(&shard->lock);
	if (again)
		queue_delayed_work(shard->srv->wq, &shard->sweep, msecs_to_jiffies(CONN_SWEEP_MS));
}

static struct khttpd_conn *shard_longest_idle(struct khttpd_shard *shard)
{
	lockdep_assert_held(&shard->lock);
	return list_first_entry_or_null(&shard->queue[CONN_IDLE], struct khttpd_conn, node);
}

/* Make room: the connection that has been idle longest, of all shards, is to close. */
static bool conn_shed(struct khttpd_server *srv)
{
	struct khttpd_shard *shard, *oldest = NULL;
	unsigned long since = 0;
	struct khttpd_conn *c;
	unsigned int i;

	for (i = 0; i < srv->n_shards; i++) {
		shard = &srv->shard[i];
		spin_lock(&shard->lock);
		c = shard_longest_idle(shard);
		if (c && (!oldest || time_before(c->since, since))) {
			oldest = shard;
			since = c->since;
		}
		spin_unlock(&shard->lock);
	}
	if (!oldest)
		return false;
	spin_lock(&oldest->lock);
	c = shard_longest_idle(oldest);
	if (c)
		conn_judge(c, CONN_SHED);
	spin_unlock(&oldest->lock);
	if (c)
		khttpd_count(KHTTPD_STAT_SHED, 1);
	return c;
}

void khttpd_shard_init(struct khttpd_shard *shard, struct khttpd_server *srv)
{
	int phase;

	shard->srv = srv;
	spin_lock_init(&shard->lock);
	for (phase = 0; phase <= CONN_LEAVING; phase++)
		INIT_LIST_HEAD(&shard->queue[phase]);
	INIT_LIST_HEAD(&shard->all);
	INIT_DELAYED_WORK(&shard->sweep, shard_sweep);
}

/*
 * Every connection's work runs at least once after @stopping is set: those in a phase's queue
 * are kicked here, those with a verdict have been kicked, and a work that is running and has
 * not seen the flag either leaves the connection where it was or passes conn_enter().
 */
void khttpd_shard_stop(struct khttpd_shard *shard)
{
	unsigned int budget;
	struct khttpd_conn *c;
	int phase = 0;

	spin_lock(&shard->lock);
	WRITE_ONCE(shard->stopping, true);
	while (phase < CONN_PHASES) {
		for (budget = CONN_JUDGE_MAX; budget; budget--) {
			c = list_first_entry_or_null(&shard->queue[phase], struct khttpd_conn,
						     node);
			if (!c)
				break;
			conn_judge(c, CONN_EXPIRED);
		}
		if (budget)
			phase++;
		spin_unlock(&shard->lock);
		cond_resched();
		spin_lock(&shard->lock);
	}
	spin_unlock(&shard->lock);
}

/* ------------------------------------------------------------------ listing */

void khttpd_conns_begin(struct khttpd_conns_cursor *cur, struct khttpd_server *srv)
{
	struct khttpd_shard *shard = &srv->shard[0];

	cur->srv = srv;
	cur->i = 0;
	cur->began = jiffies;
	cur->node.conn = NULL;
	spin_lock(&shard->lock);
	list_add(&cur->node.list, &shard->all);
	spin_unlock(&shard->lock);
}

static void conn_describe(struct khttpd_conn *c, void *arg)
{
	const struct sock *sk = c->sock->sk;
	struct khttpd_conn_info *info = arg;
	unsigned long now = jiffies; /* once: it must not be quiet for longer than it is there */

	info->family = sk->sk_family;
	info->address.s6_addr32[0] = sk->sk_daddr;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		info->address = sk->sk_v6_daddr;
	if (sk->sk_family == AF_INET6 && ipv6_addr_v4mapped(&info->address)) {
		info->family = AF_INET;
		info->address.s6_addr32[0] = info->address.s6_addr32[3];
	}
#endif
	info->port = ntohs(sk->sk_dport);
	info->phase = c->phase;
	info->age_ms = jiffies_to_msecs(now - c->began);
	info->quiet_ms = jiffies_to_msecs(now - c->since);
	info->requests = READ_ONCE(c->requests);
	info->bytes = READ_ONCE(c->bytes);
}

/* Call @look for the next connection, if there is one, with the lock of its shard held. */
static bool conns_next(struct khttpd_conns_cursor *cur,
		       void (*look)(struct khttpd_conn *c, void *arg), void *arg)
{
	struct khttpd_shard *shard = &cur->srv->shard[cur->i];
	struct khttpd_conn_node *next;

	spin_lock(&shard->lock);
	for (;;) {
		next = list_next_entry(&cur->node, list);
		/* Those that came later are behind all others: the listing must end */
		if (!list_is_last(&cur->node.list, &shard->all) &&
		    !(next->conn && time_after(next->conn->began, cur->began))) {
			list_move(&cur->node.list, &next->list);
			if (!next->conn)
				continue; /* somebody else's cursor */
			look(next->conn, arg);
			spin_unlock(&shard->lock);
			return true;
		}
		if (cur->i + 1 == cur->srv->n_shards) {
			spin_unlock(&shard->lock);
			return false;
		}
		list_del(&cur->node.list);
		spin_unlock(&shard->lock);
		shard = &cur->srv->shard[++cur->i];
		spin_lock(&shard->lock);
		list_add(&cur->node.list, &shard->all);
	}
}

bool khttpd_conns_next(struct khttpd_conns_cursor *cur, struct khttpd_conn_info *info)
{
	return conns_next(cur, conn_describe, info);
}

static void conn_cut(struct khttpd_conn *c, void *arg)
{
	if (c->phase == CONN_SEND)
		conn_kick(c); /* conn_run() looks where its reply comes from */
}

static void conns_cut(struct work_struct *work)
{
	struct khttpd_server *srv = container_of(work, struct khttpd_server, cut.work);
	struct khttpd_conns_cursor cur;

	khttpd_conns_begin(&cur, srv);
	while (conns_next(&cur, conn_cut, NULL))
		cond_resched();
	khttpd_conns_end(&cur);
	khttpd_conns_cut_later(srv);
}

void khttpd_conns_cut_init(struct khttpd_server *srv)
{
	INIT_DELAYED_WORK(&srv->cut, conns_cut);
}

void khttpd_conns_cut_later(struct khttpd_server *srv)
{
	/*
	 * Does nothing when it is queued already: a swap a second shall not put it off for ever.
	 * Not on the connections' own queue, where so long a scan would make them wait.
	 */
	if (atomic_read(&srv->contents.n) > KHTTPD_RETIRED_MAX + 1)
		queue_delayed_work(srv->contents.wq, &srv->cut,
				   msecs_to_jiffies(KHTTPD_RETIRED_MS) + 1);
}

void khttpd_conns_end(struct khttpd_conns_cursor *cur)
{
	struct khttpd_shard *shard = &cur->srv->shard[cur->i];

	spin_lock(&shard->lock);
	list_del(&cur->node.list);
	spin_unlock(&shard->lock);
}

/* ------------------------------------------------------------ start and end */

static struct khttpd_conn *conn_alloc(struct khttpd_shard *shard)
{
	struct khttpd_conn *c = kmem_cache_zalloc(conn_cache, GFP_KERNEL | __GFP_NOWARN);

	if (!c)
		return NULL;
	c->shard = shard;
	atomic_inc(&shard->srv->conns);
	return c;
}

/* The only place that uncounts, so that no error path can leak a count. */
static void conn_free(struct khttpd_conn *c)
{
	struct khttpd_server *srv = c->shard->srv;

	if (c->peer)
		khttpd_peer_put(&srv->peers, c->peer);
	kmem_cache_free(conn_cache, c);
	/* The server stays until this work has ended: khttpd_server_stop() destroys the queue. */
	if (atomic_dec_and_test(&srv->conns))
		wake_up(&srv->drained);
}

static int conn_admit(struct khttpd_conn *c, const struct sock *sk)
{
	struct khttpd_server *srv = c->shard->srv;
	int max = READ_ONCE(khttpd_params.max_conns);
	struct khttpd_peer *peer;
	int over;

	peer = khttpd_peer_get(&srv->peers, sk, READ_ONCE(khttpd_params.max_conns_per_ip));
	if (IS_ERR(peer)) {
		if (PTR_ERR(peer) == -EBUSY)
			pr_warn_ratelimited("a peer reached max_conns_per_ip\n");
		khttpd_count(PTR_ERR(peer) == -EBUSY ? KHTTPD_STAT_REFUSED_PEER :
						       KHTTPD_STAT_REFUSED_MEMORY,
			     1);
		return PTR_ERR(peer);
	}
	c->peer = peer;

	over = atomic_read(&srv->conns) - max;
	if (over <= 0)
		return 0;
	pr_warn_ratelimited("max_conns reached\n");
	/*
	 * The one that is shed leaves a little later, and not before it has answered what it was
	 * asked meanwhile: the new one comes in on credit, and the credit is limited. Beyond it,
	 * as after max_conns was lowered, one still goes but none comes.
	 */
	if (conn_shed(srv) && over <= max / 16 + 16)
		return 0;
	khttpd_count(KHTTPD_STAT_REFUSED_CONNS, 1);
	return -EBUSY;
}

static void conn_tx_put(struct khttpd_conn *c)
{
	struct conn_tx *tx;

	if (c->tx->content)
		khttpd_content_put(c->tx->content);
	tx = this_cpu_xchg(conn_tx_spare, c->tx);
	c->tx = NULL;
	if (tx)
		kmem_cache_free(conn_tx_cache, tx);
}

static void conn_io(struct work_struct *work);

int khttpd_conn_start(struct khttpd_shard *shard, struct socket *sock)
{
	struct khttpd_conn *c = conn_alloc(shard);
	struct sock *sk = sock->sk;
	int err;

	if (!c) {
		khttpd_count(KHTTPD_STAT_REFUSED_MEMORY, 1);
		return -ENOMEM;
	}
	err = conn_admit(c, sk);
	if (err) {
		conn_free(c);
		return err;
	}
	c->sock = sock;
	INIT_WORK(&c->io, conn_io);

	/* Whoever finds the connection once it is in the queue, its work waits for this lock. */
	lock_sock(sk);
	if (sk->sk_user_data) { /* a BPF program put it into a sockmap before accept */
		release_sock(sk);
		conn_free(c);
		pr_warn_ratelimited("refusing a socket that BPF has taken\n");
		return -EBUSY;
	}
	spin_lock(&shard->lock);
	c->phase = CONN_FIRST;
	c->since = jiffies;
	c->began = c->since;
	list_add_tail(&c->node, &shard->queue[CONN_FIRST]);
	c->all.conn = c;
	list_add_tail(&c->all.list, &shard->all);
	if (!shard->conns++)
		queue_delayed_work(shard->srv->wq, &shard->sweep, msecs_to_jiffies(CONN_SWEEP_MS));
	spin_unlock(&shard->lock);

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_user_data = c;
	WRITE_ONCE(sk->sk_data_ready, conn_data_ready);
	WRITE_ONCE(sk->sk_write_space, conn_write_space);
	WRITE_ONCE(sk->sk_state_change, conn_state_change);
	write_unlock_bh(&sk->sk_callback_lock);
	/* Bytes, FIN or RST that came before the callbacks; what comes later calls them. */
	if (!skb_queue_empty(&sk->sk_receive_queue) || sk->sk_state != TCP_ESTABLISHED)
		conn_kick(c);
	release_sock(sk);
	khttpd_count(KHTTPD_STAT_ACCEPTED, 1);
	return 0;
}

/*
 * End of a connection, from its own work and with the socket unlocked. After the first block no
 * callback can find it, after the second no sweep, shed or stop; a last queueing by either is
 * cancelled, and the work that runs here touches it no more.
 */
static void conn_close(struct khttpd_conn *c)
{
	struct khttpd_shard *shard = c->shard;
	struct khttpd_server *srv = shard->srv;
	struct sock *sk = c->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_user_data = NULL;
	WRITE_ONCE(sk->sk_data_ready, srv->data_ready);
	WRITE_ONCE(sk->sk_write_space, srv->write_space);
	WRITE_ONCE(sk->sk_state_change, srv->state_change);
	write_unlock_bh(&sk->sk_callback_lock);

	spin_lock(&shard->lock);
	list_del(&c->node);
	list_del(&c->all.list);
	shard->conns--;
	spin_unlock(&shard->lock);

	cancel_work(&c->io);
	sock_release(c->sock);
	if (c->tx)
		conn_tx_put(c);
	kfree(c->reader.buf);
	conn_free(c);
	khttpd_count(KHTTPD_STAT_CLOSED, 1);
}

/* ----------------------------------------------------------------- planning */

static void conn_read_clock(struct khttpd_clock *clock)
{
	struct khttpd_clock *cached = get_cpu_ptr(&conn_clock);
	s64 now = ktime_get_real_seconds();

	if (cached->seconds != now) {
		khttpd_date_format(cached->date, now);
		cached->seconds = now;
	}
	*clock = *cached;
	put_cpu_ptr(&conn_clock);
}

static bool conn_tx_full(const struct conn_tx *tx)
{
	return tx->content && (tx->pages_left || tx->n_vec > 2 * (TX_REPLIES - 1) ||
			       TX_HEADS - tx->used < tx->content->site.longest_head);
}

static void conn_tx_add(struct conn_tx *tx, const void *p, size_t len)
{
	tx->vec[tx->n_vec].iov_base = (void *)p;
	tx->vec[tx->n_vec++].iov_len = len;
	tx->bytes += len;
}

/* Put the reply to @req into c->tx, which has room for it. Does not sleep. */
static void conn_answer(struct conn_rx *rx, struct khttpd_request *req)
{
	struct khttpd_conn *c = rx->c;
	unsigned int max = READ_ONCE(khttpd_params.max_requests);
	struct conn_tx *tx = c->tx;
	char *head = tx->heads + tx->used;
	struct khttpd_reply reply;

	WRITE_ONCE(c->requests, c->requests + 1);
	if (!tx->content)
		tx->content = khttpd_content_get(&c->shard->srv->contents);
	if (rx->last || (max && c->requests >= max))
		req->close = true;
	if (!rx->planned++)
		conn_read_clock(&rx->clock);
	if (!khttpd_reply_plan(&tx->content->site, req, &rx->clock, head, TX_HEADS - tx->used,
			       &reply)) {
		/* Never: conn_tx_full() leaves room for the longest head. But close if so. */
		c->closing = true;
		return;
	}
	khttpd_count_reply(reply.status);
	c->closing = reply.close;
	tx->used += reply.head_len;
	conn_tx_add(tx, head, reply.head_len);
	if (reply.body_len >= CONN_PAGES_MIN && is_vmalloc_addr(reply.body)) {
		tx->pages = reply.body;
		tx->pages_left = reply.body_len;
	} else if (reply.body_len) {
		conn_tx_add(tx, reply.body, reply.body_len);
	}
}

/* ---------------------------------------------------------------- receiving */

/*
 * Feed @len bytes, or none, to the reader; returns how many it took: all, or @rx->stop says why
 * not. Does not sleep: see conn_actor().
 */
static size_t conn_feed(struct conn_rx *rx, const u8 *data, size_t len)
{
	struct khttpd_conn *c = rx->c;
	struct khttpd_request *req = &c->tx->req;
	size_t done = 0, used;

	do {
		if (c->closing)
			return len;
		if (conn_tx_full(c->tx)) {
			rx->stop = CONN_RX_FULL;
			break;
		}
		switch (khttpd_reader_feed(&c->reader, &rx->limits, data + done, len - done, &used,
					   req)) {
		case KHTTPD_READ_MORE:
			return len;
		case KHTTPD_READ_BUFFER:
			rx->stop = CONN_RX_BUFFER;
			return done + used;
		case KHTTPD_READ_REQUEST:
			done += used;
			conn_answer(rx, req);
		}
	} while (done < len);
	return done;
}

/*
 * tcp_read_sock() calls this for each skb with the socket locked, and again for the same skb
 * after a short return, until it returns 0. skb_seq_read() maps fragments atomically on some
 * configurations, so nothing here may sleep: memory is got between two reads.
 */
static int conn_actor(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset, size_t len)
{
	struct conn_rx *rx = desc->arg.data;
	struct skb_seq_state st;
	size_t used = 0;
	const u8 *data;
	unsigned int n;

	skb_prepare_seq_read(skb, offset, offset + len, &st);
	/* A block may reach beyond the end that was asked for. */
	while (used < len && !rx->stop && (n = skb_seq_read(used, &data, &st)))
		used += conn_feed(rx, data, min_t(size_t, n, len - used));
	skb_abort_seq_read(&st);
	return used;
}

static int conn_discard_actor(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset,
			      size_t len)
{
	return len;
}

static int conn_read_sock(struct khttpd_conn *c, void *data, sk_read_actor_t actor)
{
	read_descriptor_t desc = { .arg.data = data, .count = 1 };
	struct tcp_sock *tp = tcp_sk(c->sock->sk);

	/*
	 * tcp_read_sock() would stop for ever at a byte marked urgent. HTTP knows no urgent data:
	 * drop the mark, as tcp_recvmsg() does behind it, and so read the byte like any other.
	 */
	if (unlikely(tp->urg_data)) {
		WRITE_ONCE(tp->urg_data, 0);
		tcp_fast_path_check(c->sock->sk);
	}
	return c->sock->ops->read_sock(c->sock->sk, &desc, actor);
}

/* Has the peer closed its side, and was all that it sent before taken? Socket locked. */
static bool conn_eof(const struct sock *sk)
{
	return sk->sk_shutdown & RCV_SHUTDOWN && skb_queue_empty(&sk->sk_receive_queue);
}

static bool conn_wants_buffer(const struct khttpd_conn *c)
{
	return c->reader.want > c->reader.buf_size;
}

/* Give the reader the buffer that it wants; its size is bounded by 2 * max_head. */
static bool conn_grow_buffer(struct khttpd_conn *c)
{
	struct khttpd_reader *r = &c->reader;
	size_t size = roundup_pow_of_two(max_t(u32, r->want, CONN_BUFFER_MIN));
	/* A peer decides how many of these there are: fail rather than make room by force. */
	char *buf = krealloc(r->buf, size, GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);

	if (!buf)
		return false;
	r->buf = buf;
	r->buf_size = size;
	return true;
}

/* ------------------------------------------------------------------ sending */

/* TCP has taken @n bytes. */
static void conn_sent(struct khttpd_conn *c, int n)
{
	WRITE_ONCE(c->bytes, c->bytes + n);
	khttpd_count(KHTTPD_STAT_BYTES, n);
}

/* Returns 0 when TCP has taken all of c->tx, -EAGAIN when it has no room, or an error. */
static int conn_send(struct khttpd_conn *c, bool *progress)
{
	struct sock *sk = c->sock->sk;
	struct conn_tx *tx = c->tx;
	/* The FIN of a last reply rides on its last segment: see conn_shut(). */
	int more = c->closing ? MSG_MORE : 0;
	int n;

	while (tx->bytes) {
		struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL | more };
		struct kvec *vec = &tx->vec[tx->first];

		if (tx->pages_left)
			msg.msg_flags |= MSG_MORE;
		iov_iter_kvec(&msg.msg_iter, ITER_SOURCE, vec, tx->n_vec - tx->first, tx->bytes);
		n = tcp_sendmsg_locked(sk, &msg, tx->bytes);
		if (n < 0)
			return n;
		*progress = true;
		conn_sent(c, n);
		tx->bytes -= n;
		if (!tx->bytes)
			break;
		while (n >= vec->iov_len) {
			n -= vec->iov_len;
			vec++;
			tx->first++;
		}
		vec->iov_base += n;
		vec->iov_len -= n;
	}
	while (tx->pages_left) {
		n = compat_send_pages(sk, tx->pages, tx->pages_left,
				      MSG_DONTWAIT | MSG_NOSIGNAL | more);
		if (n < 0)
			return n;
		*progress = true;
		conn_sent(c, n);
		tx->pages += n;
		tx->pages_left -= n;
	}
	tx->n_vec = 0;
	tx->first = 0;
	tx->used = 0;
	if (tx->content) {
		khttpd_content_put(tx->content);
		tx->content = NULL;
	}
	return 0;
}

static bool conn_tx_get(struct khttpd_conn *c)
{
	struct conn_tx *tx = c->tx;

	if (tx)
		return true;
	tx = this_cpu_xchg(conn_tx_spare, NULL);
	if (!tx)
		tx = kmem_cache_alloc(conn_tx_cache, GFP_KERNEL | __GFP_NOWARN);
	if (!tx)
		return false;
	tx->n_vec = 0;
	tx->first = 0;
	tx->bytes = 0;
	tx->pages_left = 0;
	tx->used = 0;
	tx->content = NULL;
	c->tx = tx;
	return true;
}

/* An idle connection keeps neither the reply batch nor the request buffer. */
static void conn_trim(struct khttpd_conn *c)
{
	if (c->tx && !c->tx->bytes && !c->tx->pages_left)
		conn_tx_put(c);
	if (c->reader.buf && (c->closing || khttpd_reader_idle(&c->reader))) {
		kfree(c->reader.buf);
		c->reader.buf = NULL;
		c->reader.buf_size = 0;
		c->reader.want = 0;
	}
}

/* ------------------------------------------------------------------ the work */

/* Send FIN, as inet_shutdown() does; with the socket locked already and without its wake-up. */
static void conn_shut(struct khttpd_conn *c)
{
	struct sock *sk = c->sock->sk;

	c->shut = true;
	WRITE_ONCE(sk->sk_shutdown, sk->sk_shutdown | SEND_SHUTDOWN);
	sk->sk_prot->shutdown(sk, SEND_SHUTDOWN);
}

/* Has the peer got all that we sent, the FIN included? Socket locked. */
static bool conn_all_acked(const struct sock *sk)
{
	return tcp_sk(sk)->snd_una == tcp_sk(sk)->write_seq;
}

/*
 * Unread input would make TCP close with RST, and lose what the peer has not read yet. So take it;
 * only what comes from now on, from a peer that still sends, has that effect.
 */
static enum conn_next conn_discard(struct khttpd_conn *c)
{
	conn_read_sock(c, NULL, conn_discard_actor);
	return CONN_CLOSE;
}

/*
 * No more replies: shut our side, and read on until the peer has closed its own and has got all,
 * or time is up. A socket that is closed earlier would leave our limits, but not the memory.
 */
static enum conn_next conn_linger(struct khttpd_conn *c)
{
	struct sock *sk = c->sock->sk;

	c->closing = true;
	if (conn_read_sock(c, NULL, conn_discard_actor) < 0 || (conn_eof(sk) && conn_all_acked(sk)))
		return CONN_CLOSE;
	if (!c->shut)
		conn_shut(c);
	conn_enter(c, CONN_LINGER, false);
	return CONN_WAIT;
}

/* Wait for input, with the time-out that fits. */
static void conn_await(struct conn_rx *rx)
{
	struct khttpd_conn *c = rx->c;

	if (!khttpd_reader_idle(&c->reader))
		conn_enter(c, CONN_HEAD, rx->planned);
	else if (c->requests)
		conn_enter(c, CONN_IDLE, rx->planned);
}

/* All input was taken and answered: wait for more, or end if the @verdict says so. */
static enum conn_next conn_settle(struct conn_rx *rx, enum conn_verdict verdict)
{
	struct khttpd_conn *c = rx->c;
	bool leave = rx->last || verdict == CONN_EXPIRED;

	if (conn_eof(c->sock->sk) || (leave && khttpd_reader_idle(&c->reader)))
		return conn_all_acked(c->sock->sk) ? CONN_CLOSE : conn_linger(c);
	conn_await(rx);
	return CONN_WAIT;
}

/* End the request that is being read with an error of our own making. */
static void conn_fail(struct conn_rx *rx, u16 status)
{
	struct khttpd_request *req = &rx->c->tx->req;

	khttpd_reader_fail(&rx->c->reader, status, req);
	conn_answer(rx, req);
}

/*
 * Time is up in a phase that needs nothing from us. Start it anew while the peer still takes
 * what it was sent; give the peer up when that has stood still for the send time-out, or for the
 * shorter one after a shedding. A peer that lingers has the whole time after its last ACK.
 */
static enum conn_next conn_expire(struct khttpd_conn *c)
{
	struct sock *sk = c->sock->sk;
	unsigned long limit;

	if (conn_all_acked(sk) && c->phase != CONN_SEND &&
	    (c->phase != CONN_LINGER || tcp_sk(sk)->snd_una == c->una))
		return conn_discard(c);
	limit = msecs_to_jiffies(conn_timeout_ms(c->last ? CONN_LINGER : CONN_SEND));
	if (tcp_sk(sk)->snd_una == c->una && !time_before(jiffies, c->una_at + limit))
		return CONN_ABORT;
	conn_enter(c, c->phase, true);
	return CONN_WAIT;
}

/* One run: answer what is there, within the budget. The socket is locked. */
static enum conn_next conn_run(struct khttpd_conn *c)
{
	struct sock *sk = c->sock->sk;
	u8 verdict = READ_ONCE(c->verdict);
	unsigned int budget = CONN_BUDGET;
	enum conn_next next;
	bool progress = false;
	struct conn_rx rx;
	int err;

	if (sk->sk_err || sk->sk_state == TCP_CLOSE)
		return CONN_CLOSE;
	if (READ_ONCE(c->shard->stopping))
		return conn_discard(c);
	if (c->tx && c->tx->content && khttpd_content_outdated(c->tx->content)) {
		khttpd_count(KHTTPD_STAT_CUT, 1);
		return CONN_ABORT;
	}
	if (verdict == CONN_EXPIRED &&
	    (c->phase >= CONN_SEND || (c->phase == CONN_IDLE && !conn_all_acked(sk)))) {
		next = conn_expire(c);
		if (next != CONN_WAIT) {
			khttpd_count(KHTTPD_STAT_TIMEOUT_FIRST + c->phase, 1);
			return next;
		}
		verdict = CONN_STAY;
	}
	rx.c = c;
	rx.limits.max_head = READ_ONCE(khttpd_params.max_head);
	rx.limits.max_target = READ_ONCE(khttpd_params.max_target);
	rx.limits.max_body = READ_ONCE(khttpd_params.max_body);
	rx.last = verdict == CONN_SHED || c->last;
	rx.planned = 0;
	rx.stop = CONN_RX_FULL; /* nothing was read yet */

	for (;;) {
		if (c->tx) {
			err = conn_send(c, &progress);
			if (err == -EAGAIN) {
				/*
				 * Nothing is under way whose ACK would call us: it was memory
				 * that failed, and trying again at once would spin.
				 */
				if (tcp_rtx_and_write_queues_empty(sk))
					return conn_discard(c);
				conn_enter(c, CONN_SEND, progress);
				return CONN_WAIT;
			}
			if (err)
				return CONN_CLOSE;
		}
		if (c->closing)
			return conn_linger(c);
		if (rx.stop == CONN_RX_ALL) {
			if (verdict == CONN_EXPIRED)
				khttpd_count(KHTTPD_STAT_TIMEOUT_FIRST + c->phase, 1);
			return conn_settle(&rx, verdict);
		}
		if (!budget--) {
			conn_await(&rx);
			return CONN_AGAIN;
		}
		if (!conn_tx_get(c))
			return conn_discard(c);
		rx.stop = CONN_RX_ALL;
		if (conn_wants_buffer(c)) {
			if (!conn_grow_buffer(c)) {
				conn_fail(&rx, 503);
				continue;
			}
			/* The reader may have all that it needs; the socket may have no more. */
			conn_feed(&rx, (const u8 *)"", 0);
			if (rx.stop)
				continue;
		}
		if (conn_read_sock(c, &rx, conn_actor) < 0)
			return CONN_CLOSE;
		/* A request that has come counts: it was we who had no time to read it. */
		if (verdict == CONN_EXPIRED && rx.planned)
			verdict = CONN_STAY;
		/* Here the head of a request has come, but not in time. */
		if (rx.stop == CONN_RX_ALL && verdict != CONN_STAY && !c->closing &&
		    !khttpd_reader_idle(&c->reader)) {
			if (verdict == CONN_EXPIRED)
				khttpd_count(KHTTPD_STAT_TIMEOUT_HEAD, 1);
			conn_fail(&rx, verdict == CONN_EXPIRED ? 408 : 503);
		}
	}
}

static void conn_io(struct work_struct *work)
{
	struct khttpd_conn *c = container_of(work, struct khttpd_conn, io);
	struct sock *sk = c->sock->sk;
	enum conn_next next;

	lock_sock(sk);
	next = conn_run(c);
	release_sock(sk);
	switch (next) {
	case CONN_WAIT:
		conn_trim(c);
		return;
	case CONN_AGAIN:
		conn_kick(c);
		return;
	case CONN_ABORT:
		sock_no_linger(sk);
		fallthrough;
	case CONN_CLOSE:
		conn_close(c);
	}
}
