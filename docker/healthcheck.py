#!/usr/bin/env python3
"""Asks this container's web or live (by its port) whether it is alive: exit 0 if so, 1 with the reason if not.

Only the standard library: Docker starts this every few seconds, and Django would take a second to load.
"""

from __future__ import annotations

import http.client
import os
import sys

SECONDS = 4


def host_to_ask_for() -> str:
    """A name that the web answers to: Django refuses requests for any other, ours included."""
    for word in os.environ.get("ALLOWED_HOSTS", "").split(","):
        name = word.strip().lstrip(".")
        if name and name != "*":
            return name
    return "localhost"


def main() -> int:
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT") or "8000")
    web = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        web.request("GET", "/healthz/live", headers={"Host": host_to_ask_for()})
        status = web.getresponse().status
    except (OSError, http.client.HTTPException) as problem:
        sys.stderr.write(f"nobody answers on port {port}: {problem}\n")
        return 1
    finally:
        web.close()
    if status != http.HTTPStatus.OK:
        sys.stderr.write(f"the answer is {status}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
