# SPDX-License-Identifier: MIT OR GPL-2.0
"""Tables of scripts/bench, and where they are kept."""

import json
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def die(text):
    sys.exit(f"bench: {text}")


def number(value):
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"


def verdict(target):
    return "met" if target["met"] else "**missed**"


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def keep(name, text, data):
    """Write artifacts/NAME.md and .json."""
    base = f"{TOP}/artifacts/{name}"
    os.makedirs(os.path.dirname(base), exist_ok=True)
    with open(base + ".md", "w", encoding="utf-8") as out:
        out.write(text)
    with open(base + ".json", "w", encoding="utf-8") as out:
        json.dump(data, out, indent="\t")
        out.write("\n")
    print(f"bench: wrote {os.path.relpath(base)}.md and .json", file=sys.stderr)
