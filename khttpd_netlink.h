/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * The generic netlink family "khttpd", for the module and for user space. docs/netlink/khttpd.yaml
 * describes it; numbers are only ever added.
 */
#ifndef KHTTPD_NETLINK_H
#define KHTTPD_NETLINK_H

#define KHTTPD_VERSION "0.1.0" /* of module and tools, which come together */

#define KHTTPD_GENL_NAME "khttpd"
#define KHTTPD_GENL_VERSION 1

/* Commands. All but STATE_GET and STATS_GET need CAP_NET_ADMIN; all the server's namespace. */
enum khttpd_cmd {
	KHTTPD_CMD_UNSPEC,
	KHTTPD_CMD_STATE_GET, /* do: state of the server */
	KHTTPD_CMD_STATS_GET, /* do: counters */
	KHTTPD_CMD_CONN_GET, /* dump: connections */
	KHTTPD_CMD_SITE_LOAD, /* do: KHTTPD_A_FD: serve the image in that file */
	KHTTPD_CMD_SITE_DROP, /* do: serve the built-in page */
	__KHTTPD_CMD_MAX,
	KHTTPD_CMD_MAX = __KHTTPD_CMD_MAX - 1,
};

/* Attributes of every message. */
enum khttpd_attr {
	KHTTPD_A_UNSPEC,
	KHTTPD_A_PAD,
	KHTTPD_A_FD, /* u32, SITE_LOAD: an open file of the caller */
	KHTTPD_A_VERSION, /* string: of the module */
	KHTTPD_A_IMAGE_VERSION, /* u32: of the image format that it reads */
	KHTTPD_A_BIND, /* string: address as it was given */
	KHTTPD_A_PORT, /* u16 */
	KHTTPD_A_SHARDS, /* u32 */
	KHTTPD_A_BACKLOG, /* u32 */
	KHTTPD_A_PARAM, /* nest, several: KHTTPD_A_PARAM_* */
	KHTTPD_A_CONNS, /* u32: connections now */
	KHTTPD_A_IMAGES, /* u32: images in memory; more than 1 while old replies are sent */
	KHTTPD_A_SITE, /* nest: KHTTPD_A_SITE_* */
	KHTTPD_A_STAT, /* nest, several: KHTTPD_A_STAT_* */
	KHTTPD_A_REPLIES, /* nest, several: KHTTPD_A_REPLIES_* */
	KHTTPD_A_CONN, /* nest: KHTTPD_A_CONN_* */
	__KHTTPD_A_MAX,
	KHTTPD_A_MAX = __KHTTPD_A_MAX - 1,
};

enum khttpd_attr_param {
	KHTTPD_A_PARAM_UNSPEC,
	KHTTPD_A_PARAM_NAME, /* string */
	KHTTPD_A_PARAM_VALUE, /* u32 */
	__KHTTPD_A_PARAM_MAX,
	KHTTPD_A_PARAM_MAX = __KHTTPD_A_PARAM_MAX - 1,
};

enum khttpd_attr_site {
	KHTTPD_A_SITE_UNSPEC,
	KHTTPD_A_SITE_PAD,
	KHTTPD_A_SITE_NAME, /* string */
	KHTTPD_A_SITE_DIGEST, /* 16 bytes */
	KHTTPD_A_SITE_BYTES, /* u32 */
	KHTTPD_A_SITE_ENTRIES, /* u32 */
	KHTTPD_A_SITE_HOSTS, /* u32 */
	KHTTPD_A_SITE_SINCE, /* u64: seconds since 1970-01-01 UTC */
	KHTTPD_A_SITE_BUILTIN, /* flag: no image is loaded */
	__KHTTPD_A_SITE_MAX,
	KHTTPD_A_SITE_MAX = __KHTTPD_A_SITE_MAX - 1,
};

enum khttpd_attr_stat {
	KHTTPD_A_STAT_UNSPEC,
	KHTTPD_A_STAT_PAD,
	KHTTPD_A_STAT_ID, /* u32: enum khttpd_stat */
	KHTTPD_A_STAT_VALUE, /* u64 */
	__KHTTPD_A_STAT_MAX,
	KHTTPD_A_STAT_MAX = __KHTTPD_A_STAT_MAX - 1,
};

enum khttpd_attr_replies {
	KHTTPD_A_REPLIES_UNSPEC,
	KHTTPD_A_REPLIES_PAD,
	KHTTPD_A_REPLIES_STATUS, /* u16: status code */
	KHTTPD_A_REPLIES_VALUE, /* u64 */
	__KHTTPD_A_REPLIES_MAX,
	KHTTPD_A_REPLIES_MAX = __KHTTPD_A_REPLIES_MAX - 1,
};

enum khttpd_attr_conn {
	KHTTPD_A_CONN_UNSPEC,
	KHTTPD_A_CONN_PAD,
	KHTTPD_A_CONN_ADDRESS, /* 4 or 16 bytes: the peer's */
	KHTTPD_A_CONN_PORT, /* u16: the peer's */
	KHTTPD_A_CONN_STATE, /* u8: enum khttpd_conn_state */
	KHTTPD_A_CONN_AGE, /* u64: milliseconds since accept */
	KHTTPD_A_CONN_QUIET, /* u64: milliseconds since the state began or made progress */
	KHTTPD_A_CONN_REQUESTS, /* u32 */
	KHTTPD_A_CONN_BYTES, /* u64: given to TCP */
	__KHTTPD_A_CONN_MAX,
	KHTTPD_A_CONN_MAX = __KHTTPD_A_CONN_MAX - 1,
};

/* What a connection does. */
enum khttpd_conn_state {
	KHTTPD_CONN_FIRST, /* nothing was received yet */
	KHTTPD_CONN_HEAD, /* a request is being received */
	KHTTPD_CONN_IDLE, /* between two requests */
	KHTTPD_CONN_SEND, /* the peer has yet to take a reply */
	KHTTPD_CONN_LINGER, /* the last reply was sent, waiting for the peer to close */
};

/* Counters since the module was loaded. */
enum khttpd_stat {
	KHTTPD_STAT_UNSPEC,
	KHTTPD_STAT_ACCEPTED, /* connections */
	KHTTPD_STAT_CLOSED, /* connections */
	KHTTPD_STAT_REFUSED_CONNS, /* connections at max_conns */
	KHTTPD_STAT_REFUSED_PEER, /* connections at max_conns_per_ip */
	KHTTPD_STAT_REFUSED_MEMORY, /* connections, for want of memory */
	KHTTPD_STAT_SHED, /* idle connections closed to make room */
	KHTTPD_STAT_TIMEOUT_FIRST, /* time-outs, by the phase whose time was up */
	KHTTPD_STAT_TIMEOUT_HEAD,
	KHTTPD_STAT_TIMEOUT_IDLE,
	KHTTPD_STAT_TIMEOUT_SEND,
	KHTTPD_STAT_TIMEOUT_LINGER,
	KHTTPD_STAT_BYTES, /* bytes given to TCP */
	KHTTPD_STAT_SITES, /* images that came to be served */
	KHTTPD_STAT_CUT, /* connections whose reply came from an image replaced long ago */
	__KHTTPD_STAT_MAX,
	KHTTPD_STAT_MAX = __KHTTPD_STAT_MAX - 1,
};

#endif
