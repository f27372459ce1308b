# SPDX-License-Identifier: MIT OR GPL-2.0
"""Limits: connections, connections per address, requests per connection; parameter checks."""

import errno
import os
import stat
import subprocess
import time

import pytest

from client import HOST, PATIENCE, PORT, Client, get, request, server_sockets
from conftest import PARAMS

RUN_TIME = ["first_byte_timeout_ms", "header_timeout_ms", "idle_timeout_ms", "send_timeout_ms",
            "linger_timeout_ms", "max_conns", "max_conns_per_ip", "max_requests", "max_head",
            "max_target", "max_body", "max_site_bytes"]
LOAD_TIME = ["port", "bind", "backlog", "shards", "debug_large"]


def refused(c):
    """The server accepted and closed at once, without a byte."""
    try:
        c.expect_eof()
    except ConnectionResetError:
        pass
    c.sock.close()


def wait_closed(c):
    """The server closes this idle connection with a clean FIN."""
    c.expect_eof()
    c.sock.close()


def test_max_requests_closes_politely(params, page):
    params.set(max_requests=3)
    with Client() as c:
        assert [c.ask().closes for _ in range(3)] == [False, False, True]
        c.expect_eof()
    with Client() as c:
        c.send(request() * 5)
        for last in (False, False, True):
            reply = c.response()
            assert (reply.body, reply.closes) == (page.body, last)
        c.expect_eof()


def test_shedding_takes_the_longest_idle_connection(params, quiet):
    params.set(max_conns=6)
    old = []
    for _ in range(6):
        old.append(Client())
        assert old[-1].ask().status == 200
        time.sleep(0.01)
    assert old[0].ask().status == 200  # the first is now the most recently used
    time.sleep(0.01)
    order = old[1:] + old[:1]
    new = []
    try:
        for _ in range(3):
            new.append(Client())
            assert new[-1].ask().status == 200
            wait_closed(order.pop(0))
            assert all(c.is_open() for c in order), "another one than the longest idle was closed"
        for c in order + new:
            assert c.ask().status == 200
    finally:
        for c in old + new:
            c.sock.close()


def test_max_conns_holds_in_a_storm(params, quiet):
    """Many at once: those that stay are at most max_conns, and the last ones are served."""
    params.set(max_conns=20)
    storm = []
    try:
        for _ in range(300):
            storm.append(Client())
            storm[-1].send(request("HEAD"))
        # Some come in on credit while others leave: that has to settle, on a slow machine too
        end = time.monotonic() + PATIENCE
        since = None
        while since is None or time.monotonic() - since < 0.5:
            assert time.monotonic() < end, f"{len(server_sockets())} stay"
            since = None if len(server_sockets()) > 20 else since or time.monotonic()
            time.sleep(0.02)
        assert get("/").status == 200
        answered = 0
        for c in storm:
            try:
                answered += c.response("HEAD").status == 200
            except (AssertionError, ConnectionResetError):
                pass
        assert answered >= 20
    finally:
        for c in storm:
            c.sock.close()


def test_busy_connections_are_never_shed(params, quiet):
    params.set(max_conns=5)
    busy = [Client() for _ in range(5)]
    try:
        for c in busy[:3]:
            c.send(request()[:-2])  # in the middle of a head
        for c in busy[3:]:
            c.send(request("POST", "/", "Content-Length: 5", body=b"ab"))  # in a body
        time.sleep(0.1)
        for _ in range(5):
            refused(Client())
        for c in busy[:3]:
            c.send(b"\r\n")
            assert c.response().status == 200
        for c in busy[3:]:
            c.send(b"cde")
            assert c.response().status == 405
        # all idle now: one goes, the new one is served
        assert get("/").status == 200
    finally:
        for c in busy:
            c.sock.close()


def test_large_reply_in_flight_is_never_shed(params, quiet, large):
    params.set(max_conns=4)
    busy = [Client(rcvbuf=8192) for _ in range(4)]
    try:
        for c in busy:
            c.send(request("GET", "/large.bin"))
        time.sleep(0.1)
        for _ in range(3):
            refused(Client())
        for c in busy:
            assert len(c.response().body) == large
    finally:
        for c in busy:
            c.sock.close()


def test_refused_connections_are_not_counted(params, quiet):
    """The counter falls again, or the server would lock itself up."""
    params.set(max_conns=3)
    busy = [Client() for _ in range(3)]
    for c in busy:
        c.send(b"GET /")
    time.sleep(0.05)
    for _ in range(30):
        refused(Client())
    for c in busy:
        c.reset()
    time.sleep(0.1)
    clients = [Client() for _ in range(3)]
    try:
        for c in clients:
            assert c.ask().status == 200
        assert all(c.is_open() for c in clients)
    finally:
        for c in clients:
            c.sock.close()


def fill(limit, source, **where):
    """limit connections from source are served, one more is not; they stay open."""
    clients = []
    for _ in range(limit):
        c = Client(source=source, **where)
        assert c.ask().status == 200
        clients.append(c)
    refused(Client(source=source, **where))
    assert all(c.is_open() for c in clients), "the limit of one address cost others their place"
    return clients


@pytest.mark.skipif(not HOST.startswith("127."), reason="needs the addresses of 127.0.0.0/8")
def test_connections_per_address_are_limited(params, quiet):
    params.set(max_conns_per_ip=3)
    held = []
    try:
        for source in ("127.0.0.2", "127.0.0.3", "127.9.8.7"):
            held += fill(3, source)
        held.pop().sock.close()  # one of the last address goes, another one of it may come
        time.sleep(0.1)
        with Client(source="127.9.8.7") as c:
            assert c.ask().status == 200
    finally:
        for c in held:
            c.sock.close()


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def two_networks():
    """Two addresses in one IPv6 /64 and one in another, on lo."""
    addresses = ["fd00:6b68::1", "fd00:6b68::2", "fd00:6b68:0:1::1"]
    try:
        for a in addresses:
            made = ip("addr", "add", a + "/128", "dev", "lo", "nodad")
            if made.returncode:
                pytest.skip(f"cannot add {a} to lo: {made.stderr.strip()}")
        yield addresses
    finally:
        for a in addresses:
            ip("addr", "del", a + "/128", "dev", "lo")


def test_connections_per_ipv6_network_are_limited(params, quiet, two_networks):
    params.set(max_conns_per_ip=3)
    one, same, other = two_networks
    held = []
    try:
        try:
            Client(host=one, port=PORT).sock.close()
        except OSError as e:
            pytest.skip(f"no IPv6 listener: {e}")
        time.sleep(0.1)
        held += fill(3, one, host=one)
        refused(Client(host=one, source=same))  # another address of the same /64
        held += fill(3, other, host=one)
    finally:
        for c in held:
            c.sock.close()


module_files = pytest.mark.skipif(not PARAMS.startswith("/sys/module/"),
                                  reason="about the files of /sys/module")


@module_files
@pytest.mark.parametrize("name", RUN_TIME)
def test_bad_parameter_write_is_refused(params, name):
    before = params.read(name)
    if not os.access(params.path(name), os.W_OK):
        pytest.skip(f"parameter {name} is not writable")
    for bad in ("-1", "abc", "1x", "", " ", "99999999999999999999999", "0x"):
        with pytest.raises(OSError) as e:
            params.write(name, bad if bad else "\n")
        assert e.value.errno == errno.EINVAL, f"{name}={bad!r}: {e.value}"
        assert params.read(name) == before


@module_files
@pytest.mark.parametrize("name,bad", [
    ("first_byte_timeout_ms", 0), ("header_timeout_ms", 0), ("idle_timeout_ms", 0),
    ("send_timeout_ms", 0), ("max_conns", 0), ("max_head", 255), ("max_head", 65537), ("max_head", 0),
    ("max_target", 0),
])
def test_value_out_of_range_is_refused(params, name, bad):
    if not os.access(params.path(name), os.W_OK):
        pytest.skip(f"parameter {name} is not writable")
    with pytest.raises(OSError) as e:
        params.write(name, bad)
    assert e.value.errno == errno.EINVAL


@module_files
@pytest.mark.parametrize("name", RUN_TIME + LOAD_TIME)
def test_parameter_has_its_mode(params, name):
    mode = stat.S_IMODE(os.stat(params.path(name)).st_mode)
    assert mode == (0o644 if name in RUN_TIME else 0o444)


@module_files
def test_defaults_are_the_documented_ones(params):
    default = dict(zip(RUN_TIME, (10000, 10000, 60000, 30000, 5000, 65536, 0, 0, 16384, 8192,
                                  1048576, 1 << 30)))
    assert {name: int(params.read(name)) for name in RUN_TIME} == default
    assert int(params.read("backlog")) == 4096
