"""`python -m bench`: what `make bench` prints."""

from __future__ import annotations

import argparse
import os
import platform

from bench import desk, of_money, system, throughput

WHAT = ("all", "throughput", "reads", "live", "system", "money", "desk")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=WHAT, default="all")
    parser.add_argument("--seconds", type=float, default=4.0, help="a round's length for each side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--payments", type=int, default=100, help="payments whose latency is measured")
    parser.add_argument("--streams", type=int, default=2_000, help="streams that are open at once")
    parser.add_argument("--webhooks", type=int, default=2_000, help="stored webhooks that one worker drains")
    parser.add_argument("--due", type=int, default=5_000, help="attempts that are due at once")
    parser.add_argument("--entries", type=int, default=100_000, help="journal entries that are sealed and verified")
    parser.add_argument("--lines", type=int, default=100_000, help="lines of a settlement file that are matched")
    parser.add_argument("--orders", type=int, default=1_000_000, help="orders among which the desk is measured")
    parser.add_argument("--requests", type=int, default=40, help="requests of each kind that the desk answers")
    given = parser.parse_args()
    wanted = WHAT[1:] if given.what == "all" else [given.what]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    if "throughput" in wanted:
        _table("bare/s", throughput.compare(seconds=given.seconds, rounds=given.rounds))
    if "reads" in wanted:
        _table("uncached/s", throughput.compare_kept_reads(seconds=given.seconds, rounds=given.rounds))
        _table("bare/s", throughput.compare_order_reads(seconds=given.seconds, rounds=given.rounds))
    if "live" in wanted:
        throughput.measure_live(streams=given.streams)
        print()
    if "system" in wanted:
        for line in system.measure(payments=given.payments):
            print(line)
        print()
    if "money" in wanted:
        of_money.measure(webhooks=given.webhooks, due=given.due, entries=given.entries, lines=given.lines)
    if given.what == "desk":  # not with the others: to make a million orders takes longer than all of them
        desk.measure(orders=given.orders, requests=given.requests)


def _table(against: str, rows: list[throughput.Comparison]) -> None:
    print(f"{'':<20}{'ours/s':>10}{against:>12}{'ratio':>8}{'wanted':>8}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}")
    for row in rows:
        failed = row.ours.failed + row.bare.failed
        print(
            f"{row.name:<20}{row.ours.per_second:>10.0f}{row.bare.per_second:>12.0f}{row.ratio:>8.2f}"
            f"{row.wanted:>8.2f}{row.ours.p50:>9.1f}{row.ours.p99:>9.1f}{failed:>8}"
        )
    print()


if __name__ == "__main__":
    main()
