"""Watching an order as its page does: over server-sent events, at the one address that a browser knows."""

import json
import threading
from http import HTTPStatus
from typing import Any

import requests

from stack.playground import Playground
from stack.shop import SECONDS, Shopper


class Watcher:
    """Reads an order's stream in a thread of its own, until it ends or breaks. ``told``: (event, status), in order."""

    def __init__(self, playground: Playground, *, stream_url: str, seen: str = "") -> None:
        self.told: list[tuple[str, str]] = []
        self.last_id = seen
        url = f"{playground.system.plan.site_url}{stream_url}"
        headers = {"Last-Event-ID": seen} if seen else {}

        def is_there() -> bool:
            """Not while whoever is to answer is still starting; a page asks again then, too."""
            self._answer = requests.get(url, headers=headers, stream=True, timeout=SECONDS)
            return self._answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE

        playground.eventually(is_there, what="the live process")
        playground.expect(self._answer.ok, otherwise=f"the stream was answered {self._answer.status_code}")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def _read(self) -> None:
        event: dict[str, str] = {}
        try:
            for line in self._answer.iter_lines(chunk_size=1, decode_unicode=True):
                name, _, value = line.partition(": ")
                event[name] = value
                if not line and "data" in event:
                    data: dict[str, Any] = json.loads(event["data"])
                    self.last_id = event.get("id", self.last_id)
                    self.told.append((event["event"], data.get("status", "")))
                    event = {}
        except requests.RequestException:
            return  # it broke: whoever watches asks again


def the_page_is_told(playground: Playground) -> None:
    """An open stream, its process killed, and the same stream again where it was left."""
    shopper = Shopper(playground)
    shopper.places_an_order(sku="COFFEE-YIRG-250", quantity=1)
    first = Watcher(playground, stream_url=shopper.looks()["stream_url"])
    shopper.starts_to_pay()
    playground.eventually(lambda: ("payment", "pending") in first.told, what="the open attempt told")
    playground.tell("The page is told of the attempt as it is opened; it does not ask.")
    playground.eventually(lambda: len(first.told) >= 3, what="the order told once more")
    playground.system.kill(name="live")
    playground.eventually(lambda: first.has_ended, what="the stream's end")
    playground.tell("The process that tells is killed, and the shopper pays.")
    shopper.pays_on_chapas_page()
    shopper.waits_until("paid")
    playground.system.resume(name="live")
    again = Watcher(playground, stream_url=shopper.looks()["stream_url"], seen=first.last_id)
    playground.eventually(lambda: ("order", "paid") in again.told, what="the payment told")
    playground.expect(
        again.told == [("payment", "succeeded"), ("order", "paid")], otherwise=f"told were {again.told}, {first.told}"
    )
    playground.tell("Its successor goes on where the page was: the payment and the paid order, nothing twice.")
