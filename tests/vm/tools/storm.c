// SPDX-License-Identifier: MIT OR GPL-2.0
/* A random crowd of HTTP clients, good and bad, that checks every byte of every answer. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"usage: storm [OPTION]...\n"
	"Random clients of http://ADDRESS:PORT, where /large.bin must be khttpd's test object.\n"
	"  -a ADDRESS (127.0.0.1)  -p PORT (8081)  -n CLIENTS at a time (100)  -t SECONDS (30)\n"
	"  -l BYTES: size of /large.bin  -s SEED: same seed, same clients (1)\n"
	"  -d SECONDS: a client that waits longer for what it must get is left hanging (60)\n"
	"  -m: memory is short: 503, refused, cut and hanging connections are no faults\n"
	"  -g: good clients only\n"
	"SIGUSR1: from now on the server may go away; SIGUSR2: it is back for good.\n"
	"Exit status: 0 if no answer was wrong and nobody was left hanging, 1 if not, 2 usage\n";

enum kind { GOOD, PIPELINED, BROKEN, SLOW, HALF_CLOSED, RESET, IDLE, SLOW_READER, SILENT, N_KINDS };

static const char *const kind_names[N_KINDS] = { "good", "pipelined",	"broken",
						 "slow", "half_closed", "reset",
						 "idle", "slow_reader", "silent" };

/*
 * How a client's life ended. The last ones are faults of the server, unless it was going away or
 * had no memory.
 */
enum end {
	ANSWERED, /* all that it asked for was answered, then the connection ended */
	ENOUGH, /* it went away itself, as it had planned */
	CLOSED, /* the server closed where it may: between answers, because of a limit or time */
	TURNED_AWAY, /* closed or reset without an answer */
	REFUSED, /* no connection */
	CUT, /* in the middle of an answer, or of a batch of them */
	HANGING, /* no answer, no end */
	WRONG, /* not the right answer */
	N_ENDS
};

static const char *const end_names[N_ENDS] = { "answered", "enough", "closed",	"turned_away",
					       "refused",  "cut",    "hanging", "WRONG" };

enum body { NO_BODY, PAGE, LARGE, ANY_BODY };

#define MAX_REQUESTS 40
#define OUT_SIZE 65536
#define HEAD_SIZE 2048

/* What must come for one request. */
struct expected {
	unsigned short status[4]; /* any of these */
	enum body body; /* with a 2xx; anything may come with an error */
	bool head; /* no body, whatever Content-Length says */
	bool last; /* nothing may come after it */
	unsigned int first, length; /* of LARGE */
	unsigned int end; /* where the request ends in out[] */
};

struct client {
	int fd;
	enum kind kind;
	bool connected, excused, shut, announced, paced, split, by_one;
	bool half_head; /* the last request is a part of a HEAD */
	unsigned long number;
	double began, deadline, wake;
	struct expected want[MAX_REQUESTS];
	unsigned int n_want, n_got;
	/* sending */
	char *out;
	unsigned int out_len, sent;
	/* receiving: the head, then the body of answer n_got */
	char head[HEAD_SIZE];
	unsigned int head_len;
	unsigned short status;
	bool in_body;
	unsigned long length, got;
	unsigned long reset_after, received;
};

static struct {
	struct sockaddr_in address;
	unsigned long n, seconds, large, patience;
	uint64_t seed;
	bool no_memory, good;
} opt = { .n = 100, .seconds = 30, .patience = 60, .seed = 1 };

static struct client *clients;
static unsigned long ends[N_KINDS][N_ENDS], answers, by_status[600], started, said;
static int epfd;
static volatile sig_atomic_t going_away, went_away;
static char page[8192], etag[64];
static unsigned int page_len;
static unsigned char pattern[3 * 65536];

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
	fprintf(stderr, "storm: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(2);
}

/* xorshift64* */
static unsigned int rnd(unsigned int below)
{
	opt.seed ^= opt.seed >> 12;
	opt.seed ^= opt.seed << 25;
	opt.seed ^= opt.seed >> 27;
	return (opt.seed * 2685821657736338717ull >> 33) % below;
}

/* ------------------------------------------------------------------ requests */

__attribute__((format(printf, 2, 3))) static void put(struct client *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	c->out_len += vsnprintf(c->out + c->out_len, OUT_SIZE - c->out_len, format, args);
	va_end(args);
	if (c->out_len >= OUT_SIZE)
		die("a request is too long");
}

static void put_fill(struct client *c, unsigned int n, char with)
{
	if (c->out_len + n >= OUT_SIZE)
		die("a request is too long");
	memset(c->out + c->out_len, with, n);
	c->out_len += n;
}

static struct expected *expect(struct client *c, unsigned short status, enum body body)
{
	struct expected *e = &c->want[c->n_want++];

	memset(e, 0, sizeof(*e));
	e->status[0] = status;
	e->body = body;
	return e;
}

static void request_range(struct client *c, const char *path)
{
	struct expected *e = expect(c, 206, LARGE);

	e->first = rnd(opt.large - 1);
	e->length = 1 + rnd(rnd(4) ? 3000 : 100000);
	put(c, "GET %s HTTP/1.1\r\nHost: h\r\nRange: bytes=%u-%u\r\n\r\n", path, e->first,
	    e->first + e->length - 1);
	if (e->length > opt.large - e->first)
		e->length = opt.large - e->first;
}

static void request_body(struct client *c, bool chunked, unsigned int len)
{
	struct expected *e = expect(c, 405, ANY_BODY);
	unsigned int part;

	/* Limits that are set while the storm blows never go below 4096 bytes of body. */
	if (len > 4096)
		e->status[1] = 413;
	put(c, "POST / HTTP/1.1\r\nHost: h\r\n");
	if (!chunked) {
		put(c, "Content-Length: %u\r\n\r\n", len);
		put_fill(c, len, 'b');
		return;
	}
	put(c, "Transfer-Encoding: chunked\r\n\r\n");
	while (len) {
		part = 1 + rnd(len);
		put(c, "%x\r\n", part);
		put_fill(c, part, 'c');
		put(c, "\r\n");
		len -= part;
	}
	put(c, "0\r\n%s\r\n", rnd(3) ? "" : "A-Trailer: t\r\n");
}

/* One request of a client that knows HTTP. Heads stay below 256 bytes: max_head is never less. */
static void request_good(struct client *c)
{
	switch (rnd(18)) {
	case 0:
		expect(c, 200, PAGE)->head = true;
		put(c, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
		break;
	case 1:
		request_range(c, "/large.bin");
		break;
	case 2:
		request_range(c, "/%6carge%2Ebin");
		break;
	case 3:
		expect(c, 200, LARGE)->length = opt.large;
		put(c, "GET /large.bin HTTP/1.1\r\nHost: h\r\n\r\n");
		break;
	case 4:
		expect(c, 404, ANY_BODY);
		put(c, "GET /nothing/%u?q=%u HTTP/1.1\r\nHost: h\r\n\r\n", rnd(1000), rnd(1000));
		break;
	case 5:
		expect(c, 304, NO_BODY);
		put(c, "GET / HTTP/1.1\r\nHost: h\r\nIf-None-Match: %s\r\n\r\n", etag);
		break;
	case 6:
		expect(c, 416, ANY_BODY);
		put(c, "GET /large.bin HTTP/1.1\r\nHost: h\r\nRange: bytes=%lu-\r\n\r\n",
		    opt.large + rnd(1000));
		break;
	case 7:
		expect(c, 204, NO_BODY);
		put(c, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
		break;
	case 8:
		request_body(c, false, rnd(3000));
		break;
	case 9:
		request_body(c, true, rnd(3000));
		break;
	case 10:
		expect(c, 412, ANY_BODY);
		put(c, "GET / HTTP/1.1\r\nHost: h\r\nIf-Match: \"other\"\r\n\r\n");
		break;
	case 11:
		expect(c, 200, PAGE);
		put(c, "GET /a/./../b/%%2e%%2E/ HTTP/1.1\r\nHost: h\r\n\r\n");
		break;
	case 12:
		expect(c, 200, PAGE);
		put(c, "\r\nGET http://h:81/?%u HTTP/1.1\r\nHost: other\r\n\r\n", rnd(1000));
		break;
	case 13:
		expect(c, 200, PAGE);
		put(c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
		break;
	default:
		expect(c, 200, PAGE);
		put(c, "GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nUser-Agent: storm/%u\r\n\r\n",
		    rnd(100000));
	}
	c->want[c->n_want - 1].end = c->out_len;
}

static void request_last(struct client *c)
{
	struct expected *e = expect(c, 200, PAGE);

	e->last = true;
	if (rnd(2))
		put(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	else
		put(c, "GET / HTTP/1.0\r\n\r\n");
	/* Whatever comes behind it is thrown away. */
	if (!rnd(3))
		put(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	e->end = c->out_len;
}

static const struct {
	unsigned short status;
	const char *text;
} broken[] = {
	{ 400, "GET / HTTP/1.1\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" },
	{ 400, "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ 400, "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ 400, "GET /../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\nHost: h\n\n" },
	{ 400, "GET /\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost: h\r\nA: \001\r\n\r\n" },
	{ 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1x\r\n\r\n" },
	{ 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab" },
	{ 400,
	  "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" },
	{ 400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n" },
	{ 400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	       "5 junk\r\nhello\r\n0\r\n\r\n" },
	{ 501, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" },
	{ 501, "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ 505, "GET / HTTP/2.0\r\nHost: h\r\n\r\n" },
	{ 405, "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n" },
};

/* A request that ends the connection with an error. */
static void request_broken(struct client *c)
{
	unsigned int i = rnd(sizeof(broken) / sizeof(broken[0]) + 3), begin = c->out_len;
	struct expected *e = expect(c, 400, ANY_BODY);

	e->last = true;
	switch (i) {
	case 0: /* a head that is too long for any max_head */
		e->status[0] = 431;
		put(c, "GET / HTTP/1.1\r\nHost: h\r\n");
		while (c->out_len < begin + 17000) {
			put(c, "X-%u: ", rnd(100));
			put_fill(c, 100 + rnd(100), 'x');
			put(c, "\r\n");
		}
		put(c, "\r\n");
		break;
	case 1: /* and such a target */
		e->status[0] = 414;
		put(c, "GET /");
		put_fill(c, 8300 + rnd(10000), 't');
		put(c, " HTTP/1.1\r\nHost: h\r\n\r\n");
		break;
	case 2: /* noise, whose first byte is in no method */
		e->status[1] = 501;
		put_fill(c, 1, "\026\200(\001{"[rnd(5)]);
		for (i = rnd(600); i; i--)
			put_fill(c, 1, rnd(256));
		break;
	default:
		e->status[0] = broken[i - 3].status;
		put(c, "%s", broken[i - 3].text);
	}
	e->end = c->out_len;
}

/* ------------------------------------------------------------------- clients */

static void watch(struct client *c, int op)
{
	bool sending = !c->connected || (c->sent < c->out_len && !c->paced && !c->by_one);
	struct epoll_event e = { .data.ptr = c };

	if (sending)
		e.events |= EPOLLOUT;
	/* A slow reader looks when its time has come; its wake-ups would come all the time. */
	if (c->connected && c->kind != SLOW_READER)
		e.events |= EPOLLIN;
	if (epoll_ctl(epfd, op, c->fd, &e))
		die("epoll_ctl: %s", strerror(errno));
}

__attribute__((format(printf, 3, 4))) static void finish(struct client *c, enum end how,
							 const char *format, ...)
{
	bool excused = c->excused || went_away != 0;
	va_list args;

	if (how == WRONG || (how >= REFUSED && !excused && !opt.no_memory)) {
		if (said++ < 20) {
			printf("%s: client %lu (%s), answer %u of %u, status %u: ", end_names[how],
			       c->number, kind_names[c->kind], c->n_got + 1, c->n_want, c->status);
			va_start(args, format);
			vprintf(format, args);
			va_end(args);
			printf("; sent %u of %u, received %lu; after %.1f s, %.1f s after its last bytes; "
			       "asked:\n%.*s\n---\n",
			       c->sent, c->out_len, c->received, now() - c->began,
			       now() + opt.patience - c->deadline,
			       c->n_got < c->n_want && c->want[c->n_got].end < 400 ?
				       (int)c->want[c->n_got].end :
				       400,
			       c->out);
			fflush(stdout);
		}
		ends[c->kind][how]++;
	} else if (how >= REFUSED) {
		/* Expected as things are; told apart in the sum only by the column. */
		ends[c->kind][how == REFUSED ? TURNED_AWAY : how == CUT ? CLOSED : how]++;
	} else {
		ends[c->kind][how]++;
	}
	close(c->fd);
	c->fd = -1;
}

static void script(struct client *c)
{
	unsigned int i, n;

	c->kind = opt.good ? rnd(2) : rnd(N_KINDS);
	switch (c->kind) {
	case GOOD:
		c->by_one = true;
		for (n = 1 + rnd(20), i = 0; i < n && c->out_len < 16000; i++)
			request_good(c);
		if (rnd(2))
			request_last(c);
		break;
	case PIPELINED:
	case HALF_CLOSED:
		for (n = 1 + rnd(c->kind == PIPELINED ? 30 : 5), i = 0; i < n && c->out_len < 16000;
		     i++)
			request_good(c);
		if (!rnd(3))
			request_last(c);
		else if (!rnd(3) && !opt.good)
			request_broken(c);
		break;
	case BROKEN:
		for (n = rnd(3), i = 0; i < n; i++)
			request_good(c);
		if (rnd(4)) {
			request_broken(c);
		} else if (rnd(2)) { /* a body that may be too long, then all is possible */
			request_body(c, rnd(2), 4000 + rnd(12000));
			c->want[c->n_want - 1].end = c->out_len;
		} else { /* half a request */
			request_good(c);
			c->out_len -= 1 + rnd(20);
			c->n_want--;
			c->split = true;
			c->half_head = c->want[c->n_want].head;
			c->want[c->n_want].status[0] = 0;
		}
		break;
	case SLOW:
		c->paced = true;
		c->split = true;
		for (n = 1 + rnd(2), i = 0; i < n; i++)
			request_good(c);
		if (!rnd(3))
			request_broken(c);
		break;
	case RESET:
		for (n = 1 + rnd(10), i = 0; i < n; i++)
			request_good(c);
		c->reset_after = rnd(2) ? 0 : rnd(20000);
		break;
	case IDLE:
		c->by_one = true;
		for (n = rnd(3), i = 0; i < n; i++)
			request_good(c);
		break;
	case SLOW_READER:
		expect(c, 200, LARGE)->length = opt.large;
		put(c, "GET /large.bin HTTP/1.1\r\nHost: h\r\n%s\r\n",
		    rnd(2) ? "Connection: close\r\n" : "");
		c->want[0].end = c->out_len;
		break;
	default: /* SILENT: goes away by itself, or is thrown out */
		break;
	}
	/* More than one segment may carry it, so that it may be answered in part. */
	if (c->out_len > 16384)
		c->split = true;
}

static void start(struct client *c)
{
	char *out = c->out;
	int size;

	memset(c, 0, sizeof(*c));
	c->out = out;
	c->number = ++started;
	c->excused = going_away;
	c->began = now();
	script(c);
	c->deadline = now() + opt.patience;
	c->wake = now() + rnd(1000) * 1e-3 * (c->kind == SILENT || c->kind == IDLE ? 5 : 0);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0) {
		if (!opt.no_memory)
			die("socket: %s", strerror(errno));
		ends[c->kind][TURNED_AWAY]++;
		return;
	}
	if (c->kind == SLOW_READER) {
		size = 4096 + rnd(60000);
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
	if (connect(c->fd, (struct sockaddr *)&opt.address, sizeof(opt.address)) &&
	    errno != EINPROGRESS)
		finish(c, REFUSED, "connect: %s", strerror(errno));
	else
		watch(c, EPOLL_CTL_ADD);
}

/* The server has closed or reset the connection. */
static void ended(struct client *c, const char *how)
{
	/* All was asked for in one piece: the server had it, and stops only when it says so. */
	bool batch = !c->split && c->n_got && c->n_got < c->n_want && !c->by_one &&
		     c->sent == c->out_len && (c->kind == PIPELINED || c->kind == HALF_CLOSED);

	if (c->head_len || c->in_body) {
		/* Too slow a reader is reset; so is whoever still sends when all was answered. */
		if (c->kind == SLOW_READER)
			finish(c, CLOSED, "%s", how);
		else
			finish(c, CUT, "%s at byte %lu of %lu of its body", how, c->got, c->length);
	} else if (c->announced || (c->n_got && c->n_got == c->n_want && c->sent == c->out_len)) {
		finish(c, ANSWERED, "%s", how);
	} else if (batch) {
		finish(c, CUT, "%s after %u answers without Connection: close", how, c->n_got);
	} else {
		finish(c, c->n_got ? CLOSED : TURNED_AWAY, "%s", how);
	}
}

static void shut(struct client *c)
{
	c->shut = true;
	shutdown(c->fd, SHUT_WR);
}

/* All requests were answered: what the client does then. */
static void satisfied(struct client *c)
{
	if (c->announced || c->want[c->n_want - 1].last || c->shut || c->kind == IDLE ||
	    c->sent < c->out_len)
		return; /* the server's turn */
	if (c->kind == BROKEN || rnd(2))
		shut(c);
	else
		finish(c, ENOUGH, "satisfied");
}

static void send_some(struct client *c)
{
	unsigned int end = c->out_len, before = c->sent;
	ssize_t n;

	if (c->sent == c->out_len)
		return;
	if (c->paced && c->sent + 1 < end)
		end = c->sent + 1 + rnd(rnd(3) ? 3 : 40);
	/* One after the other: the next request waits for the answer before it. */
	if (c->by_one && c->n_got < c->n_want && end > c->want[c->n_got].end)
		end = c->want[c->n_got].end;
	if (end > c->out_len)
		end = c->out_len;
	if (end == c->sent)
		return;
	n = send(c->fd, c->out + c->sent, end - c->sent, MSG_NOSIGNAL);
	if (n < 0) {
		/* The answer that explains it may still be there to read. */
		if (errno != EAGAIN && errno != EPIPE && errno != ECONNRESET && !opt.no_memory)
			finish(c, WRONG, "send: %s", strerror(errno));
		if (errno == EPIPE || errno == ECONNRESET) {
			c->out_len = before; /* no more */
			c->split = true;
		}
		return;
	}
	c->sent += n;
	c->deadline = now() + opt.patience;
	if (c->sent != end)
		c->split = true;
	if (c->paced)
		c->wake = now() + rnd(60) * 1e-3;
	if (c->sent == c->out_len) {
		if (c->kind == HALF_CLOSED)
			shut(c);
		if (c->kind == RESET && !c->reset_after)
			c->wake = now() + rnd(20) * 1e-3;
		if (!c->paced)
			watch(c, EPOLL_CTL_MOD);
	}
}

/* The complete head of an answer is in c->head; false if the client is gone. */
static bool check_head(struct client *c)
{
	struct expected *e = &c->want[c->n_got];
	struct expected extra = { .body = ANY_BODY, .head = c->half_head };
	const char *length = strstr(c->head, "\r\nContent-Length: ");
	bool right = false;
	char *after = NULL;
	unsigned int i;

	c->status = strncmp(c->head, "HTTP/1.1 ", 9) ? 0 : atoi(c->head + 9);
	if (c->status < 100 || c->status >= 600 || !strstr(c->head, "\r\nDate: ")) {
		finish(c, WRONG, "not a head: %.100s", c->head);
		return false;
	}
	c->announced = strstr(c->head, "\r\nConnection: close\r\n");
	if (c->n_got == c->n_want)
		e = &extra; /* the answer to half a request, or to nothing */
	for (i = 0; i < 4 && e->status[i]; i++)
		right |= c->status == e->status[i];
	if (c->status == 503 || c->status == 408)
		right |= (c->split || (opt.no_memory && c->status == 503)) && c->announced;
	else if (e == &extra)
		right = c->announced && c->status >= 400 && c->status < 500 && c->split;
	if (!right) {
		finish(c, WRONG, "expected %u or %u: %.200s", e->status[0], e->status[1], c->head);
		return false;
	}
	if (e->last && !c->announced) {
		finish(c, WRONG, "no Connection: close: %.300s", c->head);
		return false;
	}
	by_status[c->status]++;
	c->length = length ? strtoul(length + 18, &after, 10) : 0;
	if (length ? *after != '\r' : c->status != 204 && c->status != 304) {
		finish(c, WRONG, "no Content-Length: %.300s", c->head);
		return false;
	}
	if (c->status < 300 && ((e->body == PAGE && c->length != page_len) ||
				(e->body == LARGE && c->length != e->length))) {
		finish(c, WRONG, "a Content-Length of %lu: %.300s", c->length, c->head);
		return false;
	}
	if (e->head || c->status == 204 || c->status == 304)
		c->length = 0;
	c->got = 0;
	c->in_body = true;
	return true;
}

/* Take @n bytes of a body; false if they are not right. */
static bool check_body(struct client *c, const char *p, size_t n)
{
	const struct expected *e = &c->want[c->n_got];

	if (c->n_got == c->n_want || c->status >= 300)
		return true;
	if (e->body == PAGE)
		return !memcmp(p, page + c->got, n);
	return e->body != LARGE || !memcmp(p, pattern + (e->first + c->got) % 65536, n);
}

/* Take received bytes; false if the client is gone. */
static bool take(struct client *c, const char *p, size_t len)
{
	size_t n;

	while (len || (c->in_body && c->got == c->length)) {
		if (!c->in_body) {
			if (c->announced) {
				finish(c, WRONG, "%zu bytes after Connection: close: %.*s", len,
				       (int)(len < 100 ? len : 100), p);
				return false;
			}
			if (c->n_got == c->n_want && !c->split) {
				finish(c, WRONG, "%zu bytes that nobody asked for: %.*s", len,
				       (int)(len < 100 ? len : 100), p);
				return false;
			}
			if (c->head_len == HEAD_SIZE - 1) {
				finish(c, WRONG, "an endless head: %.100s", c->head);
				return false;
			}
			c->head[c->head_len++] = *p++;
			len--;
			if (c->head_len < 4 || memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4))
				continue;
			c->head[c->head_len] = '\0';
			if (!check_head(c))
				return false;
		}
		n = c->length - c->got;
		if (n > len)
			n = len;
		if (!check_body(c, p, n)) {
			finish(c, WRONG, "wrong bytes after byte %lu of %lu", c->got, c->length);
			return false;
		}
		c->got += n;
		p += n;
		len -= n;
		if (c->got < c->length)
			return true;
		answers++;
		c->in_body = false;
		c->head_len = 0;
		if (c->n_got < c->n_want)
			c->n_got++;
		if (c->n_got == c->n_want) {
			satisfied(c);
			if (c->fd < 0)
				return false;
		}
	}
	return true;
}

static void reset(struct client *c)
{
	struct linger l = { .l_onoff = 1 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	finish(c, ENOUGH, "reset");
}

static void receive(struct client *c, size_t most)
{
	static char buf[65536];
	ssize_t len = recv(c->fd, buf, most, 0);

	if (len < 0 && errno == EAGAIN)
		return;
	if (len <= 0) {
		ended(c, len ? strerror(errno) : "end");
		return;
	}
	c->received += len;
	c->deadline = now() + opt.patience;
	if (!take(c, buf, len))
		return;
	if (c->kind == RESET && c->reset_after && c->received >= c->reset_after)
		reset(c);
	else if (c->by_one && !c->announced)
		send_some(c);
}

static void on_event(struct client *c, unsigned int events)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (!c->connected) {
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err) {
			/* Turned away so quickly that it was reset unseen, or refused. */
			finish(c, err == ECONNRESET || err == EPIPE ? TURNED_AWAY : REFUSED,
			       "connect: %s", strerror(err));
			return;
		}
		c->connected = true;
		watch(c, EPOLL_CTL_MOD);
	}
	if (c->kind == SLOW_READER && c->sent == c->out_len) {
		/* Only an error comes here without being asked for */
		receive(c, 65536);
		return;
	}
	if (events & EPOLLOUT && !c->paced)
		send_some(c);
	if (c->fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(c, 65536);
}

/* What happens by time. */
static void tick(struct client *c, double t)
{
	if (t > c->deadline) {
		finish(c, HANGING, "nothing for %lu s", opt.patience);
		return;
	}
	if (!c->connected || t < c->wake)
		return;
	switch (c->kind) {
	case SLOW:
		send_some(c);
		break;
	case SLOW_READER:
		if (c->sent == c->out_len) {
			c->wake = t + rnd(40) * 1e-3;
			receive(c, 1 + rnd(60000));
		}
		break;
	case RESET:
		if (c->sent == c->out_len && !c->reset_after)
			reset(c);
		break;
	case SILENT:
		finish(c, ENOUGH, "silent");
		break;
	case IDLE:
		if (c->n_got == c->n_want)
			finish(c, ENOUGH, "idle");
		break;
	default:
		if (c->by_one)
			send_some(c); /* where it had no room before */
	}
}

static void run(double end)
{
	struct epoll_event events[256];
	unsigned long i, alive;
	double t = now(), next_tick = t;
	int k, n;

	do {
		n = epoll_wait(epfd, events, 256, 5);
		for (k = 0; k < n; k++) {
			struct client *c = events[k].data.ptr;

			if (c->fd >= 0)
				on_event(c, events[k].events);
		}
		t = now();
		alive = 0;
		if (went_away) { /* just now: whoever is connected may be cut */
			for (i = 0; i < opt.n; i++)
				clients[i].excused = true;
			if (!going_away)
				went_away = 0;
		}
		if (t < next_tick) {
			alive = 1;
			continue;
		}
		next_tick = t + 0.005;
		for (i = 0; i < opt.n; i++) {
			if (clients[i].fd >= 0)
				tick(&clients[i], t);
			/* Not all at once, and slower when nobody listens */
			if (clients[i].fd < 0 && t < end && !rnd(going_away ? 50 : 8))
				start(&clients[i]);
			alive += clients[i].fd >= 0;
		}
	} while (alive || t < end);
}

/* The page that later answers are compared with. */
static void fetch_page(void)
{
	static const char ask[] = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char *field, *body;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 || connect(fd, (struct sockaddr *)&opt.address, sizeof(opt.address)))
		die("cannot connect: %s", strerror(errno));
	if (send(fd, ask, strlen(ask), MSG_NOSIGNAL) != (ssize_t)strlen(ask))
		die("cannot send: %s", strerror(errno));
	while ((n = recv(fd, page + len, sizeof(page) - 1 - len, 0)) > 0)
		len += n;
	close(fd);
	page[len] = '\0';
	body = strstr(page, "\r\n\r\n");
	field = strstr(page, "\r\nETag: ");
	if (strncmp(page, "HTTP/1.1 200 ", 13) || !body || !field || field > body ||
	    sscanf(field, "\r\nETag: %63[^\r]", etag) != 1)
		die("no page: %.300s", page);
	body += 4;
	page_len = len - (body - page);
	memmove(page, body, page_len + 1);
	if (!strstr(page, "</html>"))
		die("the page is not whole: %u bytes", page_len);
}

static void on_signal(int signal)
{
	going_away = signal == SIGUSR1;
	went_away = 1;
}

static void parse_options(int argc, char **argv)
{
	unsigned long port = 8081, number;
	const char *address = "127.0.0.1";
	int o;

	while ((o = getopt(argc, argv, "a:p:n:t:l:s:d:mg")) != -1) {
		number = optarg ? strtoul(optarg, NULL, 10) : 0;
		switch (o) {
		case 'a':
			address = optarg;
			break;
		case 'p':
			port = number;
			break;
		case 'n':
			opt.n = number;
			break;
		case 't':
			opt.seconds = number;
			break;
		case 'l':
			opt.large = number;
			break;
		case 's':
			opt.seed = number;
			break;
		case 'd':
			opt.patience = number;
			break;
		case 'm':
			opt.no_memory = true;
			break;
		case 'g':
			opt.good = true;
			break;
		default:
			die("%s", usage);
		}
	}
	if (optind != argc || !opt.n || opt.large < 2)
		die("%s", usage);
	opt.address.sin_family = AF_INET;
	opt.address.sin_port = htons(port);
	if (inet_pton(AF_INET, address, &opt.address.sin_addr) != 1)
		die("not an address: %s", address);
	printf("storm: seed %lu, %lu clients at a time, %lu s\n", (unsigned long)opt.seed, opt.n,
	       opt.seconds);
	fflush(stdout);
	opt.seed = opt.seed * 2 + 1; /* not 0 */
}

int main(int argc, char **argv)
{
	struct rlimit files;
	unsigned long i, k, faults = 0, sum;
	double begin;

	parse_options(argc, argv);
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = i * 31 + (i >> 8);
	files.rlim_max = opt.n + 64;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files))
		die("cannot have %lu files open: %s", opt.n + 64, strerror(errno));
	clients = calloc(opt.n, sizeof(*clients));
	epfd = epoll_create1(0);
	if (!clients || epfd < 0)
		die("cannot start: %s", strerror(errno));
	for (i = 0; i < opt.n; i++) {
		clients[i].fd = -1;
		clients[i].out = malloc(OUT_SIZE);
		if (!clients[i].out)
			die("no memory");
	}
	fetch_page();
	begin = now();
	run(begin + opt.seconds);

	for (k = 0; k < N_ENDS; k++) {
		for (sum = 0, i = 0; i < N_KINDS; i++)
			sum += ends[i][k];
		printf("%s%s=%lu", k ? " " : "", end_names[k], sum);
		if (k == WRONG || (k >= REFUSED && !opt.no_memory))
			faults += sum;
	}
	printf(" clients=%lu answers=%lu seconds=%.1f\n", started, answers, now() - begin);
	for (i = 0; i < N_KINDS; i++) {
		printf("  %-12s", kind_names[i]);
		for (k = 0; k < N_ENDS; k++)
			if (ends[i][k])
				printf(" %s=%lu", end_names[k], ends[i][k]);
		printf("\n");
	}
	printf("  status");
	for (i = 0; i < 600; i++)
		if (by_status[i])
			printf(" %lu=%lu", i, by_status[i]);
	printf("\n");
	return faults ? 1 : 0;
}
