"""What serves has loaded all it needs before its first request, and no pass of the collector falls into one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAY = """
import gc, json, sys
left = len(gc.get_objects())
print(json.dumps({"frozen": gc.get_freeze_count(), "left": left, "views": "orders.api" in sys.modules}))
"""
SERVES = {
    "web": "import config.wsgi",
    "worker": 'from config.celery import app\napp.Worker(pool="solo", logfile="/dev/null")',
}


@pytest.mark.parametrize("process", SERVES)
def test_who_serves_begins_with_everything_loaded_and_nothing_to_collect(process: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", SERVES[process] + SAY],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings.test"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    there = json.loads(said.stdout.splitlines()[-1])
    assert there["views"]
    assert there["frozen"] > 50_000
    assert there["left"] < 10_000
