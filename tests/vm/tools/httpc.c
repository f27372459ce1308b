// SPDX-License-Identifier: MIT OR GPL-2.0
/* Many HTTP clients in one process: fetches that check every byte, idle ones, slow readers. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"usage: httpc fetch|idle|slow [OPTION]...\n"
	"  fetch  GET with Connection: close; complete = right head, every byte right, clean end\n"
	"  idle   one request each, then hold the connections open until standard input ends\n"
	"  slow   read 64 KiB, wait for the file of -w, read the rest and check every byte\n"
	"  -a ADDRESS (127.0.0.1)  -p PORT (8081)  -f PATH (/large.bin)\n"
	"  -n CLIENTS (1)          -c AT_A_TIME (all)  -g GOAL: enough complete ones (all)\n"
	"  -s BYTES: range to fetch, 0 = everything (0)\n"
	"  -e: half-close after the request, so that the server closes as soon as it has answered\n"
	"  -b BYTES: receive buffer  -t SECONDS: give up (30)  -w FILE\n"
	"Exit status: 0 if the goal was reached and no byte was wrong, 1 if not, 2 usage\n";

enum mode { FETCH, IDLE, SLOW };
enum state { CONNECTING, HEAD, BODY, REST, DONE };
enum result { RUNNING, COMPLETE, TRUNCATED, WRONG, BAD_HEAD, ERROR, N_RESULTS };

static const char *const result_names[N_RESULTS] = { "unfinished",  "complete", "truncated",
						     "wrong_bytes", "bad_head", "error" };

struct client {
	int fd;
	enum state state;
	enum result result;
	unsigned long first; /* offset of the body's first byte in the object */
	unsigned long length; /* of the body */
	unsigned long got;
	size_t head_len;
	char *head; /* HEAD_SIZE bytes while the head is incomplete */
};

#define HEAD_SIZE 2048

static struct {
	enum mode mode;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address;
	socklen_t address_len;
	const char *path, *wait_file;
	unsigned long port, n, at_a_time, goal, size, rcvbuf, seconds;
	bool half_close;
} opt = { .port = 8081, .path = "/large.bin", .n = 1, .seconds = 30 };

static struct client *clients;
static unsigned long counts[N_RESULTS], running, started;
static int epfd;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "httpc: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(2);
}

/* The content of /large.bin as the module defines it has a period of 64 KiB; here are two. */
static unsigned char pattern[2 * 65536];

static void make_pattern(void)
{
	unsigned long i;

	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = i * 31 + (i >> 8);
}

static void finish(struct client *c, enum result result)
{
	close(c->fd);
	c->fd = -1;
	c->state = DONE;
	c->result = result;
	counts[result]++;
	running--;
}

static void watch(struct client *c, int op, unsigned int events)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	if (epoll_ctl(epfd, op, c->fd, &e))
		die("epoll_ctl: %s", strerror(errno));
}

static void start(struct client *c)
{
	int size = opt.rcvbuf;

	c->fd = socket(opt.address.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		die("socket: %s", strerror(errno));
	if (size && setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)))
		die("SO_RCVBUF: %s", strerror(errno));
	c->first = (c - clients) * 977ul;
	started++;
	running++;
	if (connect(c->fd, &opt.address.sa, opt.address_len) && errno != EINPROGRESS)
		finish(c, ERROR);
	else
		watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

static void send_request(struct client *c)
{
	char range[64] = "", request[512];
	int len;

	if (opt.size)
		snprintf(range, sizeof(range), "Range: bytes=%lu-%lu\r\n", c->first,
			 c->first + opt.size - 1);
	else
		c->first = 0;
	len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: test\r\n%s%s\r\n",
		       opt.path, range, opt.mode == FETCH ? "Connection: close\r\n" : "");
	/* A new connection has room for a few hundred bytes; anything else is an error. */
	if (send(c->fd, request, len, MSG_NOSIGNAL) != len) {
		finish(c, ERROR);
		return;
	}
	if (opt.half_close && shutdown(c->fd, SHUT_WR)) {
		finish(c, ERROR);
		return;
	}
	c->state = HEAD;
	watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

/* Check @len bytes (64 KiB at most) of the body; only /large.bin has a known content. */
static bool check_body(struct client *c, const unsigned char *p, size_t len)
{
	const unsigned char *want = pattern + (c->first + c->got) % 65536;
	size_t i = 0;

	if (len > c->length - c->got) {
		finish(c, BAD_HEAD);
		return false;
	}
	if (!strcmp(opt.path, "/large.bin") && memcmp(p, want, len)) {
		while (p[i] == want[i])
			i++;
		fprintf(stderr, "httpc: byte %zu is %#x, expected %#x\n", c->first + c->got + i,
			p[i], want[i]);
		finish(c, WRONG);
		return false;
	}
	c->got += len;
	return true;
}

static bool parse_head(struct client *c, const char *p, size_t len)
{
	size_t n = HEAD_SIZE - 1 - c->head_len;
	const char *field;
	char *end;
	size_t before = c->head_len;

	if (!c->head)
		c->head = malloc(HEAD_SIZE);
	if (!c->head)
		die("no memory");
	if (n > len)
		n = len;
	memcpy(c->head + c->head_len, p, n);
	c->head_len += n;
	c->head[c->head_len] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (!end) {
		if (c->head_len == HEAD_SIZE - 1)
			finish(c, BAD_HEAD);
		return false;
	}
	field = strstr(c->head, "\r\nContent-Length: ");
	if (strncmp(c->head, opt.size ? "HTTP/1.1 206 " : "HTTP/1.1 200 ", 13) || !field ||
	    field > end) {
		finish(c, BAD_HEAD);
		return false;
	}
	c->length = strtoul(field + 18, NULL, 10);
	if (opt.size && c->length != opt.size) {
		finish(c, BAD_HEAD);
		return false;
	}
	c->state = BODY;
	n = end + 4 - c->head - before; /* bytes of p that belong to the head */
	free(c->head);
	c->head = NULL;
	return check_body(c, (const unsigned char *)p + n, len - n);
}

static void receive(struct client *c)
{
	static char buf[65536];
	unsigned long total = 0;

	while (c->state != DONE && total < 1 << 20) {
		ssize_t len = recv(c->fd, buf, sizeof(buf), 0);

		if (len < 0) {
			if (errno != EAGAIN)
				finish(c, ERROR);
			return;
		}
		if (!len) {
			finish(c, c->state != HEAD && c->got == c->length ? COMPLETE : TRUNCATED);
			return;
		}
		total += len;
		if (c->state == HEAD)
			parse_head(c, buf, len);
		else
			check_body(c, (unsigned char *)buf, len);
		if (c->state == DONE)
			return;
		if (c->state == BODY && opt.mode == IDLE && c->got == c->length) {
			c->state = REST; /* idle from now on; its end is noticed by poll() */
			counts[COMPLETE]++;
			running--;
			epoll_ctl(epfd, EPOLL_CTL_DEL, c->fd, NULL);
			return;
		}
		if (c->state == BODY && opt.mode == SLOW && opt.wait_file && c->got >= 65536) {
			epoll_ctl(epfd, EPOLL_CTL_DEL, c->fd, NULL);
			return;
		}
		if (opt.mode == SLOW && c->got == c->length) {
			finish(c, COMPLETE);
			return;
		}
	}
}

static void run(double end, unsigned long goal)
{
	struct epoll_event events[256];
	bool released = !opt.wait_file;
	int i, n;

	while (now() < end && counts[COMPLETE] < goal && (running || started < opt.n)) {
		while (started < opt.n && running < opt.at_a_time)
			start(&clients[started]);
		if (!released && !access(opt.wait_file, F_OK)) {
			released = true;
			for (i = 0; i < (int)opt.n; i++)
				if (clients[i].state == BODY && clients[i].got >= 65536) {
					clients[i].state = REST;
					watch(&clients[i], EPOLL_CTL_ADD, EPOLLIN);
				}
			opt.wait_file = NULL;
		}
		n = epoll_wait(epfd, events, 256, 50);
		for (i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (c->state == CONNECTING && events[i].events & (EPOLLERR | EPOLLHUP))
				finish(c, ERROR);
			else if (c->state == CONNECTING)
				send_request(c);
			else if (c->state != DONE)
				receive(c);
		}
	}
}

static unsigned long count_closed(void)
{
	unsigned long i, closed = 0;

	for (i = 0; i < opt.n; i++) {
		struct pollfd p = { .fd = clients[i].fd, .events = POLLIN };

		if (clients[i].state == REST && poll(&p, 1, 0) > 0)
			closed++;
	}
	return closed;
}

/*
 * Hold idle connections until standard input ends; count those that the server closed. When it
 * closes thousands at once some FINs are lost in the loopback's queue: give them time.
 */
static void hold(void)
{
	unsigned long at_once;
	const struct timespec a_moment = { .tv_nsec = 100000000 };
	double end;
	char c;

	while (read(0, &c, 1) > 0)
		;
	at_once = count_closed();
	end = now() + 5;
	while (at_once && count_closed() < opt.n && now() < end)
		nanosleep(&a_moment, NULL);
	printf("closed_at_once=%lu closed_by_server=%lu\n", at_once, count_closed());
}

static void parse_options(int argc, char **argv)
{
	static const struct {
		char letter;
		unsigned long *value;
	} numbers[] = { { 'p', &opt.port },   { 'n', &opt.n },	  { 'c', &opt.at_a_time },
			{ 'g', &opt.goal },   { 's', &opt.size }, { 'b', &opt.rcvbuf },
			{ 't', &opt.seconds } };
	const char *address = "127.0.0.1";
	size_t i;
	int o;

	if (argc < 2)
		die("a command is missing\n%s", usage);
	if (!strcmp(argv[1], "fetch"))
		opt.mode = FETCH;
	else if (!strcmp(argv[1], "idle"))
		opt.mode = IDLE;
	else if (!strcmp(argv[1], "slow"))
		opt.mode = SLOW;
	else
		die("no such command: %s\n%s", argv[1], usage);
	argc--;
	argv++;
	while ((o = getopt(argc, argv, "a:f:w:p:n:c:g:s:b:t:e")) != -1) {
		for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			if (numbers[i].letter == o)
				*numbers[i].value = strtoul(optarg, NULL, 10);
		if (o == '?')
			die("%s", usage);
		else if (o == 'a')
			address = optarg;
		else if (o == 'f')
			opt.path = optarg;
		else if (o == 'w')
			opt.wait_file = optarg;
		else if (o == 'e')
			opt.half_close = true;
	}
	if (optind != argc || !opt.n)
		die("%s", usage);
	if (!opt.at_a_time || opt.at_a_time > opt.n)
		opt.at_a_time = opt.n;
	if (!opt.goal || opt.goal > opt.n)
		opt.goal = opt.n;
	if (inet_pton(AF_INET, address, &opt.address.in.sin_addr) == 1) {
		opt.address.in.sin_family = AF_INET;
		opt.address.in.sin_port = htons(opt.port);
		opt.address_len = sizeof(opt.address.in);
	} else if (inet_pton(AF_INET6, address, &opt.address.in6.sin6_addr) == 1) {
		opt.address.in6.sin6_family = AF_INET6;
		opt.address.in6.sin6_port = htons(opt.port);
		opt.address_len = sizeof(opt.address.in6);
	} else {
		die("not an address: %s", address);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	double begin;
	int i;

	parse_options(argc, argv);
	make_pattern();
	files.rlim_max = opt.n + 64;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) && opt.n > 900)
		die("cannot have %lu files open: %s", opt.n + 64, strerror(errno));
	clients = calloc(opt.n, sizeof(*clients));
	epfd = epoll_create1(0);
	if (!clients || epfd < 0)
		die("cannot start: %s", strerror(errno));
	begin = now();
	run(begin + opt.seconds, opt.goal);
	counts[RUNNING] = running;
	printf("clients=%lu", opt.n);
	for (i = COMPLETE; i < N_RESULTS; i++)
		printf(" %s=%lu", result_names[i], counts[i]);
	printf(" %s=%lu seconds=%.1f\n", result_names[RUNNING], counts[RUNNING], now() - begin);
	fflush(stdout);
	if (opt.mode == IDLE && counts[COMPLETE] == opt.n)
		hold();
	return counts[COMPLETE] < opt.goal || counts[WRONG] || counts[BAD_HEAD];
}
