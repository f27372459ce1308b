# SPDX-License-Identifier: MIT OR GPL-2.0
"""Headless Chromium, driven through a pipe by the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/)."""

import json
import os
import select
import subprocess
import tempfile
import time


class Failed(Exception):
    """The browser did not do what it was asked."""


class Browser:
    """A browser with one page; use as a context manager."""

    def __init__(self, binary, patience):
        self.patience = patience
        self.profile = tempfile.TemporaryDirectory(prefix="khttpd-browser-", ignore_cleanup_errors=True)
        self.events, self.buf, self.last, self.session = [], b"", 0, None
        to_read, self.to = os.pipe()
        self.come, to_write = os.pipe()
        # The browser reads descriptor 3 and writes 4; moved up first, so that neither is in the other's place
        up = [os.dup2(fd, 60 + i) for i, fd in enumerate((to_read, to_write))]
        self.log = open(os.path.join(self.profile.name, "stderr"), "w+b")
        options = [
            "--headless", "--remote-debugging-pipe", f"--user-data-dir={self.profile.name}/profile", "--no-first-run",
            "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
            "--disable-default-apps", "--disable-extensions", "--disable-sync", "--disable-gpu", "--disable-dev-shm-usage",
            "--mute-audio", "--window-size=900,700", "--lang=en",
        ]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # root has none to offer
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", f'exec "$@" 3<&{up[0]} 4>&{up[1]} {up[0]}<&- {up[1]}>&-', "bash", binary, *options],
            pass_fds=up, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        for fd in (to_read, to_write, *up):
            os.close(fd)

    def __enter__(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log", "Network":
            self.call(domain + ".enable")
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        os.close(self.to)
        os.close(self.come)
        self.log.close()
        self.profile.cleanup()

    def complaint(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-2000:]

    def take(self, end):
        """The next message, or None when time is up."""
        while b"\0" not in self.buf:
            if not select.select([self.come], [], [], max(0, end - time.monotonic()))[0]:
                return None
            data = os.read(self.come, 1 << 20)
            if not data:
                raise Failed(f"the browser has ended: {self.complaint()}")
            self.buf += data
        message, _, self.buf = self.buf.partition(b"\0")
        return json.loads(message)

    def call(self, method, **params):
        """What the browser answers; events on the way are kept."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + self.patience
        while answer := self.take(end):
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise Failed(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.keep(answer)
        raise Failed(f"{method}: no answer in {self.patience} s: {self.complaint()}")

    def keep(self, message):
        if "method" in message:
            self.events.append((message["method"], message["params"]))

    def listen(self, seconds):
        """Events go on coming."""
        end = time.monotonic() + seconds
        while message := self.take(end):
            self.keep(message)

    def run(self, script):
        """The value of a JavaScript expression, or of what it promises."""
        got = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in got:
            details = got["exceptionDetails"]
            raise Failed(f"{script}: {details.get('exception', {}).get('description', details['text'])}")
        return got["result"].get("value")

    def wait_for(self, script):
        """Until the expression is neither null nor false; its value."""
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            value = self.run(script)
            if value not in (None, False):
                return value
            self.listen(0.1)
        raise Failed(f"{script}: not in {self.patience} s")

    def visit(self, url):
        """Go there; what was seen before is forgotten."""
        self.events.clear()
        got = self.call("Page.navigate", url=url)
        if "errorText" in got:
            raise Failed(f"{url}: {got['errorText']}")

    # --- what was seen ---

    def complaints(self):
        """Errors and warnings on the console."""
        for name, e in self.events:
            if name == "Runtime.exceptionThrown":
                yield "exception: " + e["exceptionDetails"].get("exception", {}).get("description", "?")
            elif name == "Runtime.consoleAPICalled" and e["type"] in ("error", "warning", "assert"):
                yield f"console.{e['type']}: " + " ".join(str(a.get("value", a.get("description"))) for a in e["args"])
            elif name == "Log.entryAdded" and e["entry"]["level"] in ("error", "warning"):
                yield f"{e['entry']['text']} ({e['entry'].get('url', '?')})"
            elif name == "Network.loadingFailed" and not e.get("canceled"):
                yield f"loading failed: {e['errorText']} {e.get('blockedReason', '')}"

    def exchanges(self):
        """All requests over HTTP, in their order, with what was on the wire (a 304 stays one)."""
        seen, order, waiting = {}, [], {}
        for name, e in self.events:
            which = e.get("requestId")
            if name == "Network.requestWillBeSent" and e["request"]["url"].startswith("http"):
                x = {"url": e["request"]["url"], "status": None, "cached": False, "sent": {}, "fields": {}}
                # A redirect has the same name as what it leads to
                seen.setdefault(which, []).append(x)
                order.append(x)
            elif name == "Network.requestServedFromCache" and which in seen:
                seen[which][-1]["cached"] = True
            elif name == "Network.responseReceived" and which in seen:
                seen[which][-1]["cached"] |= e["response"].get("fromDiskCache", False)
                seen[which][-1]["type"] = e["response"]["mimeType"]
            elif name in ("Network.requestWillBeSentExtraInfo", "Network.responseReceivedExtraInfo"):
                waiting.setdefault((which, name), []).append(e)
        for (which, name), list_ in waiting.items():
            # In the order of the requests that were really sent
            for x, e in zip(seen.get(which, []), list_):
                fields = {k.lower(): v for k, v in e["headers"].items()}
                if name == "Network.requestWillBeSentExtraInfo":
                    x["sent"] = fields
                else:
                    x["fields"], x["status"] = fields, e["statusCode"]
        return order
