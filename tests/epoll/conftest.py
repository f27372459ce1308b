# SPDX-License-Identifier: MIT OR GPL-2.0
"""A server of its own for each test; what it is and how it is run, for all of them."""

import os
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/integration"))
from client import PORT  # noqa: E402
from program import PATIENCE, Program  # noqa: E402,F401

PROGRAM = os.environ.get("KHTTPD_EPOLL_PROGRAM", os.path.join(TOP, "build/khttpd-epoll"))
OPTIONS = os.environ.get("KHTTPD_EPOLL_OPTIONS", "--seccomp=kill")


@pytest.fixture
def epoll():
    """Start khttpd-epoll with these options."""
    servers = []

    def start(*options, program=PROGRAM, **popen):
        servers.append(Program([program, OPTIONS, f"--port={PORT}", *options], **popen))
        return servers[-1]
    yield start
    for s in servers:
        if s.process.poll() is None:
            s.end()
