"""The whole system in one process, so that one crash ends all of it: web, relay, worker, beat.

The web answers real HTTP in threads; relay, worker and beat take turns in the main thread, as long as it wants them to.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import timedelta

from celery import current_app
from django.conf import settings
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import close_old_connections, connections

from config.topics import TOPICS
from config.wsgi import application
from core.relay import Relay
from payments import providers
from payments.chapa.breaker import Breaker
from payments.chapa.deadline import Clock
from payments.chapa.resilience import Resilience
from tests import openid_provider
from tests.crash import ageing
from tests.crash.broker import Broker
from tests.crash.place import Life, Role
from tests.stack.eventually import eventually

log = logging.getLogger(__name__)


class Ended(Exception):
    """The process was asked to end, has finished what it was at, and does so now."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """The application has its own line for each request."""


class System:
    """`work` and `sweep` until told to stop; `stopping` is what a process is told by SIGTERM."""

    def __init__(self, life: Life) -> None:
        self.port = life.place.second_web_port if life.role is Role.SECOND else life.place.web_port
        self.broker = Broker(life.place.queue)
        self.relay = Relay(topics=TOPICS, publisher=self.broker)
        self.stopping = False

    def open(self) -> None:
        """Answer HTTP from now on."""
        server = eventually(self._bind, what=f"port {self.port} is free")
        server.set_app(application)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def _bind(self) -> ThreadedWSGIServer | None:
        try:
            return ThreadedWSGIServer(("127.0.0.1", self.port), _Quiet)
        except OSError:
            return None  # a process that died just now may still have it

    def work(self) -> None:
        """Relay and worker, until nothing waits for either. :raises Ended:"""
        while self._publish() or self._run_a_task():
            self.end_if_asked()
        self.end_if_asked()

    def sweep(self, *, minutes: int) -> None:
        """What beat publishes within so many minutes, ten at least, once each; and all that follows. :raises Ended:"""
        for entry in current_app.conf.beat_schedule.values():
            if entry["schedule"] <= max(minutes, 10) * 60:
                self.broker.publish(task=entry["task"], kwargs=entry.get("kwargs", {}))
        self.work()

    def end_if_asked(self) -> None:
        if self.stopping:
            raise Ended

    def _publish(self) -> int:
        close_old_connections()
        try:
            return self.relay.drain()
        except Exception:
            log.exception("the relay died, and is started again")
            return 0

    def _run_a_task(self) -> bool:
        message = self.broker.take()
        if message is None:
            return False
        close_old_connections()
        # A task that raises is acknowledged, as Celery does: nobody but a sweeper will come back to it.
        outcome = current_app.tasks[message.task].apply(kwargs=message.kwargs)
        if outcome.failed():
            log.error("%s failed: %s", message.task, outcome.traceback)
        self.broker.acknowledge(message)
        return True


def configure(life: Life) -> None:
    """Point the settings at this case's servers. Before the first connection, in a process that was just forked."""
    place = life.place
    connections.settings["default"]["NAME"] = place.database
    server = settings.DATABASE_DIRECT_URL.rpartition("/")[0]
    settings.DATABASE_DIRECT_URL = f"{server}/{place.database}"
    # Whoever meets a held lock shall not wait for long; whoever is held shall not be thrown out by the server.
    lock_timeout = 200 if life.role is Role.SECOND else 20_000
    connections.settings["default"]["OPTIONS"]["options"] += (
        f" -c statement_timeout=60000 -c lock_timeout={lock_timeout} -c idle_in_transaction_session_timeout=60000"
    )
    port = place.second_web_port if life.role is Role.SECOND else place.web_port
    settings.PUBLIC_BASE_URL = f"http://127.0.0.1:{port}"
    settings.CHAPA_BASE_URL = f"{place.chapa_url}/v1"
    settings.CHAPA_CHECKOUT_HOSTS = [place.chapa_url.removeprefix("http://")]
    settings.CHAPA_SECRET_KEY, settings.CHAPA_WEBHOOK_SECRET = place.chapa_key, place.webhook_secret
    settings.SIGN_IN_PROVIDERS = {"local": openid_provider.registration(place.provider)}
    settings.SIGN_IN_RETURN_URLS = [f"{settings.PUBLIC_BASE_URL}/account/sign-in/"]
    settings.EXPORTS = replace(settings.EXPORTS, folder=place.folder / "exports")
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", place.mail_port
    # As long as the outbox keeps its events, so that the judge can compare them with the moves.
    settings.ERASURE_GRACE = timedelta(days=1)
    # Between two attempts the client pauses for up to five seconds; here nobody has them.
    providers._shared = Resilience(clock=Clock(sleep=lambda seconds: None))


def let_pass(minutes: int) -> None:
    """Time passes in the database, and for the breaker: minutes after it opened it lets somebody ask again."""
    if minutes:
        if providers._shared is not None:
            providers._shared.breaker = Breaker(clock=providers._shared.clock)
        ageing.pass_in_the_database(timedelta(minutes=minutes))
