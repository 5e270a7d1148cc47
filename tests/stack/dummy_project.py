"""A project that looks like ours to the stack: the same commands, with nothing behind them but what a test needs.

Modules in the current folder win over installed ones under ``python -m``, so ``granian`` and ``celery`` are ours here.
"""

from pathlib import Path

_MANAGE = """
import os, sys, time
if sys.argv[1] == "prepare" and os.path.exists("prepare_waits_for_relay"):
    while not (os.path.exists("calls") and "relay" in open("calls").read()):
        time.sleep(0.01)
open("calls", "a").write(sys.argv[1] + "\\n")
if sys.argv[1] == "prepare":
    if os.path.exists("prepare_fails"):
        sys.exit("relation does not exist")
    open(os.path.join(os.path.dirname(os.environ["MAIL_DIR"]), "demo_users.json"), "w").write(
        '[{"email": "shopper@demo.nexus.et", "password": "pass", "role": "shopper"}]')
    sys.exit(0)
print("relay runs", flush=True)
while True: time.sleep(60)
"""
_CELERY = """
import sys, time
print(sys.argv[3], "runs", flush=True)
while True: time.sleep(60)
"""
_SERVER = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        code, body = 200, b'{"status": "ok", "degraded": [], "ages": {"relay": 0.0, "worker": 0.5}}'
        if os.path.exists("health.json"):
            code, body = 200 if not os.path.exists("health.503") else 503, open("health.json", "rb").read()
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments): pass
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("serves", os.environ["PUBLIC_BASE_URL"], os.environ.get("SANDBOX_WEBHOOK_URL"), flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


def make(folder: Path) -> Path:
    """Write the project into ``folder`` and return its root."""
    root = folder / "project"
    (root / "sandbox").mkdir(parents=True)
    (root / "manage.py").write_text(_MANAGE, encoding="utf-8")
    (root / "celery.py").write_text(_CELERY, encoding="utf-8")
    (root / "granian.py").write_text(_SERVER, encoding="utf-8")
    (root / "sandbox" / "__init__.py").touch()
    (root / "sandbox" / "__main__.py").write_text(_SERVER, encoding="utf-8")
    return root
