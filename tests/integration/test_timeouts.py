# SPDX-License-Identifier: MIT OR GPL-2.0
"""Time-outs: who waits too long is let go, in the way that the wait deserves."""

import select
import time

import pytest

from client import PATIENCE, Client, get, request

# Time-outs may come late (the timer wheel's step, a slow guest), hardly ever early.
EARLY = 0.05


class Watch:
    """Time since its making; between() checks it against a time-out in ms."""

    def __init__(self):
        self.start = time.monotonic()

    def check(self, ms):
        passed = time.monotonic() - self.start
        assert ms / 1000 - EARLY <= passed <= ms / 1000 + PATIENCE / 2, \
            f"{passed:.2f} s passed, the time-out is {ms} ms"


def wait_for_reset(sock):
    """True when the peer has aborted the connection, seen without reading or writing."""
    poll = select.poll()
    poll.register(sock, 0)  # POLLERR and POLLHUP always count
    return bool(poll.poll(PATIENCE * 1000))


def test_silent_connection_is_closed_without_a_byte(params):
    params.set(first_byte_timeout_ms=500, header_timeout_ms=10000, idle_timeout_ms=10000)
    with Client() as c:
        watch = Watch()
        c.expect_eof()
        watch.check(500)


def test_empty_line_alone_counts_as_silence(params):
    params.set(first_byte_timeout_ms=500, header_timeout_ms=500, idle_timeout_ms=500)
    with Client() as c:
        c.send(b"\r\n")
        c.expect_eof()


def test_slow_head_gets_408(params):
    """Slowloris: a byte now and then does not buy more time."""
    params.set(header_timeout_ms=700, first_byte_timeout_ms=10000, idle_timeout_ms=10000)
    with Client() as c:
        watch = Watch()
        c.send(b"GET / HTTP/1.1\r\nHost: test\r\nX: ")
        while not select.select([c.sock], [], [], 0.1)[0]:
            c.send(b"x")
            assert time.monotonic() - watch.start < PATIENCE, "no time-out"
        reply = c.response()
        assert (reply.status, reply.closes) == (408, True)
        c.expect_eof()
        watch.check(700)


def test_slow_second_head_gets_408_from_its_own_first_byte(params):
    params.set(header_timeout_ms=700, first_byte_timeout_ms=10000, idle_timeout_ms=10000)
    with Client() as c:
        assert c.ask().status == 200
        time.sleep(1)  # longer than header_timeout_ms: waiting between requests is idle time
        assert c.is_open()
        watch = Watch()
        c.send(b"GET /")
        assert c.response().status == 408
        c.expect_eof()
        watch.check(700)


def test_408_to_half_a_method_has_no_content(params):
    """It may be a HEAD, and its client would take content for the next reply."""
    params.set(header_timeout_ms=300, first_byte_timeout_ms=10000)
    for part in (b"H", b"HEAD", b"GE"):
        with Client() as c:
            c.send(part)
            reply = c.response("HEAD")
            assert (reply.status, reply.closes, reply["content-length"]) == (408, True, "0")
            c.expect_eof()
    with Client() as c:
        c.send(b"HEAD ")
        assert c.response("HEAD").status == 408
        c.expect_eof()


def test_body_that_stops_does_not_hold_the_connection(params):
    params.set(header_timeout_ms=500, first_byte_timeout_ms=500, idle_timeout_ms=500)
    for lines, body in ((("Content-Length: 10",), b"abc"),
                        (("Transfer-Encoding: chunked",), b"5\r\nab")):
        with Client() as c:
            c.send(request("POST", "/", *lines, body=body))
            if select.select([c.sock], [], [], PATIENCE)[0] and c._more():
                reply = c.response()
                assert reply.status in (405, 408)
            c.expect_eof()


def test_idle_connection_is_closed_after_its_reply(params):
    params.set(idle_timeout_ms=500, first_byte_timeout_ms=10000, header_timeout_ms=10000)
    with Client() as c:
        assert not c.ask().closes
        watch = Watch()
        c.expect_eof()  # a clean FIN, no 408
        watch.check(500)


def test_connection_in_use_outlives_the_idle_timeout(params):
    params.set(idle_timeout_ms=3000, first_byte_timeout_ms=2000, header_timeout_ms=2000)
    with Client() as c:
        for _ in range(9):
            assert c.ask().status == 200
            time.sleep(0.4)


def test_changed_idle_timeout_applies_to_new_waits(params):
    with Client() as c:
        assert c.ask().status == 200
        params.set(idle_timeout_ms=400)
        assert c.ask().status == 200
        watch = Watch()
        c.expect_eof()
        watch.check(400)


def test_client_that_never_reads_is_aborted(params, large):
    del large
    params.set(send_timeout_ms=700)
    with Client(rcvbuf=4096) as c:
        watch = Watch()
        c.send(request("GET", "/large.bin"))  # one: unread requests alone would make a RST
        assert wait_for_reset(c.sock), "the server still waits"
        watch.check(700)
        with pytest.raises(ConnectionResetError):
            while c._more():
                pass
        c.eof = True
    assert get("/").status == 200


def test_slow_reader_outlives_the_send_timeout(params, large):
    del large
    params.set(send_timeout_ms=700)
    with Client(rcvbuf=32768) as c:
        n = 900000
        c.send(request("GET", "/large.bin", f"Range: bytes=0-{n - 1}"))
        for _ in range(15):  # 1.5 s of progress, but never fast
            c._more(16384)
            time.sleep(0.1)
        assert len(c.response().body) == n


def test_lingering_close_ends(params):
    """After an error reply input is thrown away, but not for ever."""
    params.set(linger_timeout_ms=500)
    with Client() as c:
        watch = Watch()
        c.send(b"BAD\r\n\r\n")
        assert c.response().closes
        c.expect_eof()
        try:
            while time.monotonic() - watch.start < PATIENCE:
                c.send(b"x")
                time.sleep(0.05)
            pytest.fail("the server still reads")
        except (ConnectionResetError, BrokenPipeError):
            pass
        watch.check(500)
