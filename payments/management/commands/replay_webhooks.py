"""`manage.py replay_webhooks`: stored webhooks once more, from their own bytes."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections import Counter
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, now

from payments import providers, replay
from payments.models import Disposition
from payments.replay import Outcome, Wanted


def moment(text: str) -> datetime:
    """An instant with its offset; which one a bare `2026-11-21T02:30` means, nobody can tell."""
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    if at is None or is_naive(at):
        raise ArgumentTypeError(f"{text!r} is no time such as 2026-11-21T02:30:00+03:00")
    return at


class Command(BaseCommand):
    help = (
        "Ask Chapa again about what stored webhooks speak of, through the one door. Safe to repeat: twice changes "
        "nothing more than once. Exit code 1 where one could not be replayed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--id", type=int, help="this delivery alone")
        parser.add_argument("--event", default="", help="such as charge.success")
        parser.add_argument("--tx-ref", default="")
        parser.add_argument("--disposition", type=Disposition, choices=list(Disposition), metavar="DISPOSITION")
        parser.add_argument("--since", type=moment, help="received then or later, with offset")
        parser.add_argument("--until", type=moment, help="received before, with offset")
        parser.add_argument(
            "--all", action="store_true", help="every delivery that is stored; asked for in so many words"
        )
        parser.add_argument("--by", default="command", help="Who replays, for the record. Default: command.")
        parser.add_argument("--dry-run", action="store_true", help="say what would be asked; change nothing")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        wanted = Wanted(
            webhook_id=options["id"],
            event=options["event"],
            tx_ref=options["tx_ref"],
            disposition=options["disposition"],
            since=options["since"],
            until=options["until"],
        )
        if wanted == Wanted() and not options["all"]:
            raise CommandError(
                "Say which deliveries: by --id, --event, --tx-ref, --disposition, --since, --until, or --all."
            )
        if options["dry_run"]:
            done = replay.rehearse(wanted=wanted)
        else:
            done = replay.replay(wanted=wanted, gateway=providers.chapa(), actor=options["by"], clock=now)
        counts: Counter[Outcome] = Counter()
        for each in done:
            counts[each.outcome] += 1
            words = (f"#{each.webhook_id}", each.event, each.tx_ref, each.outcome.value, each.said)
            self.stdout.write("  ".join(word for word in words if word))
        said = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(counts.items()))
        self.stdout.write(f"{counts.total()} deliveries{': ' if said else ''}{said}")
        if counts[Outcome.FAILED] or counts[Outcome.UNREADABLE]:
            raise CommandError("Some could not be replayed; see the log.", returncode=1)
