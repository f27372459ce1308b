// SPDX-License-Identifier: MIT OR GPL-2.0
/* Talks to khttpd.ko. */
#include "netlink.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A dump is sent in parts of up to 32 KiB (NLMSG_GOODSIZE of the reader's buffer). */
#define BUFFER_SIZE 32768

struct module {
	struct mnl_socket *sock;
	uint16_t family;
	uint32_t seq;
	char buf[BUFFER_SIZE];
};

/* What one exchange collects: the reply handler and what the kernel says of an error. */
struct exchange {
	void (*reply)(const struct nlmsghdr *nlh, void *context);
	void *context;
	int error;
	char why[256];
};

static int on_message(const struct nlmsghdr *nlh, void *data)
{
	struct exchange *x = data;

	if (x->reply)
		x->reply(nlh, x->context);
	return MNL_CB_OK;
}

static int find_message(const struct nlattr *attr, void *data)
{
	struct exchange *x = data;

	if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
	    !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
		snprintf(x->why, sizeof(x->why), "%s", mnl_attr_get_str(attr));
	return MNL_CB_OK;
}

/* An error, or the acknowledgment; with the kernel's own words if it has any (extended ack). */
static int on_error(const struct nlmsghdr *nlh, void *data)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	unsigned int skip = sizeof(*e);
	struct exchange *x = data;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e)) {
		x->error = EBADMSG;
		return MNL_CB_STOP;
	}
	x->error = -e->error;
	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS) {
		if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
			skip += e->msg.nlmsg_len - NLMSG_HDRLEN;
		if (skip <= mnl_nlmsg_get_payload_len(nlh))
			mnl_attr_parse(nlh, skip, find_message, x);
	}
	return MNL_CB_STOP;
}

/* The end of a dump carries an error, too. */
static int on_done(const struct nlmsghdr *nlh, void *data)
{
	struct exchange *x = data;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(int))
		x->error = -*(const int *)mnl_nlmsg_get_payload(nlh);
	return MNL_CB_STOP;
}

static int exchange(struct module *m, uint16_t type, uint8_t cmd, uint8_t version, bool dump,
		    void (*add)(struct nlmsghdr *nlh, const void *value), const void *value,
		    struct exchange *x)
{
	static mnl_cb_t control[] = {
		[NLMSG_ERROR] = on_error,
		[NLMSG_DONE] = on_done,
	};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(m->buf);
	struct genlmsghdr *genl;
	ssize_t n;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK);
	nlh->nlmsg_seq = ++m->seq;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = version;
	if (add)
		add(nlh, value);
	if (mnl_socket_sendto(m->sock, nlh, nlh->nlmsg_len) < 0)
		return errno;
	for (;;) {
		n = mnl_socket_recvfrom(m->sock, m->buf, sizeof(m->buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		n = mnl_cb_run2(m->buf, n, m->seq, mnl_socket_get_portid(m->sock), on_message, x,
				control, sizeof(control) / sizeof(*control));
		if (n < 0)
			return errno;
		if (n == MNL_CB_STOP)
			return x->error;
	}
}

static void add_name(struct nlmsghdr *nlh, const void *value)
{
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, value);
}

static void add_fd(struct nlmsghdr *nlh, const void *value)
{
	mnl_attr_put_u32(nlh, KHTTPD_A_FD, *(const int *)value);
}

static void family_reply(const struct nlmsghdr *nlh, void *context)
{
	const struct nlattr *attrs[CTRL_ATTR_FAMILY_ID + 1];

	attrs_of_reply(nlh, attrs, CTRL_ATTR_FAMILY_ID);
	*(uint16_t *)context = attr_number(attrs[CTRL_ATTR_FAMILY_ID]);
}

struct module *module_open(void)
{
	struct module *m = calloc(1, sizeof(*m));
	struct exchange x = { .reply = family_reply };
	int on = 1, error;

	if (!m) {
		complain("out of memory");
		return NULL;
	}
	x.context = &m->family;
	m->sock = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!m->sock || mnl_socket_bind(m->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		error = errno;
		complain("cannot open a netlink socket: %s", strerror(error));
		module_close(m);
		errno = error;
		return NULL;
	}
	/* Older kernels lack these; then messages are shorter, and broken ones are not refused */
	mnl_socket_setsockopt(m->sock, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(m->sock, NETLINK_CAP_ACK, &on, sizeof(on));
	error = exchange(m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, false, add_name, KHTTPD_GENL_NAME,
			 &x);
	if (error || !m->family) {
		if (error == ENOENT || !error)
			complain("khttpd.ko is not loaded; load it with: insmod khttpd.ko");
		else
			complain("cannot ask for the module: %s", strerror(error));
		module_close(m);
		errno = error ? error : ENOENT;
		return NULL;
	}
	return m;
}

void module_close(struct module *m)
{
	if (!m)
		return;
	if (m->sock)
		mnl_socket_close(m->sock);
	free(m);
}

int module_events(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	int group = GENL_ID_CTRL; /* the controller's has the controller's number */

	if (fd < 0 || (!bind(fd, (struct sockaddr *)&address, sizeof(address)) &&
		       !setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))))
		return fd;
	close(fd);
	return -1;
}

bool module_ask(struct module *m, enum khttpd_cmd cmd, bool dump, int fd,
		void (*reply)(const struct nlmsghdr *nlh, void *context), void *context)
{
	struct exchange x = { .reply = reply, .context = context };
	int error;

	error = exchange(m, m->family, cmd, KHTTPD_GENL_VERSION, dump, fd >= 0 ? add_fd : NULL, &fd,
			 &x);
	if (!error)
		return true;
	if (*x.why)
		complain("the module refuses: %s", x.why);
	else if (error == EPERM)
		complain(
			"not allowed: this needs CAP_NET_ADMIN, so run it as root, outside of containers");
	else if (error == EOPNOTSUPP)
		complain("the module does not know this command: it is older than this khttpctl");
	else
		complain("the module answers: %s", strerror(error));
	return false;
}

/* --- attributes --- */

struct table {
	const struct nlattr **attrs;
	unsigned int max;
};

static int keep_attr(const struct nlattr *attr, void *data)
{
	struct table *t = data;

	if (mnl_attr_get_type(attr) <= t->max)
		t->attrs[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

void attrs_of_reply(const struct nlmsghdr *nlh, const struct nlattr **table, unsigned int max)
{
	struct table t = { table, max };

	memset(table, 0, (max + 1) * sizeof(*table));
	mnl_attr_parse(nlh, sizeof(struct genlmsghdr), keep_attr, &t);
}

void attrs_of_nest(const struct nlattr *nest, const struct nlattr **table, unsigned int max)
{
	struct table t = { table, max };

	memset(table, 0, (max + 1) * sizeof(*table));
	mnl_attr_parse_nested(nest, keep_attr, &t);
}

uint64_t attr_number(const struct nlattr *attr)
{
	if (!attr)
		return 0;
	switch (mnl_attr_get_payload_len(attr)) {
	case 1:
		return mnl_attr_get_u8(attr);
	case 2:
		return mnl_attr_get_u16(attr);
	case 4:
		return mnl_attr_get_u32(attr);
	case 8:
		return mnl_attr_get_u64(attr);
	}
	return 0;
}

const char *attr_text(const struct nlattr *attr)
{
	return attr && !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) ? mnl_attr_get_str(attr) : "";
}
