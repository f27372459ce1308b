// SPDX-License-Identifier: MIT OR GPL-2.0
/* khttpctl conns: the connections of the module. */
#include <arpa/inet.h>
#include <err.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "khttpctl.h"
#include "netlink.h"

static const char *const states[] = {
	[KHTTPD_CONN_FIRST] = "first", [KHTTPD_CONN_HEAD] = "head",	[KHTTPD_CONN_IDLE] = "idle",
	[KHTTPD_CONN_SEND] = "send",   [KHTTPD_CONN_LINGER] = "linger",
};

/* One connection, printed as it comes: there may be very many. */
static void show(const struct nlmsghdr *nlh, void *context)
{
	const struct nlattr *attrs[KHTTPD_A_MAX + 1], *conn[KHTTPD_A_CONN_MAX + 1];
	char address[INET6_ADDRSTRLEN] = "?", peer[INET6_ADDRSTRLEN + 16];
	bool json = *(bool *)context, v6;
	unsigned int state, port;
	json_t *object;
	size_t len;

	attrs_of_reply(nlh, attrs, KHTTPD_A_MAX);
	if (!attrs[KHTTPD_A_CONN])
		return;
	attrs_of_nest(attrs[KHTTPD_A_CONN], conn, KHTTPD_A_CONN_MAX);
	len = conn[KHTTPD_A_CONN_ADDRESS] ? mnl_attr_get_payload_len(conn[KHTTPD_A_CONN_ADDRESS]) :
					    0;
	v6 = len == 16;
	if (v6 || len == 4)
		inet_ntop(v6 ? AF_INET6 : AF_INET,
			  mnl_attr_get_payload(conn[KHTTPD_A_CONN_ADDRESS]), address,
			  sizeof(address));
	port = attr_number(conn[KHTTPD_A_CONN_PORT]);
	state = attr_number(conn[KHTTPD_A_CONN_STATE]);
	if (state >= sizeof(states) / sizeof(*states))
		state = KHTTPD_CONN_LINGER;
	if (json) {
		object = json_pack("{s:s, s:i, s:s, s:I, s:I, s:I, s:I}", "address", address,
				   "port", (int)port, "state", states[state], "age_ms",
				   (json_int_t)attr_number(conn[KHTTPD_A_CONN_AGE]), "quiet_ms",
				   (json_int_t)attr_number(conn[KHTTPD_A_CONN_QUIET]), "requests",
				   (json_int_t)attr_number(conn[KHTTPD_A_CONN_REQUESTS]), "bytes",
				   (json_int_t)attr_number(conn[KHTTPD_A_CONN_BYTES]));
		if (!object || json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER))
			err(EXIT_FAILURE, "out of memory");
		putchar('\n');
		json_decref(object);
		return;
	}
	snprintf(peer, sizeof(peer), v6 ? "[%s]:%u" : "%s:%u", address, port);
	printf("%-47s %-6s %10.1f %10.1f %10llu %15llu\n", peer, states[state],
	       attr_number(conn[KHTTPD_A_CONN_AGE]) / 1e3,
	       attr_number(conn[KHTTPD_A_CONN_QUIET]) / 1e3,
	       (unsigned long long)attr_number(conn[KHTTPD_A_CONN_REQUESTS]),
	       (unsigned long long)attr_number(conn[KHTTPD_A_CONN_BYTES]));
}

int cmd_conns(int argc, char **argv)
{
	bool json = wants_json(
		argc, argv, "print JSON, one object a line",
		"List the connections: peer, state, seconds since it was accepted and since the state began, requests, bytes sent.");
	struct module *m;
	bool done;

	m = module_open();
	if (m && !json)
		printf("%-47s %-6s %10s %10s %10s %15s\n", "PEER", "STATE", "AGE", "QUIET",
		       "REQUESTS", "BYTES");
	done = m && module_ask(m, KHTTPD_CMD_CONN_GET, true, -1, show, &json);
	module_close(m);
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
