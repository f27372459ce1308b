# SPDX-License-Identifier: MIT OR GPL-2.0
"""Every error status over the wire, and what becomes of the connection after it."""

import time

import pytest

from client import Client, get, request

ERRORS_THAT_CLOSE = {
    "400 bare LF": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "400 LF behind a field": (b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    "400 bare CR": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
    "400 obs-fold": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
    "400 no colon": (b"GET / HTTP/1.1\r\nHost: a\r\nXY\r\n\r\n", 400),
    "400 space before colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "400 NUL": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    "400 control character": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x1bb\r\n\r\n", 400),
    "400 field name": (b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: a\r\n\r\n", 400),
    "400 no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "400 two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "400 bad Host": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "400 two lengths": (request("POST", "/", "Content-Length: 1", "Content-Length: 1"), 400),
    "400 bad length": (request("POST", "/", "Content-Length: 1x"), 400),
    "400 negative length": (request("POST", "/", "Content-Length: -1"), 400),
    "400 length list": (request("POST", "/", "Content-Length: 3, 3", body=b"abc"), 400),
    "400 length and chunked": (request("POST", "/", "Content-Length: 3",
                                       "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "400 chunked not last": (request("POST", "/", "Transfer-Encoding: chunked, gzip"), 400),
    "400 chunked in 1.0": (request("POST", "/", "Transfer-Encoding: chunked",
                                   version="HTTP/1.0", body=b"0\r\n\r\n"), 400),
    "400 chunk size": (request("POST", "/", "Transfer-Encoding: chunked", body=b"zz\r\n"), 400),
    "400 chunk size junk": (request("POST", "/", "Transfer-Encoding: chunked",
                                    body=b"5 junk\r\nhello\r\n0\r\n\r\n"), 400),
    "400 chunk end": (request("POST", "/", "Transfer-Encoding: chunked",
                              body=b"5\r\nhelloX\r\n0\r\n\r\n"), 400),
    "400 HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "400 escape": (request("GET", "/%zz"), 400),
    "400 encoded NUL": (request("GET", "/%00"), 400),
    "400 above the root": (request("GET", "/a/../../etc/passwd"), 400),
    "400 encoded dots": (request("GET", "/%2e%2e/etc/passwd"), 400),
    "400 TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), 400),
    "413 length": (request("POST", "/", "Content-Length: 9999999999"), 413),
    "413 chunk": (request("POST", "/", "Transfer-Encoding: chunked", body=b"fffffff0\r\n"), 413),
    "414 target": (request("GET", "/" + "a" * 9000), 414),
    "414 request line": (b"GET /" + b"a" * 40000, 414),
    "431 one long field": (request("GET", "/", "X: " + "a" * 17000), 431),
    "431 many fields": (request("GET", "/", *[f"X{i}: abcdefgh" for i in range(1200)]), 431),
    "431 unfinished": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40000, 431),
    "501 method": (request("BREW", "/"), 501),
    "501 coding": (request("POST", "/", "Transfer-Encoding: gzip, chunked"), 501),
    "505 version 2": (request("GET", "/", version="HTTP/2.0"), 505),
    "505 version 3": (request("GET", "/", version="HTTP/3.0"), 505),
}


@pytest.mark.parametrize("name", ERRORS_THAT_CLOSE)
def test_error_closes_with_a_clean_end(name):
    data, status = ERRORS_THAT_CLOSE[name]
    # alone, behind a good request, and with requests behind it that must not be answered
    with Client() as c:
        c.send(data)
        reply = c.response()
        assert (reply.status, reply.closes) == (status, True)
        c.expect_eof()
    with Client() as c:
        c.send(request("HEAD") + data + request() * 2)
        assert c.response("HEAD").status == 200
        reply = c.response()
        assert (reply.status, reply.closes) == (status, True)
        c.expect_eof()


@pytest.mark.parametrize("name", ["400 bare LF", "400 TLS", "413 length", "414 request line",
                                  "431 unfinished", "501 method", "505 version 2"])
def test_error_reply_survives_data_behind_the_request(name):
    """Closing with unread input would send RST and destroy the reply on its way."""
    data, status = ERRORS_THAT_CLOSE[name]
    with Client() as c:
        c.send(data + b"x" * (512 << 10))
        reply = c.response()
        assert (reply.status, reply.closes) == (status, True)
        c.expect_eof()
        c.eof = True
        for _ in range(5):  # more after the reply: still read and thrown away, no RST
            c.send(b"y" * 8192)
            time.sleep(0.01)
        c.send(b"z")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "PATCH"])
def test_405_names_what_is_allowed_and_keeps_the_connection(method, page):
    with Client() as c:
        reply = c.ask(method, "/")
        assert (reply.status, reply.closes) == (405, False)
        assert {m.strip() for m in reply["allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}
        assert c.ask().body == page.body


def test_connect_is_refused_and_starts_no_tunnel():
    with Client() as c:
        c.send(request("CONNECT", "test:80", host="test:80") + request())
        assert c.response("CONNECT").status in (400, 405)
        if not c.eof:
            c.sock.settimeout(0.5)
            try:
                c._more()  # either the next answer or the end, but never an echo
            except TimeoutError:
                pass
            assert not c.buf or c.buf.startswith(b"HTTP/1.1 200 ")
            c.eof = True


@pytest.mark.parametrize("target", ["/missing", "/missing?x=1", "//", "/index.html/", "/%2Fx",
                                    "http://other.example/missing"])
def test_404_keeps_the_connection(target, page):
    with Client() as c:
        reply = c.ask("GET", target)
        assert (reply.status, reply.closes) == (404, False)
        assert c.ask("HEAD", target).status == 404
        assert c.ask().body == page.body


@pytest.mark.parametrize("lines,status", [
    (("Range: bytes=99999999-",), 416),
    (("If-Match: \"other\"",), 412),
    (("Accept-Encoding: identity;q=0",), 406),
])
def test_refused_get_keeps_the_connection(lines, status, page):
    with Client() as c:
        reply = c.ask("GET", "/", *lines)
        assert (reply.status, reply.closes) == (status, False)
        assert c.ask().body == page.body


def test_error_to_head_has_no_body():
    with Client() as c:
        assert c.ask("HEAD", "/missing").status == 404
        assert c.ask("HEAD", "/", "Range: bytes=99999999-").status == 200  # HEAD ignores Range


def test_413_comes_before_the_body(params):
    params.set(max_body=1000)
    with Client() as c:
        assert c.ask("POST", "/", "Content-Length: 1000", body=b"x" * 1000).status == 405
        reply = c.ask("POST", "/", "Content-Length: 1001")
        assert (reply.status, reply.closes) == (413, True)
        c.expect_eof()


def test_413_counts_all_chunks(params):
    params.set(max_body=1000)
    with Client() as c:
        ok = b"1f4\r\n" + b"x" * 500 + b"\r\n"
        c.send(request("POST", "/", "Transfer-Encoding: chunked", body=ok * 2 + b"0\r\n\r\n"))
        assert c.response().status == 405
        c.send(request("POST", "/", "Transfer-Encoding: chunked", body=ok * 2 + b"1\r\nx\r\n"))
        reply = c.response()
        assert (reply.status, reply.closes) == (413, True)
        c.expect_eof()


def test_414_follows_max_target(params):
    params.set(max_target=512)
    assert get("/" + "a" * 511).status == 404
    assert get("/" + "a" * 512).status == 414


def test_431_follows_max_head(params):
    params.set(max_head=1024)
    size = len(request("GET", "/", "X: "))
    assert get("/", "X: " + "a" * (1024 - size)).status == 200
    assert get("/", "X: " + "a" * (1025 - size)).status == 431


def test_error_bodies_are_small_text():
    reply = get("/missing")
    assert reply.body and len(reply.body) < 2048
    assert reply["content-type"].startswith("text/")
