#!/usr/bin/env python3
"""Refuses files that would make every clone heavy for ever: `refuse_large_files.py FILE …`, exit 1 if there is one."""

from __future__ import annotations

import sys
from pathlib import Path

MOST_BYTES = 500 * 1024
"""The lock files, which grow with every wheel of every platform, are well below."""


def main(*, paths: list[str]) -> int:
    large = [(path, Path(path).stat().st_size) for path in paths if Path(path).is_file()]
    found = [(path, size) for path, size in large if size > MOST_BYTES]
    for path, size in found:
        sys.stderr.write(f"{path}: {size // 1024} KB, more than {MOST_BYTES // 1024} KB\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(paths=sys.argv[1:]))
