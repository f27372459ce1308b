# SPDX-License-Identifier: MIT OR GPL-2.0
"""Connections: keep-alive, pipelining, segmentation, half-close, HTTP/1.0, resets, many at once."""

import resource
import select
import socket
import time

import pytest

from client import PATIENCE, Client, get, request
from conftest import PARAMS


def still_serves(page):
    reply = get("/")
    assert (reply.status, reply.body) == (200, page.body)


def test_keep_alive_serves_many_requests_on_one_connection(page):
    with Client() as c:
        for _ in range(50):
            reply = c.ask()
            assert (reply.status, reply.body, reply.closes) == (200, page.body, False)


def test_connection_close_is_honoured(page):
    with Client() as c:
        reply = c.ask("GET", "/", "Connection: close")
        assert (reply.status, reply.body, reply.closes) == (200, page.body, True)
        c.expect_eof()


def test_requests_behind_connection_close_are_not_answered():
    with Client() as c:
        c.send(request("GET", "/", "Connection: close") + request() * 3)
        assert c.response().closes
        c.expect_eof()


def mixed_requests(page, n):
    """n requests whose answers differ from their neighbours', with a check for each."""
    for i in range(n):
        kind = i % 6
        if kind == 0:
            yield "GET", request(), 200, page.body, None
        elif kind == 1:
            yield "HEAD", request("HEAD"), 200, b"", None
        elif kind == 2:
            yield "GET", request("GET", f"/missing/{i}"), 404, None, None
        elif kind == 3:  # the range names the position in the pipeline
            yield ("GET", request("GET", "/", f"Range: bytes={i}-{i + 3}"), 206, page.body[i:i + 4],
                   f"bytes {i}-{i + 3}/{len(page.body)}")
        elif kind == 4:
            yield "GET", request("GET", "/", f"If-None-Match: {page['etag']}"), 304, b"", None
        else:
            yield "OPTIONS", request("OPTIONS", "*"), 204, b"", None


def check(c, method, status, body, content_range):
    reply = c.response(method)
    assert reply.status == status
    assert body is None or reply.body == body
    assert reply.get("content-range") == content_range
    assert not reply.closes


def test_64_pipelined_requests_are_answered_in_order(page):
    plan = list(mixed_requests(page, 64))
    with Client() as c:
        for _ in range(3):
            c.send(b"".join(p[1] for p in plan))
            for method, _, *expected in plan:
                check(c, method, *expected)


def test_64_pipelined_requests_survive_odd_segments(page):
    plan = list(mixed_requests(page, 64))
    data = b"".join(p[1] for p in plan)
    with Client() as c:
        for i in range(0, len(data), 37):
            c.send(data[i:i + 37])
        for method, _, *expected in plan:
            check(c, method, *expected)


def test_one_byte_per_segment(page):
    with Client() as c:
        for method, data, *expected in mixed_requests(page, 6):
            c.send_bytewise(data)
            check(c, method, *expected)


def test_one_byte_per_segment_with_bodies(page):
    chunked = request("POST", "/", "Transfer-Encoding: chunked",
                      body=b"5;x=\"y\"\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n")
    with Client() as c:
        c.send_bytewise(request("POST", "/", "Content-Length: 5", body=b"hello"))
        assert c.response().status == 405
        c.send_bytewise(chunked)
        assert c.response().status == 405
        assert c.ask().body == page.body


def test_two_requests_split_at_every_position(page):
    first = request("GET", "/", "Range: bytes=3-6")
    second = request("HEAD", "/")
    data = first + second
    with Client() as c:
        for i in range(1, len(data)):
            c.send(data[:i])
            time.sleep(0.001)
            c.send(data[i:])
            assert c.response().body == page.body[3:7]
            assert c.response("HEAD").status == 200


def test_empty_line_between_requests_is_skipped(page):
    with Client() as c:
        for _ in range(3):
            c.send(b"\r\n" + request())
            assert c.response().body == page.body


def test_half_close_after_the_request_still_gets_the_answer(page):
    for lines in ((), ("Connection: close",)):
        with Client() as c:
            c.send(request("GET", "/", *lines))
            c.sock.shutdown(socket.SHUT_WR)
            assert c.response().body == page.body
            c.expect_eof()


def test_half_close_after_pipelined_requests_gets_all_answers(page):
    plan = list(mixed_requests(page, 64))
    with Client() as c:
        c.send(b"".join(p[1] for p in plan))
        c.sock.shutdown(socket.SHUT_WR)
        for method, _, *expected in plan:
            check(c, method, *expected)
        c.expect_eof()


def test_half_close_in_the_middle_of_a_head_ends_the_connection():
    with Client() as c:
        c.send(request()[:-10])
        c.sock.shutdown(socket.SHUT_WR)
        c.expect_eof()


def test_half_close_without_a_request_ends_the_connection():
    with Client() as c:
        c.finish()


def test_http10_closes_by_default(page):
    for host in ("test", None):
        with Client() as c:
            reply = c.ask(version="HTTP/1.0", host=host)
            assert (reply.status, reply.body) == (200, page.body)
            assert reply.get("connection") in (None, "close")
            c.expect_eof()


def test_http10_keep_alive_when_asked_for(page):
    with Client() as c:
        for _ in range(3):
            reply = c.ask("GET", "/", "Connection: keep-alive", version="HTTP/1.0")
            assert (reply.status, reply.body) == (200, page.body)
            assert reply.get("connection") == "keep-alive"


def test_reset_at_any_moment_leaves_the_server_serving(page):
    moments = {
        "before a byte": b"",
        "in the request line": b"GET / HT",
        "in the head": request()[:-2],
        "in a body": request("POST", "/", "Content-Length: 1000", body=b"x" * 10),
        "in a chunk": request("POST", "/", "Transfer-Encoding: chunked", body=b"ff\r\nx"),
        "with the request": request(),
        "with 64 requests": request() * 64,
        "after an error": b"BAD\r\n\r\n" + b"x" * 1000,
    }
    for data in moments.values():
        for delay in (0, 0, 0.002, 0.01):
            c = Client()
            c.send(data)
            time.sleep(delay)
            c.reset()
    still_serves(page)


def test_reset_after_the_reply_leaves_the_server_serving(page):
    for _ in range(10):
        c = Client()
        assert c.ask().status == 200
        c.reset()
    still_serves(page)


def test_reset_behind_a_half_close_leaves_the_server_serving(page):
    for _ in range(10):
        c = Client()
        c.send(request() * 8)
        c.sock.shutdown(socket.SHUT_WR)
        c.reset()
    still_serves(page)


def test_connections_that_are_closed_unread_do_no_harm(page):
    for _ in range(20):  # close with unread replies: the client's kernel answers with RST
        c = Client()
        c.send(request() * 20)
        time.sleep(0.001)
        c.sock.close()
    still_serves(page)


def test_1000_concurrent_connections(page, params):
    n = 1000
    if PARAMS:  # a slow machine takes a minute to open so many, and the first waits for the last
        params.set(first_byte_timeout_ms=600000, idle_timeout_ms=600000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < n + 64:
        pytest.skip(f"needs {n + 64} open files, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n + 64), hard))
    clients = []
    try:
        for _ in range(n):
            clients.append(Client())
        for turn in range(2):
            for i, c in enumerate(clients):
                c.send(request("GET", "/", f"Range: bytes={i % 100}-{i % 100}"))
            for i, c in enumerate(clients):
                reply = c.response()
                assert (reply.status, reply.body) == (206, page.body[i % 100:i % 100 + 1]), \
                    f"connection {i}, turn {turn}"
        for c in clients:
            c.sock.shutdown(socket.SHUT_WR)
        for c in clients:
            c.expect_eof()
    finally:
        for c in clients:
            c.sock.close()


def test_fin_follows_the_last_reply_at_once(page):
    """The end of the connection does not wait for a timer."""
    with Client() as c:
        c.send(request("GET", "/", "Connection: close"))
        assert c.response().body == page.body
        start = time.monotonic()
        c.expect_eof()
        assert time.monotonic() - start < 2


def test_clients_do_not_wait_for_each_other(page):
    """Clients that stop in the middle of a request hold nobody up."""
    stuck = [Client() for _ in range(64)]
    try:
        for i, c in enumerate(stuck):
            c.send(request()[:i % 40])
        still_serves(page)
        for i, c in enumerate(stuck):
            c.send(request()[i % 40:])
        for c in stuck:
            assert c.response().body == page.body
    finally:
        for c in stuck:
            c.sock.close()


def test_urgent_data_is_data_like_any_other(page):
    """The urgent mark once stopped reading for good; or until a time-out of the server looked again."""
    begin = time.monotonic()
    with Client() as c:
        for _ in range(3):
            c.sock.send(request() * 3, socket.MSG_OOB)
            for _ in range(3):
                assert c.response().body == page.body
            time.sleep(0.01)
            c.send(request())
            assert c.response().body == page.body
    data = request("POST", "/", "Content-Length: 9", body=b"x" * 9) + request()
    for cut in range(1, len(data), 11):
        with Client() as c:
            c.send(data[:cut])
            c.sock.send(data[cut:cut + 5], socket.MSG_OOB)
            c.sock.send(data[cut + 5:], socket.MSG_OOB if cut % 2 else 0)
            if cut + 5 < len(data):
                assert c.response().status == 405
                assert c.response().body == page.body
    assert time.monotonic() - begin < 8, "the server's time-out had to help"


def test_pipelining_without_reading_is_held_back(page):
    """Whoever takes no replies gets no more requests read; nobody else notices."""
    floods = [Client(rcvbuf=4096) for _ in range(4)]
    data = request() * 1600
    try:
        sent = [0] * len(floods)
        for c in floods:
            c.sock.setblocking(False)
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 0.5:
            for i, c in enumerate(floods):
                try:
                    sent[i] += c.sock.send(data)
                    quiet_since = time.monotonic()
                except BlockingIOError:
                    pass
                assert sent[i] < 32 << 20, "the server reads on and on"
            still_serves(page)
    finally:
        for c in floods:
            c.reset()
    still_serves(page)


def test_connection_survives_a_pause_between_requests(page):
    with Client() as c:
        for _ in range(3):
            assert c.ask().body == page.body
            assert not select.select([c.sock], [], [], min(0.1, PATIENCE))[0]
