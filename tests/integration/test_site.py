# SPDX-License-Identifier: MIT OR GPL-2.0
"""A packed site is served as its folder has it: pages, codings, conditions, ranges, redirects, hosts.

Needs the sample site in the server and its folder here, see sample.py.
"""

import os
import re
import shutil
import subprocess
import zlib
from email.utils import formatdate

import pytest

import sample
from client import HOST, PATIENCE, PORT, Client, request
from sample import CODINGS, decode, url

if not sample.FOLDER:
    pytest.skip("KHTTPD_SITE does not name the folder of the site that is served", allow_module_level=True)

HOSTS = sample.read_hosts()
MAIN, SECOND, BARE = HOSTS[""], HOSTS["second.example"], HOSTS["bare.example"]
STYLE, FONT, PICTURE, CODED = b"/css/style.css", b"/fonts/sample.ttf", b"/img/gradient.png", b"/coded.txt"
ALL = "Accept-Encoding: gzip, br, zstd"
EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"


def accept(coding):
    return f"Accept-Encoding: {coding}"


def to(host):
    return {"host": host.name or "test"}


def pages():
    """All of them; pytest shows the last line that was printed before a failure."""
    for name, host in HOSTS.items():
        for path in sorted(host.pages):
            print(f"{name}{url(path)}")
            yield host, path


def get(target, *lines, host="test"):
    """One request on a connection of its own."""
    with Client() as c:
        return c.ask("GET", target, *lines, host=host)


def check_body(reply, file):
    """The body is the file, in the coding that the reply names."""
    coding = reply.get("content-encoding")
    assert coding in (None, *CODINGS)
    assert decode(coding, reply.body, len(file.body)) == file.body


def variants(c, host, path):
    """Reply by coding, None for the file as it is."""
    found = {}
    for coding in (None, *CODINGS):
        reply = c.ask("GET", url(path), accept(coding or "identity"), **to(host))
        assert reply.status == 200
        assert reply.get("content-encoding") in (None, coding)
        check_body(reply, host.pages[path])
        found[reply.get("content-encoding")] = reply
    return found


# --- pages -------------------------------------------------------------------------------------------


def test_pages_are_the_files_with_their_fields():
    tags = {}
    with Client() as c:
        for host, path in pages():
            file = host.pages[path]
            found = variants(c, host, path)
            for coding, reply in found.items():
                want = host.fields(path)
                want["last-modified"] = formatdate(file.modified, usegmt=True)
                want["accept-ranges"] = "bytes"
                want["content-length"] = str(len(reply.body))
                if coding:
                    want["content-encoding"] = coding
                if len(found) > 1:
                    want["vary"] = "Accept-Encoding"
                got = {k: v for k, v in reply.fields.items() if k not in ("date", "server", "etag")}
                assert got == want
                assert re.fullmatch(r'"[!#-~]+"', reply["etag"])
                assert tags.setdefault(reply["etag"], reply.body) == reply.body, "two contents share an entity tag"
                head = c.ask("HEAD", url(path), accept(coding or "identity"), **to(host))
                assert {**head.fields, "date": 0} == {**reply.fields, "date": 0}
            assert len({r["etag"] for r in found.values()}) == len(found), "codings share an entity tag"
            # Who says nothing gets the file as it is, who takes all gets the smallest
            plain = c.ask("GET", url(path), **to(host))
            assert (plain.body, plain.get("content-encoding"), plain["etag"]) == (file.body, None, found[None]["etag"])
            smallest = c.ask("GET", url(path), ALL, **to(host))
            check_body(smallest, file)
            assert len(smallest.body) == min(len(r.body) for r in found.values())


def test_what_shrinks_is_coded():
    """zlib, not libdeflate, tells; near the packer's limits (10 % and 64 bytes) either may be right."""
    with Client() as c:
        for host, path in pages():
            file = host.pages[path]
            small = len(zlib.compress(file.body, 9)) + 12  # gzip's frame is longer than zlib's
            reply = c.ask("GET", url(path), accept("gzip"), **to(host))
            if not re.match("text/|application/json|image/svg|font/ttf", host.fields(path)["content-type"]):
                assert reply.get("content-encoding") is None, "no type that is compressed"
            elif small < len(file.body) * 0.85 and small < len(file.body) - 100:
                assert reply.get("content-encoding") == "gzip"
                assert len(reply.body) <= small * 1.1 or file.gzip
            elif small > len(file.body) * 0.95 or small > len(file.body) - 40:
                assert reply.get("content-encoding") is None


def test_coding_that_lies_beside_its_file_is_used_as_it_is():
    used = [path for path, file in MAIN.pages.items() if file.gzip]
    assert used
    for path in used:
        reply = get(url(path), accept("gzip"))
        assert (reply["content-encoding"], reply.body) == ("gzip", MAIN.pages[path].gzip)


def test_all_pages_pipelined_on_one_connection():
    with Client() as c:
        c.send(b"".join(request("GET", url(path), ALL if i % 2 else accept("identity"), **to(host))
                        for i, (host, path) in enumerate(pages())))
        for host, path in pages():
            reply = c.response()
            assert reply.status == 200
            check_body(reply, host.pages[path])


def test_hidden_files_are_not_there():
    for host in HOSTS.values():
        for path in host.hidden:
            assert get(url(path), **to(host)).status == 404, path
    assert {b"/_headers", b"/_redirects", b"/.secret", b"/odd/.git/config"} <= set(MAIN.hidden)


@pytest.mark.parametrize("target,path", [
    ("/odd/%63ase.txt", b"/odd/case.txt"), ("/odd/./x/../case.txt?q", b"/odd/case.txt"),
    ("/odd%2Fcase.txt", b"/odd/case.txt"), ("/odd/Case.txt", b"/odd/Case.txt"), ("/odd/CASE.txt", None),
    ("/odd/%2541.txt", b"/odd/%41.txt"), ("/odd/A.txt", None), ("/odd/%41.txt", None),
    ("/odd/%252e%252e.txt", b"/odd/%2e%2e.txt"),
    ("/odd/q%3fx=1.txt", b"/odd/q?x=1.txt"), ("/odd/q?x=1.txt", None), ("/odd/plus+.txt", b"/odd/plus+.txt"),
    ("/odd/a+b.txt", None), ("/odd/%c3%bc.txt", "/odd/\u00fc.txt".encode()), ("/odd/u%cc%88.txt", b"/odd/u\xcc\x88.txt"),
    ("/odd/:name.txt", b"/odd/:name.txt"), ("/odd/xname.txt", None), ("/odd/star*.txt", b"/odd/star*.txt"),
    ("/odd/starry.txt", None), ("/odd/semi;a=1.txt", b"/odd/semi;a=1.txt"), ("/odd/semi", None), ("/odd//case.txt", None),
    ("/odd/back%5cslash.txt", b"/odd/back\\slash.txt"), ("/odd/back/slash.txt", None),
])
def test_path_names_its_file_only(target, path):
    reply = get(target)
    assert (reply.status, reply.body) == ((200, MAIN.pages[path].body) if path else (404, MAIN.pages[b"/404.html"].body))


# --- content codings ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sizes():
    with Client() as c:
        return {coding: len(reply.body) for coding, reply in variants(c, MAIN, CODED).items()}


@pytest.mark.parametrize("value,coding", [
    ("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("GZip", "gzip"), ("x-gzip", "gzip"), ("identity", None),
    ("", None), ("deflate", None), ("*", "br"), ("gzip, deflate", "gzip"), ("gzip, deflate, br, zstd", "br"),
    ("gzip;q=0.5, br;q=0.4", "gzip"), ("gzip, zstd", "zstd"), ("*, br;q=0.5", "zstd"), ("gzip;q=0.001", "gzip"), ("gzip ; q=1.000 , br;q=0.999", "gzip"),
    ("identity, gzip;q=0.5", None), ("identity;q=0.5, gzip;q=0.4, br;q=0.3", None), ("gzip;q=0", None),
    ("identity;q=0, gzip", "gzip"), ("identity;q=0, *", "br"), ("br;q=0, *", "zstd"), ("*;q=0, zstd", "zstd"),
    ("*;q=0.1, gzip;q=0.2", "gzip"), ("br;q=0, zstd;q=0, gzip;q=0", None), ("gzip;q=1.001", None), ("gzip;q=", None),
    (",, gzip ,", "gzip"),
    ("identity;q=0", 406), ("*;q=0", 406), ("identity;q=0, deflate", 406), ("*;q=0, deflate", 406),
    ("identity;q=0.000, gzip;q=0, *;q=0", 406),
])
def test_accept_encoding(value, coding, sizes):
    """Of what is equally welcome the smallest wins."""
    assert sorted(sizes, key=sizes.get) == ["br", "zstd", "gzip", None], "this table is for another page"
    reply = get(url(CODED), f"Accept-Encoding: {value}".rstrip())
    if coding == 406:
        assert (reply.status, reply["vary"]) == (406, "Accept-Encoding")
    else:
        assert (reply.status, reply.get("content-encoding")) == (200, coding)
        check_body(reply, MAIN.pages[CODED])


def test_accept_encoding_in_several_lines():
    with Client() as c:
        reply = c.ask("GET", url(STYLE), "Accept-Encoding: br;q=0.1", "Accept-Encoding: gzip;q=0.2")
        assert reply["content-encoding"] == "gzip"
        assert c.ask("GET", url(STYLE), "Accept-Encoding: identity;q=0", "Accept-Encoding: br").status == 200


def test_file_without_codings():
    with Client() as c:
        for value in ("gzip, br, zstd", "*", "identity", "gzip;q=0", "identity;q=0.001, *;q=0"):
            reply = c.ask("GET", url(PICTURE), accept(value))
            assert (reply.status, reply.get("content-encoding"), reply.get("vary")) == (200, None, None), value
            assert reply.body == MAIN.pages[PICTURE].body
        for value in ("identity;q=0", "*;q=0", "gzip, identity;q=0"):
            assert c.ask("GET", url(PICTURE), accept(value)).status == 406, value


# --- conditions --------------------------------------------------------------------------------------


def test_second_visit_gets_304():
    with Client() as c:
        for host, path in pages():
            for coding, reply in variants(c, host, path).items():
                check_conditions(c, host, path, coding, reply)


def check_conditions(c, host, path, coding, reply):
    def ask(line, *more, method="GET"):
        print(f"  {coding} {line}")
        return c.ask(method, url(path), accept(coding or "identity"), line, *more, **to(host))

    def date(moved):
        return formatdate(host.pages[path].modified + moved, usegmt=True)

    tag = reply["etag"]
    shown = {k: v for k, v in reply.fields.items()
             if k in ("etag", "vary", "cache-control", "expires", "content-location", "server")}
    for line, method in ((f"If-None-Match: {tag}", "GET"), (f'If-None-Match: "a", W/{tag}', "HEAD"),
                         (f"If-Modified-Since: {date(0)}", "HEAD"), (f"If-Modified-Since: {date(1)}", "GET")):
        again = ask(line, "Range: bytes=0-1", method=method)
        assert (again.status, again.closes) == (304, False)
        del again.fields["date"]
        assert again.fields == shown
    for line in (f"If-Modified-Since: {date(-1)}", f"If-Unmodified-Since: {date(0)}", f"If-Match: {tag}"):
        again = ask(line, method="HEAD")
        assert (again.status, again["etag"]) == (200, tag)
    assert ask('If-None-Match: "other"').body == reply.body
    for line in ('If-Match: "other"', f"If-Match: W/{tag}", f"If-Unmodified-Since: {date(-1)}"):
        assert ask(line).status == 412


def test_tag_of_another_coding_is_another_tag():
    with Client() as c:
        found = variants(c, MAIN, STYLE)
        assert len(found) == 4
        for one, other in ((None, "gzip"), ("gzip", None), ("br", "zstd"), ("zstd", "br"), ("gzip", "br")):
            tag = found[other]["etag"]
            reply = c.ask("GET", url(STYLE), accept(one or "identity"), f"If-None-Match: {tag}")
            assert (reply.status, reply.body) == (200, found[one].body)
            assert c.ask("GET", url(STYLE), accept(one or "identity"), f"If-Match: {tag}").status == 412
            reply = c.ask("GET", url(STYLE), accept(one or "identity"), f"If-Range: {tag}", "Range: bytes=0-0")
            assert (reply.status, reply.body) == (200, found[one].body)
            both = f"If-None-Match: {tag}, {found[one]['etag']}"
            assert c.ask("GET", url(STYLE), accept(one or "identity"), both).status == 304


def test_order_of_conditions():
    """RFC 9110, 13.2.2: tags beat dates, If-Match comes first."""
    with Client() as c:
        page = c.ask("GET", url(STYLE))
        tag, date = page["etag"], page["last-modified"]
        for lines, status in (
                ((f"If-None-Match: {tag}", 'If-Match: "x"'), 412), ((f"If-None-Match: {tag}", f"If-Match: {tag}"), 304),
                ((f"If-None-Match: {tag}", f"If-Modified-Since: {EPOCH}"), 304),
                (('If-None-Match: "x"', f"If-Modified-Since: {date}"), 200),
                ((f"If-Match: {tag}", f"If-Unmodified-Since: {EPOCH}"), 200),
                ((f"If-Unmodified-Since: {EPOCH}", f"If-None-Match: {tag}"), 412),
                (('If-Match: "x"', "Range: bytes=0-1"), 412),
                ((f"If-Match: {tag}", "Range: bytes=0-1"), 206)):
            assert c.ask("GET", url(STYLE), *lines).status == status, lines


def test_conditions_are_for_pages_only():
    with Client() as c:
        assert c.ask("GET", "/nowhere", "If-None-Match: *").status == 404
        assert c.ask("GET", "/nowhere", "If-Match: *", "Range: bytes=0-1").status == 404
        assert c.ask("GET", "/docs", "If-None-Match: *").status == 301
        assert c.ask("GET", "/temporary", 'If-Match: "x"').status == 303
        assert c.ask("GET", url(STYLE), "If-None-Match: *", "Accept-Encoding: *;q=0").status == 406


# --- ranges ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [STYLE, FONT, PICTURE, CODED, b"/odd/~"])
def test_parts_make_the_whole(path):
    """Of each coding, whose parts are parts of the coded bytes."""
    with Client() as c:
        for coding, whole in variants(c, MAIN, path).items():
            n, body, cut = len(whole.body), b"", max(1, len(whole.body) // 3)
            for first in range(0, n, cut):
                last = min(first + cut, n) - 1
                part = c.ask("GET", url(path), accept(coding or "identity"), f"Range: bytes={first}-{last}",
                             f"If-Range: {whole['etag']}")
                assert part.status == 206
                assert part["content-range"] == f"bytes {first}-{last}/{n}"
                same = {k: v for k, v in part.fields.items() if k not in ("content-range", "content-length", "date")}
                assert same == {k: v for k, v in whole.fields.items() if k not in ("content-length", "date")}
                body += part.body
            assert body == whole.body
            end = c.ask("GET", url(path), accept(coding or "identity"), f"Range: bytes=-{cut}")
            assert (end.status, end.body) == (206, whole.body[n - cut:])
            over = c.ask("GET", url(path), accept(coding or "identity"), f"Range: bytes={n}-")
            assert (over.status, over["content-range"]) == (416, f"bytes */{n}")


@pytest.mark.parametrize("lines,status", [
    (("Range: bytes=0-0,2-3",), 200), (("Range: bytes=3-2",), 200), (("Range: items=0-1",), 200), (("Range: bytes=",), 200),
    (("Range: bytes=0-1", "Range: bytes=2-3"), 200), (("Range: BYTES=0-1",), 206), (("Range: bytes=5",), 200),
    (("Range: bytes=0-1", f"If-Range: {EPOCH}"), 200), (("Range: bytes=0-1", "If-Range: *"), 200),
    (("Range: bytes=0-1", 'If-Range: "x"'), 200), (("Range: bytes=-0",), 416),
    (("Range: bytes=99999999999999999999-",), 416), (("Range: bytes=0-99999999999999999999",), 206),
])
def test_range_forms(lines, status):
    file = MAIN.pages[PICTURE]
    reply = get(url(PICTURE), *lines)
    assert reply.status == status
    if status == 200:
        assert reply.body == file.body
    elif status == 206:
        assert file.body.startswith(reply.body) and len(reply.body) in (2, len(file.body))


def test_empty_files():
    empty = [path for path, file in MAIN.pages.items() if not file.body]
    assert len(empty) >= 2
    for path in empty:
        with Client() as c:
            for value in ("identity", "gzip, br, zstd"):
                reply = c.ask("GET", url(path), accept(value))
                assert (reply.status, reply["content-length"], reply.get("vary")) == (200, "0", None)
            for value, status in (("0-", 416), ("0-0", 416), ("-0", 416), ("-5", 200)):
                reply = c.ask("GET", url(path), f"Range: bytes={value}")
                assert reply.status == status, value
                assert reply.get("content-range") == ("bytes */0" if status == 416 else None)
            assert c.ask("GET", url(path), f"If-None-Match: {reply['etag']}").status == 304


# --- folders, redirects, rewrites --------------------------------------------------------------------


def test_folders():
    for host in HOSTS.values():
        for path in host.folders:
            with Client() as c:
                reply = c.ask("GET", url(path), **to(host))
                assert (reply.status, reply["location"]) == (301, sample.encode_in_location(path, b"").decode() + "/")
                assert c.ask("GET", url(path) + "?a=b&c=%26", **to(host))["location"].endswith("/?a=b&c=%26")
                assert c.ask("GET", reply["location"], **to(host)).body == host.pages[path + b"/"].body
                assert c.ask("GET", url(path) + "/.", **to(host)).body == host.pages[path + b"/"].body
    for target in ("/img", "/img/", "/nothing", "/nothing/", "/docs//", "/docs/index.html/", "/docs/index"):
        assert get(target).status == 404, target


# What a placeholder stands for; with it a target is asked for
VALUES = [{b"*": b"a/b", b":": b"one"}, {b"*": b"", b":": b"x"},
          {b"*": "é d/%41+&=?#;:@\"<>".encode(), b":": "ü a%?&#+".encode()}]


def rule_cases():
    for name, host in HOSTS.items():
        for rule in host.redirects:
            for i, value in enumerate(VALUES):
                path = re.sub(rb":[a-z]+|\*", lambda m, v=value: v[m[0][:1]], rule.source)
                if path not in host.pages and next(r for r in host.redirects if r.match(path)) is rule:
                    yield pytest.param(host, rule, path, id=f"{name}{rule.source.decode()}-{i}")


@pytest.mark.parametrize("host,rule,path", rule_cases())
def test_rule(host, rule, path):
    with Client() as c:
        for query in (None, b"", b"q=1&r=%2F?"):
            target = url(path) + ("" if query is None else "?" + query.decode())
            for method in ("GET", "HEAD"):
                reply = c.ask(method, target, **to(host))
                if rule.status in (200, 404):
                    page = host.pages.get(rule.page(path))
                    status = rule.status if page else 404
                    assert reply.status == status
                    if method == "GET":
                        assert reply.body == (page or host.pages[b"/404.html"]).body
                else:
                    assert (reply.status, reply["location"]) == (rule.status, rule.location(path, query))
                assert not reply.closes


def test_every_status_has_a_rule():
    assert {r.status for r in MAIN.redirects} == {200, 301, 302, 303, 307, 308, 404}


@pytest.mark.parametrize("target,status,location", [
    ("/old/page", 301, "/about.html"), ("/old/page/", 302, "/docs/page/"), ("/old/x?y", 302, "/docs/x?y"),
    ("/old", 404, None), ("/OLD/x", 404, None), ("/old/..%2Fx", 404, None),
    ("/blog/2026/7", 307, "/docs/?year=2026&id=7"), ("/blog/2026/7?x=1", 307, "/docs/?year=2026&id=7"),
    ("/blog/a%26b/c%23d", 307, "/docs/?year=a%26b&id=c%23d"), ("/blog/2026", 404, None), ("/blog/2026/", 404, None),
    ("/blog/2026/7/8", 404, None), ("/blog//7", 404, None),
    ("/project", 301, "https://example.com/khttpd"), ("/project?a", 301, "https://example.com/khttpd?a"),
    ("/mirror/a/b?c", 301, "https://example.com/pub/a/b?from=khttpd#top"),
    ("/go/there/x?y=1", 303, "/x?y=1#there"), ("/keep/%E6%97%A5", 308, "/%E6%97%A5"),
    # Nobody is led to another server, and no line is added
    ("/keep//evil.example/", 308, "/evil.example/"), ("/keep/%2F%2Fevil.example", 308, "/evil.example"),
    ("/keep/%5Cevil.example", 308, "/%5Cevil.example"), ("/keep/a%0D%0AX:%20y", 308, "/a%0D%0AX:%20y"),
    ("/robots.old.txt", 301, "/robots.txt"), ("/alias/docs", 301, "/docs/"),
])
def test_redirect(target, status, location):
    reply = get(target)
    assert (reply.status, reply.get("location")) == (status, location)


def test_location_that_is_too_long():
    assert len(get("/keep/" + "%FF" * 1000)["location"]) == 3001
    with Client() as c:
        reply = c.ask("GET", "/keep/" + "%FF" * 2000)
        assert (reply.status, reply.get("location")) == (414, None)


def test_rewrite_is_the_page():
    """All that a page has: codings, conditions, ranges, its own fields."""
    with Client() as c:
        for target, path in (("/app/any/path?x", b"/app/index.html"), ("/alias/css/style.css", STYLE)):
            page, reply = c.ask("GET", url(path), ALL), c.ask("GET", target, ALL)
            assert {**reply.fields, "date": 0} == {**page.fields, "date": 0}
            assert reply.body == page.body and reply["content-encoding"] == "br"
            assert c.ask("GET", target, ALL, f"If-None-Match: {page['etag']}").status == 304
            part = c.ask("GET", target, "Range: bytes=1-5")
            assert (part.status, part.body) == (206, MAIN.pages[path].body[1:6])
        # What is there is shown, whatever rules say
        assert c.ask("GET", "/app/").body == MAIN.pages[b"/app/"].body
        assert c.ask("GET", "/alias/nowhere").status == 404


def test_pages_of_what_is_not_there():
    with Client() as c:
        for host, target, path in ((MAIN, "/nowhere", b"/404.html"), (MAIN, "/private/x", b"/404.html"),
                                   (MAIN, "/gone/x", b"/docs/gone.html"), (SECOND, "/nowhere", b"/404.html"),
                                   (SECOND, "/gone/x", b"/404.html")):
            for coding in (None, "br"):
                reply = c.ask("GET", target, accept(coding or "identity"), "Range: bytes=0-3", **to(host))
                assert (reply.status, reply.get("content-encoding"), reply.closes) == (404, coding, False)
                check_body(reply, host.pages[path])
                assert reply["vary"] == "Accept-Encoding"
                for name, value in host.fields(path).items():
                    assert reply[name] == value
                assert {"etag", "last-modified", "accept-ranges"}.isdisjoint(reply.fields)
        reply = c.ask("GET", "/nowhere", **to(BARE))
        assert (reply.status, reply.body) == (404, b"404 Not Found\n")
        # The page itself is a page
        assert c.ask("GET", "/404.html").status == 200


# --- hosts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value,host", [
    ("second.example", SECOND), ("SECOND.Example", SECOND), ("second.example:8081", SECOND), ("second.example:", SECOND),
    ("second.example.", SECOND), ("second.example.:80", SECOND),
    ("test", MAIN), ("example", MAIN), ("xsecond.example", MAIN), ("second.example.org", MAIN), ("second.exampl", MAIN),
    ("127.0.0.1:8081", MAIN), ("[::1]:8081", MAIN), ("", MAIN),
])
def test_host_has_its_own_site(value, host):
    with Client() as c:
        assert c.ask("GET", "/README", host=value).body == host.pages[b"/README"].body
        if value:
            assert c.ask("GET", f"http://{value}/README", host="bare.example").body == host.pages[b"/README"].body
        assert c.ask("GET", "/only.txt", host=value).body == host.pages[b"/404.html"].body
        assert c.ask("GET", "/docs/", host=value).status == (200 if host is MAIN else 404)


def test_hosts_take_turns_on_one_connection():
    with Client() as c:
        c.send(b"".join(request("GET", "/README", host=h.name or "test") for h in (MAIN, SECOND, BARE) * 3))
        for host in (MAIN, SECOND, BARE) * 3:
            reply = c.response()
            if host is BARE:
                assert reply.status == 404
            else:
                assert reply.body == host.pages[b"/README"].body


def test_http_1_0_without_a_host():
    with Client() as c:
        reply = c.ask("GET", "/README", version="HTTP/1.0", host=None)
        assert (reply.body, reply.closes) == (MAIN.pages[b"/README"].body, True)
        c.expect_eof()


# --- curl, which nobody here wrote -------------------------------------------------------------------


@pytest.fixture
def curl(tmp_path):
    if not shutil.which("curl"):
        pytest.skip("no curl")

    def run(target, *options, host="test"):
        """-> status, redirects, body"""
        out = tmp_path / "body"
        done = subprocess.run(
            ["curl", "--globoff", "-sS", "--noproxy", "*", "--max-time", str(PATIENCE), "-o", out, "-w",
             "%{http_code} %{num_redirects}", "--connect-to", f"::[{HOST}]:{PORT}" if ":" in HOST else f"::{HOST}:{PORT}",
             *options, f"http://{host}:{PORT}{target}"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        status, redirects = done.stdout.split()
        return int(status), int(redirects), out.read_bytes() if out.exists() else b""

    return run


def test_curl_decodes_every_coding(curl):
    file = MAIN.pages[FONT]
    assert curl(url(FONT), "--compressed") == (200, 0, file.body)
    for coding in CODINGS:
        status, _, body = curl(url(FONT), "-H", accept(coding))
        assert status == 200 and len(body) < len(file.body)
        assert curl(url(FONT), "--compressed", "-H", accept(coding)) == (200, 0, file.body)


def test_curl_resumes_a_download(curl, tmp_path):
    file = MAIN.pages[b"/media/tone.wav"]
    (tmp_path / "body").write_bytes(file.body[:12345])
    assert curl("/media/tone.wav", "-C", "-") == (206, 0, file.body)
    assert curl("/media/tone.wav", "-r", "100-199")[2] == file.body[100:200]
    assert curl("/media/tone.wav", "-r", "0-1,5-6")[:1] == (200,)


def test_curl_asks_again(curl, tmp_path):
    file, tag = MAIN.pages[STYLE], tmp_path / "tag"
    assert curl(url(STYLE), "--compressed", "--etag-save", tag) == (200, 0, file.body)
    (tmp_path / "body").unlink()
    assert curl(url(STYLE), "--compressed", "--etag-compare", tag) == (304, 0, b"")
    (tmp_path / "body").unlink(missing_ok=True)
    old = tmp_path / "old"
    old.touch()
    os.utime(old, (file.modified, file.modified))
    assert curl(url(STYLE), "-z", old)[0] == 304
    os.utime(old, (file.modified - 1, file.modified - 1))
    assert curl(url(STYLE), "-z", old) == (200, 0, file.body)


def test_curl_follows_redirects(curl):
    assert curl("/old/page", "-L") == (200, 1, MAIN.pages[b"/about.html"].body)
    assert curl("/old/gone.html", "-L") == (200, 1, MAIN.pages[b"/docs/gone.html"].body)
    assert curl("/keep/docs", "-L") == (200, 2, MAIN.pages[b"/docs/"].body)
    assert curl("/odd/dir%20%C3%BC%3F", "-L") == (200, 1, MAIN.pages["/odd/dir ü?/".encode()].body)
    assert curl("/old/" + url(b"a b"), "-L")[:2] == (404, 1)


def test_curl_asks_several_hosts(curl):
    assert curl("/README", host="Second.Example") == (200, 0, SECOND.pages[b"/README"].body)
    assert curl("/nowhere", host="second.example") == (404, 0, SECOND.pages[b"/404.html"].body)
    assert curl("/README", host="unknown.example") == (200, 0, MAIN.pages[b"/README"].body)
    assert curl("/sub", "-L", host="bare.example") == (200, 1, BARE.pages[b"/sub/"].body)
