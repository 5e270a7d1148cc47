"""Gives `bench.money` what it needs: a database, a broker and a sandbox of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox import server
from stack import servers

ROOT = Path(__file__).resolve().parent.parent


def measure(*, webhooks: int, due: int, entries: int, lines: int) -> None:
    """Print the figures of the money: drain, sweep, seal, verify, match."""
    with tempfile.TemporaryDirectory(prefix="nexus-bench-") as folder:
        Path(folder).chmod(0o711)
        with servers.running(folder=Path(folder), env=os.environ, durable=True) as urls, server.Running() as chapa:
            host = chapa.url.partition("://")[2]
            env = {
                **os.environ, **urls, "DJANGO_SETTINGS_MODULE": "config.settings.dev", "LOG_FORMAT": "json",
                "LOG_LEVEL": "CRITICAL", "PYTHONPATH": str(ROOT), "CHAPA_BASE_URL": f"{chapa.url}/v1",
                "CHAPA_CHECKOUT_HOSTS": host, "BENCH_SANDBOX_URL": chapa.control.url,
                "CHAPA_SECRET_KEY": chapa.secret_key,
            }  # fmt: skip
            for command in (["prepare"], ["seed_catalogue"], ["shell", "-c", _PLENTY]):
                subprocess.run(
                    [sys.executable, "manage.py", *command], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL
                )
            sizes = {"webhooks": webhooks, "due": due, "entries": entries, "lines": lines}
            given = [f"--{name}={size}" for name, size in sizes.items()]
            subprocess.run([sys.executable, "-m", "bench.money", *given], cwd=ROOT, env=env, check=True)


_PLENTY = "from products.models import Product; Product.objects.all().update(on_hand=100_000_000)"
