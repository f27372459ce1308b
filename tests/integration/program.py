# SPDX-License-Identifier: MIT OR GPL-2.0
"""A server in user space as a process, and what it says: for this suite, tests/epoll and whoever serves with it."""

import os
import re
import signal
import subprocess
import tempfile
import time

PATIENCE = 60


def usual_signals():
    """For a child that will exec: a script in the background is deaf to Ctrl-C, and one by nohup to the terminal's end."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def start(command, **popen):
    """subprocess.Popen, whose signals do what they usually do."""
    before = popen.pop("preexec_fn", None)

    def prepare():
        usual_signals()
        if before:
            before()
    return subprocess.Popen(command, preexec_fn=prepare, **popen)


class Program:
    """A process that is there when it has said @ready, a regular expression, on standard error."""

    def __init__(self, command, ready="serving on", **popen):
        with tempfile.TemporaryFile() as said:
            self.process = start(command, stderr=said, **popen)
            self.said = os.dup(said.fileno())
        self.wait_for(ready)

    def __del__(self):
        if "said" in self.__dict__:
            os.close(self.said)

    def messages(self):
        return os.pread(self.said, 1 << 20, 0).decode()

    def alive(self):
        assert self.process.poll() is None, f"status {self.process.returncode}: {self.messages()}"

    def wait_for(self, text, times=1):
        end = time.monotonic() + PATIENCE
        while len(re.findall(text, self.messages())) < times:
            self.alive()
            assert time.monotonic() < end, f"it never said {text}: {self.messages()}"
            time.sleep(0.005)

    def end(self):
        """SIGTERM; sanitizers have had nothing to report."""
        self.process.terminate()
        assert self.process.wait(timeout=PATIENCE) == 0, self.messages()
