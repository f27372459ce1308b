#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR GPL-2.0
"""A browser visits the sample site, twice: check.py URL SCREENSHOT. Prints TAP."""

import base64
import os
import sys
from urllib.parse import urlsplit

from devtools import Browser, Failed

BINARY = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PATIENCE = 60

# What the first page leads to, and what it has to be: see tests/site/www/index.html, style.css and main.js
TEXTS = {"/", "/css/style.css", "/js/main.js", "/js/checks.js", "/img/logo.svg"}
FONT, MEDIA = "/fonts/sample.ttf", "/media/tone.wav"
OTHERS = {"/img/gradient.png", "/app/any/path", "/data.json"}
passed = 0


def ok(text):
    global passed
    passed += 1
    print(f"ok {passed} - {text}", flush=True)


def check(condition, text, *seen):
    if not condition:
        print(f"not ok {passed + 1} - {text}")
        for line in seen:
            print(f"#   {line}")
        sys.exit(1)
    ok(text)


def wire(browser):
    """Path -> exchanges with it."""
    found = {}
    for x in browser.exchanges():
        found.setdefault(urlsplit(x["url"]).path, []).append(x)
    return found


def list_of(found):
    for path, exchanges in sorted(found.items()):
        for x in exchanges:
            yield (f"{path}: {x['status']} {x['fields'].get('content-encoding', '-')} "
                   f"{x['fields'].get('content-range', '')} {'from the cache' if x['cached'] else ''}")


def load(browser, url):
    browser.visit(url)
    state = browser.wait_for("document.readyState == 'complete' && document.documentElement.dataset.state")
    found, complaints = wire(browser), list(browser.complaints())
    check(state == "ok", "every check of the page itself passes", state, *complaints, *list_of(found))
    check(not complaints, "nothing on the console", *complaints)
    return found


def first_visit(browser, url):
    found = load(browser, url)
    seen = list(list_of(found))
    for line in seen:
        print(f"# {line}")
    check(set(found) == TEXTS | OTHERS | {FONT, MEDIA}, "the page and all that it needs is asked for", *seen)
    # What is used twice is asked for twice: "no-cache"
    check(all(x["status"] in ((206,) if path == MEDIA else (200,)) if x is exchanges[0] else x["status"] == 304 or x["cached"]
              for path, exchanges in found.items() for x in exchanges), "each is 200, media 206", *seen)
    check("br" in found["/"][0]["sent"].get("accept-encoding", ""), "the browser offers brotli")
    check(all(found[path][0]["fields"].get("content-encoding") == "br" for path in TEXTS | {FONT}),
          "text and font come in brotli", *seen)
    check(not found["/img/gradient.png"][0]["fields"].get("content-encoding"), "the picture comes as it is", *seen)
    check(browser.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)") and
          browser.run("document.getElementById('picture').naturalHeight") == 64, "images have their size")
    check(browser.run("document.fonts.check('16px Sample') && [...document.fonts].every(f => f.status == 'loaded')"),
          "the font is loaded")
    check(browser.run("[...document.styleSheets].every(s => s.cssRules.length > 5)"), "the style sheet has its rules")
    check(browser.run("document.querySelectorAll('li.ok').length") == browser.run("document.querySelectorAll('li').length"),
          "the module ran and marked what it checked")


def seek(browser):
    """Into a part of the sound that is not loaded yet."""
    before = len(wire(browser)[MEDIA])
    duration = browser.wait_for("media.readyState >= 1 && media.duration")
    browser.run("new Promise((done, failed) => { media.onseeked = done; media.onerror = () => failed(media.error.message);"
                " media.currentTime = 0.9 * media.duration; })")
    browser.wait_for("media.readyState >= 2")
    exchanges = wire(browser)[MEDIA]
    lines = [f"{x['sent'].get('range')} -> {x['status']} {x['fields'].get('content-range')}" for x in exchanges]
    for line in lines:
        print(f"# {line}")
    new = [x["sent"].get("range", "") for x in exchanges[before:]]
    check(any(r.startswith("bytes=") and int(r[6:].split("-")[0]) > 0 for r in new),
          f"a seek to 90 % of {duration} s asks for a range", *lines)
    check(browser.run("media.error") is None and browser.run("Math.abs(media.currentTime / media.duration - 0.9) < 0.01"),
          "and gets there")


def second_visit(browser, url):
    browser.visit("about:blank")
    found = load(browser, url)
    seen = list(list_of(found))
    for line in seen:
        print(f"# {line}")
    for path in sorted(TEXTS | OTHERS):
        asked = [x for x in found.get(path, []) if x["status"]]
        check(asked and all(x["status"] == 304 and "if-none-match" in x["sent"] for x in asked),
              f"the second visit asks for {path} by its entity tag and gets 304", *seen)
    check(all(x["status"] is None or x["cached"] for x in found.get(FONT, [])),
          "what is immutable is not asked for again", *seen)
    check(browser.run("document.fonts.check('16px Sample')") and
          browser.run("document.getElementById('picture').naturalWidth") == 256, "and all is there again")


def other_pages(browser, url):
    browser.visit(url + "old/page")
    check(browser.wait_for("document.readyState == 'complete' && location.pathname") == "/about.html",
          "a redirect leads to its page", browser.run("location.href"))
    check(browser.run("getComputedStyle(document.body).maxWidth") == "672px" and not list(browser.complaints()),
          "which has its style sheet in spite of its Content-Security-Policy", *browser.complaints())
    browser.visit(url + "docs")
    check(browser.wait_for("document.readyState == 'complete' && location.pathname") == "/docs/", "a folder gets its slash")
    browser.visit(url + "nowhere/at/all")
    check(browser.wait_for("document.readyState == 'complete' && document.title") == "Not here",
          "what does not exist is the site's own page")
    check(wire(browser)["/nowhere/at/all"][0]["status"] == 404, "with status 404")


def screenshot(browser, file):
    data = base64.b64decode(browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"])
    check(data.startswith(b"\x89PNG") and len(data) > 5000, f"a screenshot of {len(data)} bytes")
    with open(file, "wb") as f:
        f.write(data)


def main():
    url, file = sys.argv[1:]
    try:
        with Browser(BINARY, PATIENCE) as browser:
            print(f"# {browser.call('Browser.getVersion')['product']}")
            first_visit(browser, url)
            screenshot(browser, file)
            seek(browser)
            second_visit(browser, url)
            other_pages(browser, url)
    except Failed as e:
        check(False, str(e), *browser.complaints())
    print(f"1..{passed}")


main()
