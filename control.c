// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The control plane: generic netlink family "khttpd", described in docs/netlink/khttpd.yaml.
 *
 * Commands work in the server's own network namespace only. Those that show peers or change
 * anything need CAP_NET_ADMIN in the initial user namespace (GENL_ADMIN_PERM). They run in
 * the caller's context, in parallel with those of other families and of each other; what changes
 * the site takes @control_lock, and waits for it killably.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "control.h"

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "connection.h"
#include "khttpd_netlink.h"
#include "stats.h"

/* Set before the family is registered, and cleared after it is unregistered. */
static struct khttpd_server *control_server;
static struct khttpd_config control_config;

/* One change of the site at a time. */
static DEFINE_MUTEX(control_lock);

static struct genl_family control_family;

static const struct {
	const char *name;
	const unsigned int *value;
} control_params[] = {
#define PARAM(name)                        \
	{                                  \
#name, &khttpd_params.name \
	}
	PARAM(first_byte_timeout_ms),
	PARAM(header_timeout_ms),
	PARAM(idle_timeout_ms),
	PARAM(send_timeout_ms),
	PARAM(linger_timeout_ms),
	PARAM(max_conns),
	PARAM(max_conns_per_ip),
	PARAM(max_requests),
	PARAM(max_head),
	PARAM(max_target),
	PARAM(max_body),
	PARAM(max_site_bytes),
#undef PARAM
};

/* Is @net the server's? Everybody else shall learn nothing of it. */
static int control_check_net(const struct net *net, struct netlink_ext_ack *extack)
{
	if (net == sock_net(control_server->shard[0].listener->sk))
		return 0;
	NL_SET_ERR_MSG(extack, "khttpd serves in another network namespace");
	return -EPERM;
}

static int control_pre_doit(struct genl_info *info)
{
	return control_check_net(genl_info_net(info), info->extack);
}

static int put_site(struct sk_buff *skb)
{
	struct khttpd_content *content = khttpd_content_get(&control_server->contents);
	const struct khttpd_image_header *h = (const void *)content->site.image;
	struct nlattr *nest = nla_nest_start(skb, KHTTPD_A_SITE);
	char name[sizeof(h->name) + 1] = "";
	int err = -EMSGSIZE;

	memcpy(name, h->name, sizeof(h->name));
	if (!nest || nla_put_string(skb, KHTTPD_A_SITE_NAME, name) ||
	    nla_put(skb, KHTTPD_A_SITE_DIGEST, sizeof(h->digest), h->digest) ||
	    nla_put_u32(skb, KHTTPD_A_SITE_BYTES, content->site.size) ||
	    nla_put_u32(skb, KHTTPD_A_SITE_ENTRIES, content->site.n_entries) ||
	    nla_put_u32(skb, KHTTPD_A_SITE_HOSTS, content->site.n_hosts) ||
	    nla_put_u64_64bit(skb, KHTTPD_A_SITE_SINCE, content->since, KHTTPD_A_SITE_PAD) ||
	    (content->builtin && nla_put_flag(skb, KHTTPD_A_SITE_BUILTIN)))
		goto put;
	nla_nest_end(skb, nest);
	err = 0;
put:
	khttpd_content_put(content);
	return err;
}

static int put_params(struct sk_buff *skb)
{
	struct nlattr *nest;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(control_params); i++) {
		nest = nla_nest_start(skb, KHTTPD_A_PARAM);
		if (!nest || nla_put_string(skb, KHTTPD_A_PARAM_NAME, control_params[i].name) ||
		    nla_put_u32(skb, KHTTPD_A_PARAM_VALUE, READ_ONCE(*control_params[i].value)))
			return -EMSGSIZE;
		nla_nest_end(skb, nest);
	}
	return 0;
}

static int put_state(struct sk_buff *skb)
{
	struct khttpd_server *srv = control_server;

	if (nla_put_string(skb, KHTTPD_A_VERSION, KHTTPD_VERSION) ||
	    nla_put_u32(skb, KHTTPD_A_IMAGE_VERSION, KHTTPD_IMAGE_VERSION) ||
	    nla_put_string(skb, KHTTPD_A_BIND, control_config.bind) ||
	    nla_put_u16(skb, KHTTPD_A_PORT, control_config.port) ||
	    nla_put_u32(skb, KHTTPD_A_SHARDS, srv->n_shards) ||
	    nla_put_u32(skb, KHTTPD_A_BACKLOG, control_config.backlog) ||
	    nla_put_u32(skb, KHTTPD_A_CONNS, atomic_read(&srv->conns)) ||
	    nla_put_u32(skb, KHTTPD_A_IMAGES, atomic_read(&srv->contents.n)))
		return -EMSGSIZE;
	return put_params(skb) ?: put_site(skb);
}

static int put_stats(struct sk_buff *skb)
{
	unsigned int id, i, cpu;
	struct nlattr *nest;
	u64 sum;

	for (id = KHTTPD_STAT_UNSPEC + 1; id <= KHTTPD_STAT_MAX; id++) {
		sum = 0;
		for_each_possible_cpu(cpu)
			sum += READ_ONCE(per_cpu(khttpd_stats, cpu).counter[id]);
		nest = nla_nest_start(skb, KHTTPD_A_STAT);
		if (!nest || nla_put_u32(skb, KHTTPD_A_STAT_ID, id) ||
		    nla_put_u64_64bit(skb, KHTTPD_A_STAT_VALUE, sum, KHTTPD_A_STAT_PAD))
			return -EMSGSIZE;
		nla_nest_end(skb, nest);
	}
	for (i = 0; i < KHTTPD_STATUSES; i++) {
		sum = 0;
		for_each_possible_cpu(cpu)
			sum += READ_ONCE(per_cpu(khttpd_stats, cpu).replies[i]);
		if (!sum)
			continue;
		nest = nla_nest_start(skb, KHTTPD_A_REPLIES);
		if (!nest || nla_put_u16(skb, KHTTPD_A_REPLIES_STATUS, khttpd_status_of_index(i)) ||
		    nla_put_u64_64bit(skb, KHTTPD_A_REPLIES_VALUE, sum, KHTTPD_A_REPLIES_PAD))
			return -EMSGSIZE;
		nla_nest_end(skb, nest);
	}
	return 0;
}

/* Answer with what @put writes: less than GENLMSG_DEFAULT_SIZE, as all lists are short. */
static int control_reply(struct genl_info *info, int (*put)(struct sk_buff *skb))
{
	int err = control_pre_doit(info);
	struct sk_buff *skb;
	void *head;

	if (err)
		return err;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	head = genlmsg_put_reply(skb, info, &control_family, 0, info->genlhdr->cmd);
	err = head ? put(skb) : -EMSGSIZE;
	if (err) {
		nlmsg_free(skb);
		return err;
	}
	genlmsg_end(skb, head);
	return genlmsg_reply(skb, info);
}

static int control_state_get(struct sk_buff *skb, struct genl_info *info)
{
	return control_reply(info, put_state);
}

static int control_stats_get(struct sk_buff *skb, struct genl_info *info)
{
	return control_reply(info, put_stats);
}

/* ------------------------------------------------------------------- the site */

/* Serve @content, or say why there is none. */
static int control_swap(struct genl_info *info, struct khttpd_content *content, const char *why)
{
	const struct khttpd_image_header *h;

	if (IS_ERR(content)) {
		if (info->extack)
			info->extack->_msg = why; /* a constant, as NL_SET_ERR_MSG() makes one */
		return PTR_ERR(content);
	}
	h = (const void *)content->site.image;
	pr_info("serving site %.*s, %u entries, %u bytes\n", (int)sizeof(h->name), h->name,
		content->site.n_entries, content->site.size);
	khttpd_content_swap(&control_server->contents, content);
	khttpd_conns_cut_later(control_server);
	khttpd_count(KHTTPD_STAT_SITES, 1);
	return 0;
}

static int control_site_load(struct sk_buff *skb, struct genl_info *info)
{
	struct khttpd_content *content;
	const char *why = NULL;
	struct file *file;
	int err;

	err = control_pre_doit(info);
	if (err)
		return err;
	if (GENL_REQ_ATTR_CHECK(info, KHTTPD_A_FD))
		return -EINVAL;
	file = fget(nla_get_u32(info->attrs[KHTTPD_A_FD]));
	if (!file) {
		NL_SET_ERR_MSG(info->extack, "there is no such file descriptor");
		return -EBADF;
	}
	err = mutex_lock_killable(&control_lock);
	if (!err) {
		content = khttpd_content_read(file, READ_ONCE(khttpd_params.max_site_bytes), &why);
		err = control_swap(info, content, why);
		mutex_unlock(&control_lock);
	}
	fput(file);
	return err;
}

static int control_site_drop(struct sk_buff *skb, struct genl_info *info)
{
	struct khttpd_content *content;
	const char *why = NULL;
	int err;

	err = control_pre_doit(info) ?: mutex_lock_killable(&control_lock);
	if (err)
		return err;
	content = khttpd_content_builtin(0, &why);
	err = control_swap(info, content, why);
	mutex_unlock(&control_lock);
	return err;
}

/* ----------------------------------------------------------------- connections */

/*
 * A dump goes on from where it stopped, over many calls, until user space has taken all or goes;
 * netlink holds a reference on the module meanwhile.
 */
struct conn_dump {
	struct khttpd_conns_cursor cursor;
	struct khttpd_conn_info info;
	bool pending; /* @info was not sent yet */
};

static int control_conns_start(struct netlink_callback *cb)
{
	struct conn_dump *dump;
	int err;

	err = control_check_net(sock_net(cb->skb->sk), cb->extack);
	if (err)
		return err;
	dump = kzalloc(sizeof(*dump), GFP_KERNEL);
	if (!dump)
		return -ENOMEM;
	khttpd_conns_begin(&dump->cursor, control_server);
	cb->args[0] = (long)dump;
	return 0;
}

static int put_conn(struct sk_buff *skb, const struct khttpd_conn_info *info)
{
	struct nlattr *nest = nla_nest_start(skb, KHTTPD_A_CONN);

	if (!nest ||
	    nla_put(skb, KHTTPD_A_CONN_ADDRESS, info->family == AF_INET6 ? 16 : 4,
		    &info->address) ||
	    nla_put_u16(skb, KHTTPD_A_CONN_PORT, info->port) ||
	    nla_put_u8(skb, KHTTPD_A_CONN_STATE, info->phase) ||
	    nla_put_u64_64bit(skb, KHTTPD_A_CONN_AGE, info->age_ms, KHTTPD_A_CONN_PAD) ||
	    nla_put_u64_64bit(skb, KHTTPD_A_CONN_QUIET, info->quiet_ms, KHTTPD_A_CONN_PAD) ||
	    nla_put_u32(skb, KHTTPD_A_CONN_REQUESTS, info->requests) ||
	    nla_put_u64_64bit(skb, KHTTPD_A_CONN_BYTES, info->bytes, KHTTPD_A_CONN_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int control_conns_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct conn_dump *dump = (struct conn_dump *)cb->args[0];
	void *head;

	for (;;) {
		if (!dump->pending && !khttpd_conns_next(&dump->cursor, &dump->info))
			break;
		dump->pending = true;
		head = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
				   &control_family, NLM_F_MULTI, KHTTPD_CMD_CONN_GET);
		if (!head)
			break;
		if (put_conn(skb, &dump->info)) {
			genlmsg_cancel(skb, head);
			break;
		}
		genlmsg_end(skb, head);
		dump->pending = false;
	}
	return skb->len;
}

static int control_conns_done(struct netlink_callback *cb)
{
	struct conn_dump *dump = (struct conn_dump *)cb->args[0];

	if (dump) {
		khttpd_conns_end(&dump->cursor);
		kfree(dump);
	}
	return 0;
}

/* ----------------------------------------------------------------- the family */

static const struct nla_policy control_policy[KHTTPD_A_FD + 1] = {
	[KHTTPD_A_FD] = { .type = NLA_U32 },
};

static const struct genl_ops control_ops[] = {
	{
		.cmd = KHTTPD_CMD_STATE_GET,
		.doit = control_state_get,
	},
	{
		.cmd = KHTTPD_CMD_STATS_GET,
		.doit = control_stats_get,
	},
	{
		.cmd = KHTTPD_CMD_CONN_GET,
		.flags = GENL_ADMIN_PERM,
		.start = control_conns_start,
		.dumpit = control_conns_dump,
		.done = control_conns_done,
	},
	{
		.cmd = KHTTPD_CMD_SITE_LOAD,
		.flags = GENL_ADMIN_PERM,
		.doit = control_site_load,
	},
	{
		.cmd = KHTTPD_CMD_SITE_DROP,
		.flags = GENL_ADMIN_PERM,
		.doit = control_site_drop,
	},
};

static struct genl_family control_family = {
	.name = KHTTPD_GENL_NAME,
	.version = KHTTPD_GENL_VERSION,
	.maxattr = ARRAY_SIZE(control_policy) - 1,
	.policy = control_policy,
	.netnsok = true,
	.parallel_ops = true,
	.module = THIS_MODULE,
	.ops = control_ops,
	.n_ops = ARRAY_SIZE(control_ops),
	.resv_start_op = KHTTPD_CMD_UNSPEC + 1,
};

int khttpd_control_start(struct khttpd_server *srv, const struct khttpd_config *config)
{
	int err;

	control_server = srv;
	control_config = *config;
	err = genl_register_family(&control_family);
	if (err)
		pr_err("cannot register the netlink family: error %d\n", err);
	return err;
}

void khttpd_control_stop(void)
{
	genl_unregister_family(&control_family);
	control_server = NULL;
}
