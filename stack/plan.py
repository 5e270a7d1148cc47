"""Decides, before anything starts, which processes a system consists of, and what each of them is told.

The decisions follow the environment and the project's ``.env``, as the settings do: a server that is given by its URL
is used, what is not given is started here.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import environ

from stack import development_secrets, ports
from stack.child import ChildSpec
from stack.errors import StackError
from stack.ports import Ports
from stack.postgres import Postgres
from stack.servers import is_given
from stack.valkey import Valkey

STOP_ORDER = ("beat", "live", "front", "web", "sandbox", "relay", "worker", "valkey", "postgres")
_FRONT = Path(__file__).with_name("front.py")
_CHAPA_SECRETS = ("CHAPA_SECRET_KEY", "CHAPA_WEBHOOK_SECRET")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will run. ``servers`` and ``services`` are in the order of their start."""

    base_url: str  # where we ask: the web itself, by the loopback's number
    site_url: str  # the same for a browser: the web and the streams at one address
    public_url: str  # what people and Chapa are told
    sandbox_url: str | None  # None: payments go to the server that CHAPA_BASE_URL names
    var: Path
    mail_dir: Path
    env: Mapping[str, str]
    servers: tuple[Postgres | Valkey, ...]
    prepare: ChildSpec
    services: tuple[ChildSpec, ...]
    ports: tuple[tuple[int, str, str], ...]  # port, process, variable that changes it

    @property
    def names(self) -> list[str]:
        """Every process, in the order of their start."""
        return [server.name for server in self.servers] + [spec.name for spec in self.services]


def environment(*, root: Path, env: Mapping[str, str]) -> dict[str, str]:
    """``env``, completed by the ``.env`` of ``root``, which is read as the settings read it."""

    class Reader(environ.Env):  # type: ignore[misc]  # the library is untyped
        ENVIRON = dict(env)

    Reader.read_env(root / ".env")
    return dict(Reader.ENVIRON)


def make(*, root: Path, var: Path, env: Mapping[str, str], chosen: Ports, durable: bool = True) -> Plan:
    """Plan the system of the project in ``root`` with its data in ``var``.

    ``env`` is complete (see ``environment``); ``durable=False`` is for systems that are thrown away.

    :raises StackError: the environment contradicts itself.
    :raises DataUnusable: the secrets of ``var`` cannot be read.
    """
    base_url = f"http://127.0.0.1:{chosen.web}"
    public_url = env.get("PUBLIC_BASE_URL", "").strip() or f"http://localhost:{chosen.front}"
    sandbox_url = None if is_given(env, "CHAPA_BASE_URL") else f"http://127.0.0.1:{chosen.sandbox}"
    postgres = Postgres(home=var / "postgres", port=chosen.postgres, durable=durable)
    valkey = Valkey(home=var / "valkey", port=chosen.valkey, durable=durable)
    wants_postgres = not is_given(env, "DATABASE_URL")
    wants_valkey = not (is_given(env, "BROKER_URL") and is_given(env, "REDIS_URL"))

    defaults = development_secrets.load_or_make(path=var / "secrets.json") | {
        "DJANGO_SETTINGS_MODULE": "config.settings.dev",
        "PUBLIC_BASE_URL": public_url,
        "ALLOWED_HOSTS": _allowed_hosts(public_url),
        "DATABASE_URL": postgres.url,
        "BROKER_URL": valkey.broker_url,
        "REDIS_URL": valkey.cache_url,
        "MAIL_DIR": str(var / "mail"),
        "PYTHONUNBUFFERED": "1",  # a crashed process must not take its last words with it
    }
    if sandbox_url is None:
        _refuse_missing_chapa_secrets(env)
    else:
        defaults |= {"CHAPA_BASE_URL": f"{sandbox_url}/v1", "CHAPA_CHECKOUT_HOSTS": urlsplit(sandbox_url).netloc}
    if not _is_production(_completed(env, defaults)):
        defaults["FINANCE_EMAILS"] = "finance@demo.nexus.example"  # one of the demo users hears how a day was closed
    # The ports are told as they are, whatever the environment says: a process may read them by these names.
    full = _completed(env, defaults) | {
        "PORT": str(chosen.front),
        "WEB_PORT": str(chosen.web),
        "LIVE_PORT": str(chosen.live),
        "SANDBOX_PORT": str(chosen.sandbox),
        "POSTGRES_PORT": str(chosen.postgres),
        "VALKEY_PORT": str(chosen.valkey),
    }

    services = [_sandbox(root=root, env=full, port=chosen.sandbox, base_url=base_url)] if sandbox_url else []
    services += [
        _web(root=root, env=full, port=chosen.web),
        _python("live", "manage.py", "live", "--port", str(chosen.live), root=root, env=full, stop_seconds=12),
        _front(root=root, env=full, chosen=chosen),
        _python("relay", "manage.py", "relay", root=root, env=full),
        _worker(root=root, env=full, port=chosen.front),
        _python("beat", "-m", "celery", "-A", "config", "beat", "--loglevel", "info", root=root, env=full),
    ]
    return Plan(
        base_url=base_url,
        site_url=f"http://127.0.0.1:{chosen.front}",
        public_url=public_url,
        sandbox_url=sandbox_url,
        var=var,
        mail_dir=Path(full["MAIL_DIR"]),
        env=full,
        servers=((postgres,) if wants_postgres else ()) + ((valkey,) if wants_valkey else ()),
        prepare=_python("prepare", "manage.py", "prepare", *_demo_data(full, var=var), root=root, env=full),
        services=tuple(services),
        ports=(
            (chosen.front, "front", "PORT"),
            (chosen.web, "web", "WEB_PORT"),
            (chosen.live, "live", "LIVE_PORT"),
            *([(chosen.sandbox, "sandbox", "SANDBOX_PORT")] if sandbox_url else []),
            *([(chosen.postgres, "postgres", "POSTGRES_PORT")] if wants_postgres else []),
            *([(chosen.valkey, "valkey", "VALKEY_PORT")] if wants_valkey else []),
        ),
    )


def _demo_data(env: Mapping[str, str], *, var: Path) -> tuple[str, ...]:
    """A catalogue and accounts to try things with, unless this is a production system on this machine."""
    if _is_production(env):
        return ()
    return ("--demo", "--people-file", str(var / "demo_users.json"))


def _is_production(env: Mapping[str, str]) -> bool:
    return env["DJANGO_SETTINGS_MODULE"].endswith(".production")


def _completed(env: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """``env`` and the ``defaults`` for what it does not give; an empty value counts as not given."""
    return {**env, **{name: value for name, value in defaults.items() if not is_given(env, name)}}


def _allowed_hosts(public_url: str) -> str:
    own = urlsplit(public_url).hostname
    return ",".join(dict.fromkeys(["localhost", "127.0.0.1", "[::1]", *([own] if own else [])]))


def _refuse_missing_chapa_secrets(env: Mapping[str, str]) -> None:
    missing = [name for name in _CHAPA_SECRETS if not is_given(env, name)]
    if missing:
        raise StackError(
            f"CHAPA_BASE_URL names a server of yours, so {' and '.join(missing)} must be given too: it will accept "
            "no key that we make up. Without CHAPA_BASE_URL the local sandbox is started."
        )


def _python(name: str, *arguments: str, root: Path, env: Mapping[str, str], stop_seconds: float = 10) -> ChildSpec:
    return ChildSpec(name=name, command=[sys.executable, *arguments], env=env, cwd=root, stop_seconds=stop_seconds)


def _web(*, root: Path, env: Mapping[str, str], port: int) -> ChildSpec:
    """granian in WSGI mode. A worker that dies is replaced; one that does not end is killed before we would."""
    options = {
        "--interface": "wsgi",
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": str(ports.whole_number(env, "WEB_WORKERS", 2, most=64)),
        "--blocking-threads": str(ports.whole_number(env, "WEB_THREADS", 4, most=64)),
        "--backlog": "1024",
        "--http": "1",
        "--workers-kill-timeout": "8",
    }
    words = [word for pair in options.items() for word in pair]
    switches = ["--no-ws", "--no-access-log", "--respawn-failed-workers", "--respawn-interval", "0.5"]
    target = "config.wsgi:application"
    return _python("web", "-m", "granian", *words, *switches, target, root=root, env=env)


def _front(*, root: Path, env: Mapping[str, str], chosen: Ports) -> ChildSpec:
    """One address for the browser; what a proxy does in production."""
    words = ["--port", str(chosen.front), "--web-port", str(chosen.web), "--live-port", str(chosen.live)]
    return _python("front", "-I", str(_FRONT), *words, root=root, env=env)


def _worker(*, root: Path, env: Mapping[str, str], port: int) -> ChildSpec:
    """Celery. Named by our port, so that two systems on one broker are two nodes; given time to finish its tasks."""
    command = [
        *("-m", "celery", "-A", "config", "worker", "-n", f"nexus-{port}@%h", "--loglevel", "info"),
        *("--concurrency", str(ports.whole_number(env, "WORKER_PROCESSES", 2, most=64))),
        *("-Q", "webhooks,payments,notifications,default", "--without-gossip", "--without-mingle"),
    ]
    return _python("worker", *command, root=root, env=env, stop_seconds=25)


def _sandbox(*, root: Path, env: Mapping[str, str], port: int, base_url: str) -> ChildSpec:
    told = {
        "SANDBOX_SECRET_KEY": env["CHAPA_SECRET_KEY"],
        "SANDBOX_WEBHOOK_SECRET": env["CHAPA_WEBHOOK_SECRET"],
        "SANDBOX_WEBHOOK_URL": f"{base_url}/api/v1/payments/chapa/webhook/",
    }
    command = ["-m", "sandbox", "serve", "--host", "127.0.0.1", "--port", str(port)]
    return _python("sandbox", *command, root=root, env=_completed(env, told))
