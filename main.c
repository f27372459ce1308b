// SPDX-License-Identifier: MIT OR GPL-2.0
/* The module: parameters, start and end. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "control.h"
#include "core/request.h"
#include "http_server.h"
#include "khttpd_netlink.h"

#define MAX_TIMEOUT_MS (24 * 3600 * 1000)

struct khttpd_params khttpd_params = {
	.first_byte_timeout_ms = 10000,
	.header_timeout_ms = 10000,
	.idle_timeout_ms = 60000,
	.send_timeout_ms = 30000,
	.linger_timeout_ms = 5000,
	.max_conns = 65536,
	.max_conns_per_ip = 0,
	.max_requests = 0,
	.max_head = 16384,
	.max_target = 8192,
	.max_body = 1048576,
	.max_site_bytes = 1U << 30,
};

static unsigned int port = 8081;
static unsigned int backlog = 4096;
static unsigned int shards;
static unsigned int debug_large;
static char *bind = "::";
static char *site = "";

/* A number that must lie between two others. */
struct bounded {
	unsigned int *value;
	unsigned int min;
	unsigned int max;
};

static int bounded_set(const char *text, const struct kernel_param *kp)
{
	const struct bounded *b = kp->arg;
	unsigned int value;

	if (kstrtouint(text, 0, &value) || value < b->min || value > b->max) {
		pr_err("%s must be a number from %u to %u\n", kp->name, b->min, b->max);
		return -EINVAL;
	}
	WRITE_ONCE(*b->value, value);
	return 0;
}

static int bounded_get(char *buf, const struct kernel_param *kp)
{
	const struct bounded *b = kp->arg;

	return sysfs_emit(buf, "%u\n", READ_ONCE(*b->value));
}

static const struct kernel_param_ops bounded_ops = {
	.set = bounded_set,
	.get = bounded_get,
};

#define BOUNDED(name, var, lo, hi, mode, text)                                                     \
	static const struct bounded bounded_##name = { .value = (var), .min = (lo), .max = (hi) }; \
	module_param_cb(name, &bounded_ops, (void *)&bounded_##name, mode);                        \
	MODULE_PARM_DESC(name, text)

#define TUNABLE(name, lo, hi, text) BOUNDED(name, &khttpd_params.name, lo, hi, 0644, text)

BOUNDED(port, &port, 1, 65535, 0444, "TCP port (8081)");
BOUNDED(backlog, &backlog, 1, 65535, 0444, "connections waiting to be accepted, per shard (4096)");
BOUNDED(shards, &shards, 0, KHTTPD_MAX_SHARDS, 0444,
	"listeners and accept threads; 0: one per online CPU (0)");
BOUNDED(debug_large, &debug_large, 0, UINT_MAX, 0444,
	"for tests: bytes of an object at /large.bin; 0: none (0)");
module_param(bind, charp, 0444);
MODULE_PARM_DESC(bind, "address to listen on; ::, all addresses, IPv4 too (::)");
module_param(site, charp, 0444);
MODULE_PARM_DESC(site, "site image to serve from the start; none: a built-in page");

TUNABLE(first_byte_timeout_ms, 1, MAX_TIMEOUT_MS,
	"close a new connection that sends nothing for so long (10000)");
TUNABLE(header_timeout_ms, 1, MAX_TIMEOUT_MS,
	"408 for a request not complete so long after its first byte (10000)");
TUNABLE(idle_timeout_ms, 1, MAX_TIMEOUT_MS,
	"close a connection so long after its last reply (60000)");
TUNABLE(send_timeout_ms, 1, MAX_TIMEOUT_MS,
	"reset a connection that takes nothing of a reply for so long (30000)");
TUNABLE(linger_timeout_ms, 1, MAX_TIMEOUT_MS,
	"wait so long for the peer to close after a last reply (5000)");
TUNABLE(max_conns, 1, INT_MAX, "connections at a time; the longest idle makes room (65536)");
TUNABLE(max_conns_per_ip, 0, INT_MAX,
	"connections at a time per IPv4 address or IPv6 /64; 0: no limit (0)");
TUNABLE(max_requests, 0, UINT_MAX, "requests per connection; 0: no limit (0)");
TUNABLE(max_head, KHTTPD_MIN_HEAD, KHTTPD_MAX_HEAD, "bytes of a request's head, else 431 (16384)");
TUNABLE(max_target, 1, KHTTPD_MAX_HEAD, "bytes of a request's target, else 414 (8192)");
TUNABLE(max_body, 0, UINT_MAX, "bytes of a request's body that are read past, else 413 (1048576)");
TUNABLE(max_site_bytes, 1, UINT_MAX, "bytes of site content held in memory (1073741824)");

static struct khttpd_server *server;

/* What is served first: the image at @site, or the built-in page. */
static struct khttpd_content *__init content_create(void)
{
	struct khttpd_content *content;
	const char *why = "";
	struct file *file;

	if (!*site) {
		content = khttpd_content_builtin(debug_large, &why);
		if (IS_ERR(content))
			pr_err("the built-in site: %s\n", why);
		return content;
	}
	file = filp_open(site, O_RDONLY | O_LARGEFILE, 0);
	if (IS_ERR(file)) {
		pr_err("cannot open site=%s: error %ld\n", site, PTR_ERR(file));
		return ERR_CAST(file);
	}
	content = khttpd_content_read(file, khttpd_params.max_site_bytes, &why);
	if (IS_ERR(content))
		pr_err("cannot serve site=%s: %s\n", site, why);
	fput(file);
	return content;
}

static int __init khttpd_init(void)
{
	struct khttpd_config config = {
		.bind = bind,
		.port = port,
		.backlog = backlog,
		.shards = shards,
	};
	int err;

	if (debug_large > khttpd_params.max_site_bytes) {
		pr_err("debug_large is more than max_site_bytes\n");
		return -EINVAL;
	}
	config.content = content_create();
	if (IS_ERR(config.content))
		return PTR_ERR(config.content);
	server = khttpd_server_start(&config);
	if (IS_ERR(server))
		return PTR_ERR(server);
	err = khttpd_control_start(server, &config);
	if (err)
		khttpd_server_stop(server);
	return err;
}

static void __exit khttpd_exit(void)
{
	khttpd_control_stop();
	khttpd_server_stop(server);
	pr_info("stopped\n");
}

module_init(khttpd_init);
module_exit(khttpd_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_AUTHOR("The khttpd authors");
MODULE_DESCRIPTION("Static HTTP/1.1 server");
MODULE_VERSION(KHTTPD_VERSION);
