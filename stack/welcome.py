"""What `make run` prints when everything is up: where to look, who to be, what to try."""

import json
from pathlib import Path

from stack.plan import Plan
from stack.terminal import Terminal

_SERVERS = {"postgres": "PostgreSQL", "valkey": "Valkey"}


def text(*, plan: Plan, var: Path, durations: dict[str, float], terminal: Terminal) -> str:
    """The welcome, several lines. Reads the demo users that ``manage.py prepare`` has left in ``var``."""
    public = plan.public_url
    steps = ", ".join(f"{_SERVERS.get(name, name)} {took:.1f} s" for name, took in durations.items() if name != "all")
    places = [
        ("API docs", f"{public}/api/docs/"),
        ("Admin", f"{public}/admin/"),
        ("Health", f"{public}/healthz/ready"),
        ("Chapa", plan.sandbox_url or f"{plan.env['CHAPA_BASE_URL']} (yours)"),
        ("Mails", f"{plan.mail_dir}/"),
        ("Logs", f"{var / 'log'}/"),
        *((_SERVERS[server.name], _address(plan, server.name)) for server in plan.servers),
    ]
    width = max(len(name) for name, _ in places)
    lines = [
        "",
        terminal.paint(f"Nexus is ready after {durations.get('all', 0):.1f} s", "1;32") + f" ({steps})",
        "",
        *(f"  {name:<{width}}  {place}" for name, place in places),
        "",
        *people(path=var / "demo_users.json"),
        "Try next:",
        f"  curl {public}/api/v1/products/",
        f"  curl {public}/healthz/ready",
        f"  curl {plan.sandbox_url}/control/books" if plan.sandbox_url else f"  curl {public}/api/schema/",
        "  make manage ARGS=verify_ledger",
        "",
        f"Ctrl-C stops everything; twice stops it in a hurry. The data stay in {var}/",
        "`make demo` plays the stories on a system of its own.",
        "",
    ]
    return "\n".join(lines)


def _address(plan: Plan, name: str) -> str:
    return plan.env["DATABASE_URL" if name == "postgres" else "BROKER_URL"]


def people(*, path: Path) -> list[str]:
    """The demo users that were seeded, as a table; nothing if there are none or the file is no such list."""
    try:
        people = json.loads(path.read_text(encoding="utf-8"))
        rows = [(str(one["role"]), str(one["email"]), str(one["password"])) for one in people]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # no demo users were seeded; nothing to sign in as is no reason to stop
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    table = ["  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    return ["Demo users (role, e-mail, password):", *(line.rstrip() for line in table), ""]
