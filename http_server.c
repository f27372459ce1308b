// SPDX-License-Identifier: MIT OR GPL-2.0
/* The kernel engine: listeners, their accept kthreads, start and stop. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/in.h>
#include <linux/inet.h>
#include <linux/kthread.h>
#include <linux/net.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "compat/compat.h"
#include "connection.h"
#include "core/response.h"
#include "http_server.h"

#define ACCEPT_BACKOFF_MS 20
/* Unsent bytes that a slow reader's socket may hold copies of. */
#define LISTENER_NOTSENT_LOWAT (128 * 1024)

/* ---------------------------------------------------------------- listeners */

static int listener_setsockopt(struct socket *sock, int level, int name, int value)
{
	sockptr_t v = KERNEL_SOCKPTR(&value);

	if (level == SOL_SOCKET)
		return sock_setsockopt(sock, level, name, v, sizeof(value));
	return sock->ops->setsockopt(sock, level, name, v, sizeof(value));
}

/*
 * Make a TCP socket that counts as one of the namespace, like a user's, and so holds a
 * reference on it. The sockets that it accepts inherit that: without it tcp_close() would stop
 * their retransmission timers and lose replies (inet_csk_clear_xmit_timers_sync()).
 */
static int listener_create(struct net *net, struct sockaddr_storage *addr, struct socket **sock)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)addr;
	int err;

	err = __sock_create(net, addr->ss_family, SOCK_STREAM, IPPROTO_TCP, sock, 0);
	if (err == -EAFNOSUPPORT && addr->ss_family == AF_INET6 &&
	    ipv6_addr_any(&((struct sockaddr_in6 *)addr)->sin6_addr)) {
		/* IPv6 is off: every address then means every IPv4 address. */
		__be16 port = v4->sin_port;

		memset(addr, 0, sizeof(*addr));
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		err = __sock_create(net, AF_INET, SOCK_STREAM, IPPROTO_TCP, sock, 0);
	}
	return err;
}

/*
 * Open one shard's listener. The first one binds before SO_REUSEPORT is set on it, so that a
 * port that anybody else has is -EADDRINUSE even if he would share it. Once several shards
 * share it, a later process of the same user could join them: SO_REUSEPORT has no other guard.
 * What is set here is inherited by the accepted sockets.
 */
static int listener_open(struct khttpd_shard *shard, struct net *net, struct sockaddr_storage *addr,
			 unsigned int backlog)
{
	struct socket *sock;
	struct sock *sk;
	bool first = shard == shard->srv->shard, share = shard->srv->n_shards > 1;
	int err;

	err = listener_create(net, addr, &sock);
	if (err)
		return err;
	sk = sock->sk;
	sock_set_reuseaddr(sk);
	tcp_sock_set_nodelay(sk);
	WRITE_ONCE(tcp_sk(sk)->notsent_lowat, LISTENER_NOTSENT_LOWAT);
	if (addr->ss_family == AF_INET6 &&
	    ipv6_addr_any(&((struct sockaddr_in6 *)addr)->sin6_addr)) {
		err = listener_setsockopt(sock, SOL_IPV6, IPV6_V6ONLY, 0);
		if (err)
			goto release;
	}
	if (!first)
		sock_set_reuseport(sk);
	err = kernel_bind(sock, (void *)addr,
			  addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
							sizeof(struct sockaddr_in));
	if (err)
		goto release;
	if (share)
		sock_set_reuseport(sk);
	err = kernel_listen(sock, backlog);
	if (err)
		goto release;
	shard->listener = sock;
	return 0;

release:
	sock_release(sock);
	return err;
}

static void listener_close(struct khttpd_shard *shard)
{
	if (shard->listener)
		sock_release(shard->listener);
}

/* ---------------------------------------------------------------- acceptors */

/*
 * Blocks in accept. kthread_stop() makes the wait return (it sets TIF_NOTIFY_SIGNAL); signals
 * are ignored, as in every kthread. It may end by itself: khttpd_server has a task reference.
 */
static int acceptor_run(void *data)
{
	struct khttpd_shard *shard = data;
	struct socket *sock;
	int err;

	while (!kthread_should_stop()) {
		cond_resched(); /* a flood keeps the queue from running empty */
		err = kernel_accept(shard->listener, &sock, 0);
		if (!err) {
			if (khttpd_conn_start(shard, sock))
				sock_release(sock);
		} else if (err == -EINVAL) {
			pr_err("a listener was shut down from outside; its shard accepts no more\n");
			break;
		} else if (err != -EINTR && err != -ERESTARTSYS && err != -ECONNABORTED) {
			/* No memory, or nothing that passes by itself: do not spin. */
			schedule_timeout_interruptible(msecs_to_jiffies(ACCEPT_BACKOFF_MS));
		}
	}
	return 0;
}

static int acceptor_start(struct khttpd_shard *shard, unsigned int i)
{
	struct task_struct *task = kthread_create(acceptor_run, shard, "khttpd/%u", i);

	if (IS_ERR(task))
		return PTR_ERR(task);
	shard->acceptor = get_task_struct(task);
	wake_up_process(task);
	return 0;
}

static void acceptor_stop(struct khttpd_shard *shard)
{
	if (!shard->acceptor)
		return;
	kthread_stop(shard->acceptor);
	put_task_struct(shard->acceptor);
}

/* ------------------------------------------------------------------- server */

/* Listen everywhere before anybody accepts, so that a failure has served nobody. */
static int server_listen(struct khttpd_server *srv, const struct khttpd_config *config)
{
	struct net *net = current->nsproxy->net_ns;
	struct sockaddr_storage addr;
	char port[8];
	unsigned int cpu, i;
	int err;

	snprintf(port, sizeof(port), "%u", config->port);
	err = inet_pton_with_scope(net, AF_UNSPEC, config->bind, port, &addr);
	if (err) {
		pr_err("bind must be an IPv4 or IPv6 address\n");
		return -EINVAL;
	}
	cpu = cpumask_first(cpu_online_mask);
	for (i = 0; i < srv->n_shards; i++) {
		err = listener_open(&srv->shard[i], net, &addr, config->backlog);
		if (err) {
			pr_err("cannot listen on %pISpc: error %d%s\n", &addr, err,
			       err == -EADDRINUSE ? ", the port is in use" : "");
			return err;
		}
		/* Prefer the listener of the CPU that a connection comes in on. */
		if (srv->n_shards > 1)
			listener_setsockopt(srv->shard[i].listener, SOL_SOCKET, SO_INCOMING_CPU,
					    cpu);
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
	}
	srv->data_ready = srv->shard[0].listener->sk->sk_data_ready;
	srv->write_space = srv->shard[0].listener->sk->sk_write_space;
	srv->state_change = srv->shard[0].listener->sk->sk_state_change;
	for (i = 0; i < srv->n_shards; i++) {
		err = acceptor_start(&srv->shard[i], i);
		if (err) {
			pr_err("cannot start thread khttpd/%u: error %d\n", i, err);
			return err;
		}
	}
	pr_info("serving on %pISpc, %u shards\n", &addr, srv->n_shards);
	return 0;
}

struct khttpd_server *khttpd_server_start(const struct khttpd_config *config)
{
	unsigned int n = config->shards ?: num_online_cpus(), i;
	struct khttpd_server *srv;
	int err;

	n = min_t(unsigned int, n, KHTTPD_MAX_SHARDS);
	srv = kvzalloc(struct_size(srv, shard, n), GFP_KERNEL);
	if (!srv)
		goto no_memory;
	srv->n_shards = n;
	init_waitqueue_head(&srv->drained);
	khttpd_conns_cut_init(srv);
	for (i = 0; i < n; i++)
		khttpd_shard_init(&srv->shard[i], srv);

	if (khttpd_peers_init(&srv->peers))
		goto free_server;
	if (khttpd_conn_caches_create())
		goto destroy_peers;
	srv->wq = alloc_workqueue("khttpd", COMPAT_WQ_PERCPU, 0);
	if (!srv->wq)
		goto destroy_caches;
	if (khttpd_contents_init(&srv->contents, config->content))
		goto destroy_wq;
	err = server_listen(srv, config);
	if (err) {
		khttpd_server_stop(srv);
		return ERR_PTR(err);
	}
	return srv;

destroy_wq:
	destroy_workqueue(srv->wq);
destroy_caches:
	khttpd_conn_caches_destroy();
destroy_peers:
	khttpd_peers_destroy(&srv->peers);
free_server:
	kvfree(srv);
no_memory:
	khttpd_content_drop(config->content);
	pr_err("not enough memory to start\n");
	return ERR_PTR(-ENOMEM);
}

/*
 * Who can still call in, step by step: nobody swaps sites any more, so @cut is not queued again;
 * after the acceptors have ended nobody adds connections;
 * after the listeners are released no new peer gets through; after the count of connections is
 * 0 no socket has our callbacks (conn_close() took them out under the callback lock) and no work
 * of a connection is queued; the last conn_io() and the sweeps end before the workqueue does.
 */
void khttpd_server_stop(struct khttpd_server *srv)
{
	unsigned int i;

	cancel_delayed_work_sync(&srv->cut);
	for (i = 0; i < srv->n_shards; i++)
		acceptor_stop(&srv->shard[i]);
	for (i = 0; i < srv->n_shards; i++)
		listener_close(&srv->shard[i]);
	for (i = 0; i < srv->n_shards; i++)
		khttpd_shard_stop(&srv->shard[i]);
	wait_event(srv->drained, !atomic_read(&srv->conns));
	for (i = 0; i < srv->n_shards; i++)
		cancel_delayed_work_sync(&srv->shard[i].sweep);
	khttpd_contents_end(&srv->contents);
	destroy_workqueue(srv->wq);
	khttpd_conn_caches_destroy();
	khttpd_peers_destroy(&srv->peers);
	kvfree(srv);
}
