"""`make demo`: a system of its own on spare ports, the stories played on it, and a table of what held."""

import contextlib
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stack import plan, ports, system
from stack.errors import StackError
from stack.interruption import Interruption
from stack.playground import Playground, Story, StoryBroken
from stack.servers import throw_away_folder
from stack.terminal import Terminal

SHORTENED = {
    "ORDER_EXPIRY_MINUTES": "0.25",
    "ORDER_EXPIRY_SWEEP_SECONDS": "2",
    "PAYMENT_SWEEP_SECONDS": "2",
    "NOTIFICATION_SWEEP_SECONDS": "2",
    "HEARTBEAT_SECONDS": "2",
    "PAYMENT_CHECK_SCHEDULE": "5,2,3,5,10,30",  # five, so that an impatient shopper is quicker than the worker
    "REFUND_CHECK_SCHEDULE": "2,2,3,5,10,30",
    "RECONCILE_GRACE_MINUTES": "0",
    "RATE_LIMITS": "off",  # everybody in the stories has one address
    "CHAPA_RETRY_WINDOW": "5",
    "CHAPA_READ_TIMEOUT_SECONDS": "2",
    "CHAPA_WEB_DEADLINE_SECONDS": "4",
}
"""What usually takes minutes, in seconds: by the settings that production has too, never by other code."""

_GIVEN_BY_US = (
    *("PORT", "SANDBOX_PORT", "POSTGRES_PORT", "VALKEY_PORT", "PUBLIC_BASE_URL", "ALLOWED_HOSTS", "MAIL_DIR"),
    *("EMAIL_URL", "CHAPA_BASE_URL", "CHAPA_CHECKOUT_HOSTS", "CHAPA_SECRET_KEY", "CHAPA_WEBHOOK_SECRET"),
    "DJANGO_SETTINGS_MODULE",
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one story went; ``held`` is ``None`` if it was left out."""

    story: Story
    held: bool | None
    seconds: float
    lines: Sequence[str]


def environment(*, root: Path, env: Mapping[str, str]) -> dict[str, str]:
    """What the demo's system is told: shortened intervals, nothing of the ``.env``, servers only if ``env`` gives them.

    A blank value counts as not given and hides the one in ``.env``, so that a demo never mails real people.
    """
    from_file = plan.environment(root=root, env={})
    hidden = dict.fromkeys(from_file, "")
    return hidden | {name: value for name, value in env.items() if name not in _GIVEN_BY_US} | SHORTENED


def pick(*, stories: Sequence[Story], only: str | None) -> list[Story]:
    """The stories whose numbers ``only`` lists (``"3,5"``), or all. :raises StackError: there is no such story."""
    if only is None:
        return list(stories)
    by_number = {str(story.number): story for story in stories}
    wanted = [word.strip() for word in only.split(",") if word.strip()]
    unknown = [word for word in wanted if word not in by_number]
    if unknown or not wanted:
        raise StackError(f"There is no story {', '.join(unknown) or repr(only)}; there are {', '.join(by_number)}.")
    return [by_number[word] for word in wanted]


def play(*, stories: Sequence[Story], playground: Playground, terminal: Terminal) -> list[Outcome]:
    """Play each story, whatever became of the one before, and print it as soon as it has ended."""
    outcomes = []
    for story in stories:
        if playground.system.is_interrupted():
            break
        terminal.say(terminal.paint(f"{story.number:>2}  {story.title}", "1"))
        outcome = _play_one(story, playground)
        for line in outcome.lines:
            terminal.say(f"      {line}")
        terminal.say(f"    {_mark(outcome.held, terminal)}  {outcome.seconds:.1f} s\n")
        outcomes.append(outcome)
    return outcomes


def _play_one(story: Story, playground: Playground) -> Outcome:
    foreign = [name for name in story.breaks if name not in playground.system.names()]
    if foreign:
        why = f"left out: it breaks {', '.join(foreign)}, which is not ours to break here"
        return Outcome(story=story, held=None, seconds=0.0, lines=[why])
    playground.said.clear()
    begin = time.monotonic()
    problem: list[str] = []
    try:
        story.play(playground)
    except StoryBroken as broken:
        problem = [f"but {broken}"]
    except Exception:  # noqa: BLE001  a story may fail in any way, and the others are to be played all the same
        problem = traceback.format_exc().splitlines()
    seconds = time.monotonic() - begin
    return Outcome(story=story, held=not problem, seconds=seconds, lines=[*playground.said, *problem])


def summary(*, outcomes: Sequence[Outcome], terminal: Terminal) -> str:
    """The table at the end."""
    width = max((len(outcome.story.title) for outcome in outcomes), default=0)
    rows = [
        f"  {_mark(outcome.held, terminal)}  {outcome.story.number:>2}  {outcome.story.title:<{width}}  "
        f"{outcome.seconds:>6.1f} s"
        for outcome in outcomes
    ]
    held = sum(outcome.held is True for outcome in outcomes)
    left_out = sum(outcome.held is None for outcome in outcomes)
    note = f", {left_out} left out" if left_out else ""
    return "\n".join([*rows, "", f"{held} of {len(outcomes)} stories held{note}."])


def _mark(held: bool | None, terminal: Terminal) -> str:
    if held is None:
        return "-"
    return terminal.paint("✓", "32") if held else terminal.paint("✗", "31")


def run(
    *,
    root: Path,
    env: Mapping[str, str],
    stories: Sequence[Story],
    keep: bool,
    terminal: Terminal,
    interruption: Interruption,
) -> int:
    """Bring a system up, play, take it down; returns the exit code: 0 only if every story held.

    :raises StackError: the system does not come up.
    """
    with _folder(keep=keep, terminal=terminal) as var:
        wanted = plan.make(root=root, var=var, env=environment(root=root, env=env), chosen=ports.free_block())
        with system.running(plan=wanted, var=var, terminal=terminal, interruption=interruption) as ours:
            terminal.say(f"A system of its own starts: {', '.join(wanted.names)} …")
            ours.start()
            terminal.say(f"Ready after {ours.durations['all']:.1f} s on {wanted.base_url}\n")
            playground = Playground(
                system=ours,
                base_url=wanted.base_url,
                sandbox_url=wanted.sandbox_url or "",
                mail_dir=wanted.mail_dir,
            )
            outcomes = play(stories=stories, playground=playground, terminal=terminal)
            terminal.say(summary(outcomes=outcomes, terminal=terminal))
    all_played = len(outcomes) == len(stories)
    return 0 if all_played and all(outcome.held is not False for outcome in outcomes) else 1


@contextlib.contextmanager
def _folder(*, keep: bool, terminal: Terminal) -> Iterator[Path]:
    """A folder for the demo's data and logs; removed afterwards unless ``keep``."""
    if not keep:
        with throw_away_folder(prefix="nexus-demo-") as folder:
            yield folder
        return
    folder = Path(tempfile.mkdtemp(prefix="nexus-demo-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        terminal.say(f"Kept: {folder}")
