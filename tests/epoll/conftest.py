# SPDX-License-Identifier: MIT OR GPL-2.0
"""A server of its own for each test."""

import os
import re
import subprocess
import sys
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/integration"))
from client import PORT  # noqa: E402

PROGRAM = os.environ.get("KHTTPD_EPOLL_PROGRAM", os.path.join(TOP, "build/khttpd-epoll"))
OPTIONS = os.environ.get("KHTTPD_EPOLL_OPTIONS", "--seccomp=kill")
PATIENCE = 60


class Epoll:
    """khttpd-epoll with these options; what it says is in a file."""

    def __init__(self, folder, *options, **popen):
        self.said = os.path.join(folder, "said")
        command = [PROGRAM, OPTIONS, f"--port={PORT}", *options]
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(command, stderr=said, **popen)
        self.wait_for("serving on")

    def messages(self):
        with open(self.said, encoding="utf-8") as f:
            return f.read()

    def wait_for(self, text, times=1):
        end = time.monotonic() + PATIENCE
        while len(re.findall(text, self.messages())) < times:
            assert self.process.poll() is None, f"it ended: {self.messages()}"
            assert time.monotonic() < end, f"it never said {text}: {self.messages()}"
            time.sleep(0.005)

    def end(self):
        """SIGTERM; sanitizers have had nothing to report."""
        self.process.terminate()
        assert self.process.wait(timeout=PATIENCE) == 0, self.messages()


@pytest.fixture
def epoll(tmp_path):
    servers = []

    def start(*options, **popen):
        servers.append(Epoll(tmp_path, *options, **popen))
        return servers[-1]
    yield start
    for s in servers:
        if s.process.poll() is None:
            s.end()
