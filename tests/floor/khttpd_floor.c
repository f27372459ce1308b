// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The floor of scripts/bench: what any in-kernel HTTP server must pay.
 *
 * Kernel TCP, one work item per connection and a constant reply, but no HTTP: a request is whatever
 * ends in an empty line, and only "Connection: close" is looked at. A large body is one compound
 * page, sent by reference in one piece. What khttpd costs above this is what its features cost. Not
 * a server to run anywhere: no time-outs, no limits.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bvec.h>
#include <linux/in.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/version.h>
#include <linux/workqueue.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/tcp_states.h>

#define MAX_PENDING 64 /* requests read ahead of their replies */
#define IO_BUDGET 128 /* steps of one work item before others get their turn */
#define MAX_BODY (4 << 20) /* the largest compound page */
#define MAX_HEAD 128
#define PAGES_MIN 16384 /* bodies from this size on go by page reference */

#ifndef HAVE_WQ_PERCPU
#define WQ_PERCPU 0
#endif

static ushort port = 8082;
module_param(port, ushort, 0444);
MODULE_PARM_DESC(port, "TCP port on the loopback address (8082)");

static uint body = 1024;
module_param(body, uint, 0444);
MODULE_PARM_DESC(body, "bytes of content in the reply, at most 4194304 (1024)");

/**
 * struct floor_reply - head and body
 * @data: the head and a small body
 * @len: bytes there
 * @page: a large body, or NULL
 * @all: bytes of both
 */
struct floor_reply {
	char *data;
	u32 len;
	struct page *page;
	u32 all;
};

/**
 * struct floor_conn - one connection; owned by its work item, the only reader, writer and closer
 * @sock: the socket
 * @io: the work
 * @node: in floor_conns
 * @cpu: where @io runs
 * @pending: requests without a reply
 * @sent: bytes of the reply in progress that are sent
 * @end_match: bytes matched of the empty line that ends a request
 * @close_match: bytes matched of the field that asks for a close
 * @close: the request that is being read asks for a close
 * @last: the last pending request did; what follows is thrown away
 * @reply_last: the reply in progress is the last one
 * @reply: reply in progress, or NULL
 * @stop: the module goes away; set under floor_lock
 * @data_ready: the socket's own callbacks, put back before it is released
 * @write_space: same
 * @state_change: same
 */
struct floor_conn {
	struct socket *sock;
	struct work_struct io;
	struct list_head node;
	int cpu;
	u16 pending;
	u8 end_match;
	u8 close_match;
	bool close;
	bool last;
	bool reply_last;
	bool stop;
	u32 sent;
	const struct floor_reply *reply;
	void (*data_ready)(struct sock *sk);
	void (*write_space)(struct sock *sk);
	void (*state_change)(struct sock *sk);
};

static const char request_end[] = "\r\n\r\n";
static const char request_close[] = "\nConnection: close";

static struct floor_reply reply_keep;
static struct floor_reply reply_close;
static struct socket *floor_listener;
static struct task_struct *floor_acceptor;
static struct workqueue_struct *floor_wq;
static LIST_HEAD(floor_conns);
static DEFINE_SPINLOCK(floor_lock); /* floor_conns */
static atomic_t floor_n_conns = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(floor_empty);

static void conn_kick(struct floor_conn *c)
{
	queue_work_on(c->cpu, floor_wq, &c->io);
}

static void conn_data_ready(struct sock *sk)
{
	struct floor_conn *c;

	read_lock_bh(&sk->sk_callback_lock);
	c = sk->sk_user_data;
	if (c)
		conn_kick(c);
	read_unlock_bh(&sk->sk_callback_lock);
}

static void conn_write_space(struct sock *sk)
{
	struct floor_conn *c;

	read_lock_bh(&sk->sk_callback_lock);
	c = sk->sk_user_data;
	if (c && sk_stream_is_writeable(sk)) {
		clear_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
		conn_kick(c);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

/* One byte of a request. Returns whether the next one may be part of its end or of a close. */
static bool conn_match(struct floor_conn *c, u8 byte)
{
	if (byte != request_close[c->close_match]) {
		c->close_match = byte == request_close[0];
	} else if (++c->close_match == sizeof(request_close) - 1) {
		c->close_match = 0;
		c->close = true;
	}
	if (byte != request_end[c->end_match]) {
		c->end_match = byte == request_end[0];
	} else if (++c->end_match == sizeof(request_end) - 1) {
		c->end_match = 0;
		c->pending++;
		c->last = c->close;
	}
	return c->close_match || c->end_match;
}

/* Called by ->read_sock(), socket locked. Returns the bytes taken; fewer than @len stop it. */
static int conn_recv(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset, size_t len)
{
	struct floor_conn *c = desc->arg.data;
	struct skb_seq_state st;
	unsigned int used = 0, n, i;
	bool matching = c->close_match || c->end_match;
	const u8 *p;

	if (c->last)
		return len; /* nothing counts after a close */
	if (c->pending >= MAX_PENDING)
		return 0;
	skb_prepare_seq_read(skb, offset, offset + len, &st);
	while ((n = skb_seq_read(used, &p, &st)) != 0) {
		for (i = 0; i < n; i++) {
			/* Both strings begin with a line end, so most bytes belong to neither */
			if (p[i] > '\r' && !matching)
				continue;
			matching = conn_match(c, p[i]);
			if (!c->last && c->pending < MAX_PENDING)
				continue;
			skb_abort_seq_read(&st);
			return c->last ? len : used + i + 1;
		}
		used += n;
	}
	return used;
}

/* Runs in the work: nobody can queue it once the callbacks are back and @c is off the list. */
static void conn_close(struct floor_conn *c)
{
	struct sock *sk = c->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_user_data = NULL;
	WRITE_ONCE(sk->sk_data_ready, c->data_ready);
	WRITE_ONCE(sk->sk_write_space, c->write_space);
	WRITE_ONCE(sk->sk_state_change, c->state_change);
	write_unlock_bh(&sk->sk_callback_lock);
	spin_lock_bh(&floor_lock);
	list_del(&c->node);
	spin_unlock_bh(&floor_lock);
	cancel_work(&c->io); /* it may have been queued again while it ran */
	sock_release(c->sock);
	kfree(c);
	if (atomic_dec_and_test(&floor_n_conns))
		wake_up(&floor_empty);
}

/* 6.1 knows MSG_SPLICE_PAGES, but copies. */
static int conn_send_page(struct floor_conn *c, int flags)
{
	size_t at = c->sent - c->reply->len, n = c->reply->all - c->sent;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	struct msghdr msg = { .msg_flags = flags | MSG_SPLICE_PAGES };
	struct bio_vec bvec;

	bvec_set_page(&bvec, c->reply->page, n, at);
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, &bvec, 1, n);
	return sock_sendmsg(c->sock, &msg);
#else
	return kernel_sendpage(c->sock, c->reply->page, at, n, flags);
#endif
}

/* Returns 1 after progress, 0 to wait for a callback, negative to close. */
static int conn_send(struct floor_conn *c)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec vec;
	int ret;

	/* Together with what follows: the body, the next reply, or the FIN */
	if (c->pending || c->reply_last)
		msg.msg_flags |= MSG_MORE;
	if (c->sent >= c->reply->len) {
		ret = conn_send_page(c, msg.msg_flags);
	} else {
		if (c->reply->page)
			msg.msg_flags |= MSG_MORE;
		vec.iov_base = c->reply->data + c->sent;
		vec.iov_len = c->reply->len - c->sent;
		ret = kernel_sendmsg(c->sock, &msg, &vec, 1, vec.iov_len);
	}
	if (ret < 0)
		return ret == -EAGAIN ? 0 : ret;
	c->sent += ret;
	if (c->sent == c->reply->all)
		c->reply = NULL;
	return 1;
}

/* Same return values; the end of the input is an error too. */
static int conn_read(struct floor_conn *c)
{
	read_descriptor_t desc = { .arg.data = c, .count = 1 };
	struct sock *sk = c->sock->sk;
	int ret;

	lock_sock(sk);
	ret = c->sock->ops->read_sock(sk, &desc, conn_recv);
	if (!ret && ((sk->sk_shutdown & RCV_SHUTDOWN) || sk->sk_state == TCP_CLOSE))
		ret = -ENOTCONN;
	release_sock(sk);
	return ret > 0 ? 1 : ret;
}

static void conn_work(struct work_struct *work)
{
	struct floor_conn *c = container_of(work, struct floor_conn, io);
	int budget = IO_BUDGET, ret;

	while (budget--) {
		if (READ_ONCE(c->stop) || READ_ONCE(c->sock->sk->sk_err))
			return conn_close(c);
		if (!c->reply && c->pending) {
			c->pending--;
			c->sent = 0;
			c->reply_last = c->last && !c->pending;
			c->reply = c->reply_last ? &reply_close : &reply_keep;
		}
		if (c->reply)
			ret = conn_send(c);
		else if (c->reply_last)
			ret = -ENOTCONN;
		else
			ret = conn_read(c);
		if (ret < 0)
			return conn_close(c);
		if (!ret)
			return;
	}
	conn_kick(c);
}

static int conn_start(struct socket *sock)
{
	struct floor_conn *c = kzalloc(sizeof(*c), GFP_KERNEL);
	struct sock *sk = sock->sk;

	if (!c)
		return -ENOMEM;
	c->sock = sock;
	INIT_WORK(&c->io, conn_work);
	c->cpu = raw_smp_processor_id();
	tcp_sock_set_nodelay(sk);
	atomic_inc(&floor_n_conns);
	spin_lock_bh(&floor_lock);
	list_add(&c->node, &floor_conns);
	spin_unlock_bh(&floor_lock);
	write_lock_bh(&sk->sk_callback_lock);
	c->data_ready = sk->sk_data_ready;
	c->write_space = sk->sk_write_space;
	c->state_change = sk->sk_state_change;
	sk->sk_user_data = c;
	WRITE_ONCE(sk->sk_data_ready, conn_data_ready);
	WRITE_ONCE(sk->sk_write_space, conn_write_space);
	WRITE_ONCE(sk->sk_state_change, conn_data_ready);
	conn_kick(c); /* for what came before the callbacks */
	write_unlock_bh(&sk->sk_callback_lock);
	return 0;
}

static int floor_accept(void *unused)
{
	struct socket *sock;
	int err;

	while (!kthread_should_stop()) {
		err = kernel_accept(floor_listener, &sock, 0);
		if (err == -EINVAL)
			break;
		if (err)
			schedule_timeout_interruptible(HZ /
						       50); /* no memory: let others free some */
		else if (conn_start(sock))
			sock_release(sock);
	}
	return 0;
}

static int reply_make(struct floor_reply *r, const char *connection)
{
	r->data = kmalloc(MAX_HEAD + PAGES_MIN, GFP_KERNEL);
	if (!r->data)
		return -ENOMEM;
	r->len = scnprintf(r->data, MAX_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n%s\r\n",
			   body, connection);
	r->all = r->len + body;
	if (body < PAGES_MIN) {
		memset(r->data + r->len, 'x', body);
		r->len += body;
		return 0;
	}
	r->page = alloc_pages(GFP_KERNEL | __GFP_COMP, get_order(body));
	if (!r->page)
		return -ENOMEM;
	memset(page_address(r->page), 'x', body);
	return 0;
}

static void reply_free(struct floor_reply *r)
{
	kfree(r->data);
	if (r->page)
		put_page(r->page);
}

static void replies_free(void)
{
	reply_free(&reply_keep);
	reply_free(&reply_close);
}

static int floor_listen(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int err;

	/* Not sock_create_kern(): its sockets hold no namespace, so close ends their timers */
	err = __sock_create(current->nsproxy->net_ns, PF_INET, SOCK_STREAM, IPPROTO_TCP,
			    &floor_listener, 0);
	if (err)
		return err;
	sock_set_reuseaddr(floor_listener->sk);
	err = kernel_bind(floor_listener, (void *)&addr, sizeof(addr));
	if (!err)
		err = kernel_listen(floor_listener, 4096);
	if (err)
		sock_release(floor_listener);
	return err;
}

static int __init floor_init(void)
{
	int err;

	if (body > MAX_BODY) {
		pr_err("body=%u is more than %u\n", body, MAX_BODY);
		return -EINVAL;
	}
	err = reply_make(&reply_keep, "");
	if (!err)
		err = reply_make(&reply_close, "Connection: close\r\n");
	if (err)
		goto err_replies;
	floor_wq = alloc_workqueue(KBUILD_MODNAME, WQ_PERCPU, 0);
	if (!floor_wq) {
		err = -ENOMEM;
		goto err_replies;
	}
	err = floor_listen();
	if (err) {
		pr_err("cannot listen on port %u: error %d\n", port, err);
		goto err_wq;
	}
	floor_acceptor = kthread_create(floor_accept, NULL, KBUILD_MODNAME);
	if (IS_ERR(floor_acceptor)) {
		err = PTR_ERR(floor_acceptor);
		goto err_listener;
	}
	get_task_struct(floor_acceptor); /* it may end before kthread_stop() */
	wake_up_process(floor_acceptor);
	return 0;

err_listener:
	sock_release(floor_listener);
err_wq:
	destroy_workqueue(floor_wq);
err_replies:
	replies_free();
	return err;
}

static void __exit floor_exit(void)
{
	struct floor_conn *c;

	kthread_stop(floor_acceptor); /* also ends its wait in kernel_accept() */
	put_task_struct(floor_acceptor);
	sock_release(floor_listener);
	spin_lock_bh(&floor_lock);
	list_for_each_entry(c, &floor_conns, node) {
		WRITE_ONCE(c->stop, true);
		conn_kick(c);
	}
	spin_unlock_bh(&floor_lock);
	wait_event(floor_empty, !atomic_read(&floor_n_conns));
	destroy_workqueue(floor_wq);
	replies_free();
}

module_init(floor_init);
module_exit(floor_exit);
MODULE_DESCRIPTION("The least that an in-kernel HTTP responder costs; for benchmarks only");
MODULE_LICENSE("Dual MIT/GPL");
