# SPDX-License-Identifier: MIT OR GPL-2.0
"""What requests mean: bodies, Expect, HEAD, OPTIONS, conditions, ranges, targets, Date."""

import time

import pytest

from client import Client, get, request


def chunked(*chunks, trailer=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize("lines,body", [
    (("Content-Length: 0",), b""),
    (("Content-Length: 5",), b"hello"),
    (("Content-Length: 300000",), b"GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n".ljust(300000, b"x")),
    (("Transfer-Encoding: chunked",), chunked()),
    (("Transfer-Encoding: chunked",), chunked(b"hello", b"GET / HTTP/1.1\r\n\r\n")),
    (("Transfer-Encoding: chunked",), chunked(b"x" * 70000, trailer=b"T: v\r\nU: w\r\n")),
])
def test_body_is_read_past_on_a_kept_connection(lines, body, page):
    with Client() as c:
        for method, status in (("POST", 405), ("GET", 200)):
            c.send(request(method, "/", *lines, body=body) + request("HEAD"))
            reply = c.response()
            assert (reply.status, reply.closes) == (status, False)
            assert c.response("HEAD").status == 200


def test_expect_100_continue_gets_the_final_reply_at_once():
    for method, status in (("POST", 405), ("PUT", 405), ("GET", 200)):
        with Client() as c:
            reply = c.ask(method, "/", "Expect: 100-continue", "Content-Length: 5")
            assert (reply.status, reply.closes) == (status, True)
            c.expect_eof()


def test_head_has_the_head_of_get(page):
    with Client() as c:
        head = c.ask("HEAD")
    skip = {"date"}
    assert {k: v for k, v in head.fields.items() if k not in skip} == \
        {k: v for k, v in page.fields.items() if k not in skip}


def test_options_lists_the_methods():
    for target in ("*", "/"):
        with Client() as c:
            reply = c.ask("OPTIONS", target)
            assert (reply.status, reply.closes) == (204, False)
            assert {m.strip() for m in reply["allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}


def test_page_has_its_fields(page):
    assert page["content-type"].startswith("text/html")
    assert page["etag"].startswith('"') and page["etag"].endswith('"') and len(page["etag"]) > 2
    assert page["accept-ranges"] == "bytes"
    assert page["last-modified"]
    assert int(page["content-length"]) == len(page.body)


@pytest.mark.parametrize("target", ["/", "/?query", "/./", "/a/..", "/%2e/", "http://test/",
                                    "http://test:8081/?x", "/a/%2e%2E/"])
def test_targets_that_name_the_page(target, page):
    assert get(target).body == page.body


def test_if_none_match(page):
    with Client() as c:
        for value in (page["etag"], "W/" + page["etag"], "*", f'"x", {page["etag"]}'):
            reply = c.ask("GET", "/", f"If-None-Match: {value}")
            assert (reply.status, reply.body, reply.closes) == (304, b"", False)
            assert reply["etag"] == page["etag"]
        assert c.ask("GET", "/", 'If-None-Match: "other"').body == page.body
        # a 304 to HEAD as well, and the entity tag beats the date
        assert c.ask("HEAD", "/", f"If-None-Match: {page['etag']}").status == 304
        assert c.ask("GET", "/", 'If-None-Match: "other"',
                     f"If-Modified-Since: {page['last-modified']}").status == 200


def test_if_modified_since(page):
    with Client() as c:
        assert c.ask("GET", "/", f"If-Modified-Since: {page['last-modified']}").status == 304
        assert c.ask("GET", "/", "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT").status == 200
        assert c.ask("GET", "/", "If-Modified-Since: yesterday").body == page.body


def test_if_match_and_if_unmodified_since(page):
    with Client() as c:
        assert c.ask("GET", "/", f"If-Match: {page['etag']}").status == 200
        assert c.ask("GET", "/", "If-Match: *").status == 200
        assert c.ask("GET", "/", f"If-Match: W/{page['etag']}").status == 412
        assert c.ask("GET", "/", "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT").status == 412
        assert c.ask("GET", "/", f"If-Unmodified-Since: {page['last-modified']}").status == 200
        assert c.ask("GET", "/missing", "If-Match: *").status == 404


def test_range(page):
    n = len(page.body)
    with Client() as c:
        for value, first, last in (("0-0", 0, 0), ("0-9", 0, 9), ("5-", 5, n - 1), ("-7", n - 7, n - 1),
                                   (f"{n - 1}-", n - 1, n - 1), (f"10-{n + 100}", 10, n - 1),
                                   (f"-{n + 5}", 0, n - 1)):
            reply = c.ask("GET", "/", f"Range: bytes={value}")
            assert reply.status == 206, value
            assert reply["content-range"] == f"bytes {first}-{last}/{n}"
            assert reply.body == page.body[first:last + 1]
            assert reply["etag"] == page["etag"]


def test_range_that_cannot_be_satisfied(page):
    n = len(page.body)
    with Client() as c:
        for value in (f"{n}-", f"{n}-{n + 1}", "-0", "18446744073709551615-"):
            reply = c.ask("GET", "/", f"Range: bytes={value}")
            assert reply.status == 416, value
            assert reply["content-range"] == f"bytes */{n}"


def test_range_that_is_ignored(page):
    with Client() as c:
        for value in ("bytes=0-1,3-4", "bytes=2-1", "bytes=a-b", "lines=0-1", "bytes", "bytes=-"):
            reply = c.ask("GET", "/", f"Range: {value}")
            assert (reply.status, reply.body) == (200, page.body), value
            assert reply.get("content-range") is None


def test_if_range(page):
    with Client() as c:
        assert c.ask("GET", "/", "Range: bytes=0-0", f"If-Range: {page['etag']}").status == 206
        assert c.ask("GET", "/", "Range: bytes=0-0", f"If-Range: {page['last-modified']}").status == 206
        for value in ('"other"', f"W/{page['etag']}", "Thu, 01 Jan 1970 00:00:00 GMT"):
            assert c.ask("GET", "/", "Range: bytes=0-0", f"If-Range: {value}").status == 200, value


def test_date_is_now(page):
    del page
    with Client() as c:
        before = time.time()
        first = c.ask().date
        after = time.time()
        # Date has whole seconds, and the two clocks may be read a moment apart.
        assert before - 2 <= first <= after + 2
        time.sleep(1.2)
        second = c.ask().date
        assert 1 <= second - first <= 1 + time.time() - before  # it moves on an idle server too


def test_fields_that_do_not_matter_do_not_matter(page):
    lines = ["User-Agent: \u00fcml\u00e4ut", "Cookie: a=b; c=d", "X-Empty:", "X-Tab:\ta\tb\t",
             "Accept: */*", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"]
    with Client() as c:
        for _ in range(2):
            assert c.ask("GET", "/", *lines).body == page.body
