# SPDX-License-Identifier: MIT OR GPL-2.0
"""What the tests share: the page under test, server parameters, what an engine cannot have.

The suite runs against any engine:
  KHTTPD_HOST, KHTTPD_PORT   where it listens (127.0.0.1, 8081)
  KHTTPD_ENGINE              module, epoll or xdp
  KHTTPD_PARAMS              directory with one writable file per parameter
                             (engine module: /sys/module/khttpd/parameters)
  KHTTPD_EPOLL               command line of khttpd-epoll, with its --port: started by the suite, and started again
                             with other options where a test changes parameters
  KHTTPD_SITE                folder of the sample site that it serves, see sample.py; none: test_site.py is skipped
  KHTTPD_PATIENCE            seconds to wait for one answer (20)
"""

import os
import time

import pytest

from client import ENGINE, HOST, get, server_sockets
from program import Program

PARAMS = os.environ.get("KHTTPD_PARAMS",
                        "/sys/module/khttpd/parameters" if ENGINE == "module" else "")

# Tests that an engine cannot have, by name.
CANNOT = {
    "epoll": {
        "test_changed_idle_timeout_applies_to_new_waits": "parameters are options of the start",
    },
    "xdp": {
        "test_silent_connection_is_closed_without_a_byte": "XDP holds no state for a silent client",
        "test_empty_line_alone_counts_as_silence": "XDP holds no state for a silent client",
        "test_idle_connection_is_closed_after_its_reply": "XDP holds no state between two hits",
        "test_connection_in_use_outlives_the_idle_timeout": "XDP holds no state between two hits",
        "test_max_requests_closes_politely": "XDP does not count the requests of a connection",
        "test_shedding_takes_the_longest_idle_connection": "XDP connections are not counted",
        "test_max_conns_holds_in_a_storm": "XDP connections are not counted",
        "test_busy_connections_are_never_shed": "XDP connections are not counted",
        "test_connections_per_address_are_limited": "XDP connections are not counted",
        "test_connections_per_ipv6_network_are_limited": "XDP connections are not counted",
        "test_refused_connections_are_not_counted": "XDP connections are not counted",
    },
}


def pytest_collection_modifyitems(items):
    for item in items:
        reason = CANNOT.get(ENGINE, {}).get(item.originalname)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


class Server:
    """khttpd-epoll, whose parameters are options."""

    def __init__(self, command):
        self.command = command.split()
        self.program = None
        self.start({})

    def start(self, values):
        self.stop()
        self.program = Program(self.command + [f"--{name}={value}" for name, value in values.items()])

    def stop(self):
        program, self.program = self.program, None
        if program:
            program.end()


@pytest.fixture(scope="session", autouse=True)
def server():
    command = os.environ.get("KHTTPD_EPOLL")
    s = Server(command) if command else None
    yield s
    if s:
        s.stop()


@pytest.fixture(autouse=True)
def still_alive(server):
    yield
    if server:
        server.program.alive()


class Options:
    """Parameters of a server that must be started again to change them."""

    def __init__(self, started):
        self.server = started
        self.values = {}

    def set(self, **values):
        self.values |= values
        self.server.start(self.values)

    def write(self, name, value):
        self.set(**{name: value})

    def restore(self):
        if self.values:
            self.server.start({})


class Parameters:
    """The server's parameters; what is changed is put back at the end of the test."""

    def __init__(self):
        self.saved = {}

    @staticmethod
    def path(name):
        if not PARAMS:
            pytest.skip(f"engine {ENGINE} has no parameters that can be changed (KHTTPD_PARAMS)")
        return os.path.join(PARAMS, name)

    def read(self, name):
        try:
            with open(self.path(name), encoding="ascii") as f:
                return f.read().strip()
        except OSError as e:
            pytest.skip(f"parameter {name} cannot be read: {e}")

    def write(self, name, value):
        """Raises OSError if the server refuses."""
        old = self.read(name)
        # Unbuffered: the kernel sees one write, and its error arrives here.
        fd = os.open(self.path(name), os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(fd, str(value).encode())
        finally:
            os.close(fd)
        self.saved.setdefault(name, old)

    def set(self, **values):
        for name, value in values.items():
            if not os.access(self.path(name), os.W_OK):
                pytest.skip(f"parameter {name} is not writable")
            self.write(name, value)

    def restore(self):
        for name, value in self.saved.items():
            self.write(name, value)


@pytest.fixture
def params(server):
    p = Options(server) if server else Parameters()
    yield p
    p.restore()


@pytest.fixture
def quiet():
    """No connection of an earlier test is left: limits count from zero."""
    if not HOST.startswith("127.") and HOST != "::1":
        pytest.skip("counting connections needs the server on this machine")
    end = time.monotonic() + 15
    while (left := server_sockets()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not left, f"connections of earlier tests are left, states {left}"
    time.sleep(0.05)


@pytest.fixture(scope="session")
def page():
    """The plain answer for /."""
    reply = get("/")
    assert reply.status == 200
    assert len(reply.body) >= 128, "/ is too small for the range tests"
    return reply


@pytest.fixture(scope="session")
def large():
    """Length of /large.bin, of the sample site or of the module parameter debug_large."""
    reply = get("/large.bin", method="HEAD")
    if reply.status == 404:
        pytest.skip("no /large.bin: serve the sample site, or load the module with debug_large=BYTES")
    assert reply.status == 200
    size = int(reply["content-length"])
    if size < 1 << 20:
        pytest.skip(f"/large.bin has {size} bytes, the tests need 1 MiB")
    return size
