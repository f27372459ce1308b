# SPDX-License-Identifier: MIT OR GPL-2.0
"""Large bodies, sent by page reference: /large.bin, byte i is (i * 31 + (i >> 8)) & 0xff."""

import socket
import time

import pytest

from client import Client, get, request

PERIOD = 65536
PATTERN = bytes((i * 31 + (i >> 8)) & 0xff for i in range(PERIOD))


def expected(first, size):
    """size bytes of /large.bin from offset first."""
    start = first % PERIOD
    return (PATTERN * ((start + size) // PERIOD + 1))[start:start + size]


def check_body(body, first=0):
    want = expected(first, len(body))
    if body != want:
        bad = next(i for i in range(len(body)) if body[i] != want[i])
        pytest.fail(f"byte {first + bad} is {body[bad]:#x}, expected {want[bad]:#x}")


def test_large_body_is_complete_and_correct(large):
    with Client() as c:
        for _ in range(2):
            reply = c.ask("GET", "/large.bin")
            assert (reply.status, len(reply.body)) == (200, large)
            check_body(reply.body)
        assert int(c.ask("HEAD", "/large.bin")["content-length"]) == large


@pytest.mark.parametrize("shift,size", [
    (0, 16383), (0, 16384), (0, 16385), (4095, 2), (4096, 4096), (4095, 65538), (1, 40000),
    (8191, 300001), (12345, 4096 * 40), (65535, 524289),
])
def test_ranges_inside_a_large_body(large, shift, size):
    with Client() as c:
        for first in (shift, (large - size) // 4096 * 4096 - 4096 + shift % 4096):
            first = min(first, large - size)
            reply = c.ask("GET", "/large.bin", f"Range: bytes={first}-{first + size - 1}")
            assert reply.status == 206
            assert reply["content-range"] == f"bytes {first}-{first + size - 1}/{large}"
            check_body(reply.body, first)


def test_suffix_range_of_a_large_body(large):
    reply = get("/large.bin", "Range: bytes=-70001")
    assert len(reply.body) == 70001
    check_body(reply.body, large - 70001)


def test_pipelined_large_replies_keep_their_order(large, page):
    n = 100001
    with Client() as c:
        c.send(b"".join(request("GET", "/large.bin", f"Range: bytes={i * 7}-{i * 7 + n - 1}") +
                        request("HEAD", "/large.bin") + request() for i in range(16)))
        for i in range(16):
            reply = c.response()
            assert (reply.status, len(reply.body)) == (206, n)
            check_body(reply.body, i * 7)
            assert c.response("HEAD").status == 200
            assert c.response().body == page.body


def test_half_close_during_a_large_reply(large):
    with Client() as c:
        c.send(request("GET", "/large.bin"))
        c.sock.shutdown(socket.SHUT_WR)
        check_body(c.response().body)
        c.expect_eof()
    with Client() as c:
        reply = c.ask("GET", "/large.bin", "Connection: close")
        assert len(reply.body) == large
        check_body(reply.body)
        c.expect_eof()


def test_slow_reader_gets_every_byte(large):
    with Client(rcvbuf=4096) as c:
        c.send(request("GET", "/large.bin", f"Range: bytes=1-{1 << 20}") + request("HEAD"))
        for _ in range(40):
            c._more(2000)
            time.sleep(0.005)
        reply = c.response()
        assert len(reply.body) == 1 << 20
        check_body(reply.body, 1)
        assert c.response("HEAD").status == 200


def test_slow_readers_do_not_hold_up_others(large, page):
    slow = [Client(rcvbuf=4096) for _ in range(8)]
    try:
        for c in slow:
            c.send(request("GET", "/large.bin"))
        for _ in range(5):
            assert get("/").body == page.body
        body = slow[0].response().body
        assert len(body) == large
        check_body(body)
    finally:
        for c in slow:
            c.sock.close()


def test_client_reset_in_the_middle_of_a_large_reply(large, page):
    for size in (1, 5000, 200000, large // 2):
        c = Client()
        c.send(request("GET", "/large.bin") * 3)
        c.read(size)
        c.reset()
    c = Client(rcvbuf=4096)
    c.send(request("GET", "/large.bin"))
    time.sleep(0.02)
    c.sock.close()  # with a window that has been closed for a while
    assert get("/").body == page.body


def test_requests_that_arrive_during_a_large_reply_are_answered_after_it(large, page):
    with Client(rcvbuf=65536) as c:
        c.send(request("GET", "/large.bin"))
        time.sleep(0.02)
        c.send(request() * 3 + request("GET", "/large.bin", "Range: bytes=7-9"))
        check_body(c.response().body)
        for _ in range(3):
            assert c.response().body == page.body
        assert c.response().body == expected(7, 3)


def test_conditions_hold_for_large_bodies(large):
    with Client() as c:
        tag = c.ask("HEAD", "/large.bin")["etag"]
        assert c.ask("GET", "/large.bin", f"If-None-Match: {tag}").status == 304
        reply = c.ask("GET", "/large.bin", f"Range: bytes={large}-")
        assert (reply.status, reply["content-range"]) == (416, f"bytes */{large}")
        reply = c.ask("GET", "/large.bin", "Range: bytes=100000-100003", f"If-Range: {tag}")
        assert reply.body == expected(100000, 4)
