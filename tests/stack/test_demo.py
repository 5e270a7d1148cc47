"""Playing stories: what is printed, what counts as held, what the demo's system is told."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stack import demo
from stack.errors import StackError
from stack.interruption import Interruption
from stack.playground import Playground, Story, StoryBroken
from stack.system import System
from stack.terminal import Terminal
from tests.stack import dummy_project


def holds(playground: Playground) -> None:
    playground.tell("an order was placed")


def breaks(playground: Playground) -> None:
    playground.tell("an order was placed")
    playground.expect(1 == 2, otherwise="the order is nowhere")  # noqa: PLR0133  a broken promise


def explodes(playground: Playground) -> None:
    raise KeyError("unforeseen")


def story(number: int, play: Callable[[Playground], None], *needs: str) -> Story:
    return Story(number=number, title=f"Story {number}", play=play, breaks=needs)


def playground(*, interrupted: bool = False) -> Playground:
    stand_in = SimpleNamespace(names=lambda: ["web", "worker"], is_interrupted=lambda: interrupted)
    return Playground(system=cast("System", stand_in), base_url="", sandbox_url="", mail_dir=Path())


def play(*stories: Story, **options: Any) -> tuple[list[demo.Outcome], str]:
    screen = io.StringIO()
    terminal = Terminal(out=screen)
    outcomes = demo.play(stories=stories, playground=playground(**options), terminal=terminal)
    terminal.say(demo.summary(outcomes=outcomes, terminal=terminal))
    return outcomes, screen.getvalue()


def test_a_story_that_holds_is_told_and_ticked() -> None:
    outcomes, shown = play(story(1, holds))
    assert [outcome.held for outcome in outcomes] == [True]
    assert "Story 1" in shown
    assert "an order was placed" in shown
    assert "✓" in shown
    assert "1 of 1 stories held." in shown


def test_a_broken_story_says_what_was_seen_and_the_next_one_is_played() -> None:
    outcomes, shown = play(story(1, breaks), story(2, explodes), story(3, holds))
    assert [outcome.held for outcome in outcomes] == [False, False, True]
    assert "but the order is nowhere" in shown
    assert "KeyError: 'unforeseen'" in shown
    assert "1 of 3 stories held." in shown


def test_a_story_that_breaks_what_is_not_ours_is_left_out_and_that_is_said() -> None:
    outcomes, shown = play(story(1, breaks, "worker", "postgres"))
    assert [outcome.held for outcome in outcomes] == [None]
    assert "left out: it breaks postgres" in shown
    assert "0 of 1 stories held, 1 left out." in shown


def test_an_interruption_ends_the_playing_and_a_waiting_story() -> None:
    assert play(story(1, holds), interrupted=True)[0] == []
    with pytest.raises(StoryBroken, match="interrupted"):
        playground(interrupted=True).eventually(lambda: False, what="a mail")


def test_looking_ends_with_what_was_seen_or_with_a_deadline() -> None:
    looks = iter([0, 0, 7])
    assert playground().eventually(lambda: next(looks), what="seven") == 7
    with pytest.raises(StoryBroken, match=r"not seen within 0.1 s: a mail; the last look gave \[\]"):
        playground().eventually(list, what="a mail", seconds=0.1)


def test_stories_are_picked_by_their_numbers() -> None:
    stories = [story(number, holds) for number in (0, 3, 5)]
    assert [one.number for one in demo.pick(stories=stories, only="5, 3")] == [5, 3]
    assert len(demo.pick(stories=stories, only=None)) == 3
    for nonsense in ("4", "x", "", "3,4"):
        with pytest.raises(StackError, match="there are 0, 3, 5"):
            demo.pick(stories=stories, only=nonsense)


def test_the_demo_takes_servers_from_the_environment_but_nothing_from_the_file(folder: Path) -> None:
    (folder / ".env").write_text("EMAIL_URL=smtp://real\nDATABASE_URL=real\nMERCHANT_NAME=Real\n", encoding="utf-8")
    env = demo.environment(root=folder, env={"BROKER_URL": "amqp://given", "PORT": "8000", "CHAPA_BASE_URL": "real"})
    assert env["BROKER_URL"] == "amqp://given"
    for name in ("EMAIL_URL", "DATABASE_URL", "MERCHANT_NAME"):
        assert env[name] == ""
    assert env.keys().isdisjoint({"PORT", "CHAPA_BASE_URL"})
    assert env["HEARTBEAT_SECONDS"] == "2"


@pytest.mark.parametrize(("played", "code"), [(holds, 0), (breaks, 1)])
def test_a_demo_brings_a_system_up_plays_and_leaves_nothing(
    folder: Path, played: Callable[[Playground], None], code: int
) -> None:
    screen = io.StringIO()
    told: list[str] = []

    def look(playground: Playground) -> None:
        told.extend([playground.base_url, playground.sandbox_url, str(playground.mail_dir)])
        played(playground)

    answer = demo.run(
        root=dummy_project.make(folder),
        env={"PATH": os.defpath},
        stories=[story(1, look)],
        keep=False,
        terminal=Terminal(out=screen, quiet=True),
        interruption=Interruption(),
    )
    assert answer == code
    base_url, sandbox_url, mail_dir = told
    assert base_url.startswith("http://127.0.0.1:")
    assert sandbox_url.startswith("http://127.0.0.1:")
    assert not Path(mail_dir).parent.exists()
    assert "Ready after" in screen.getvalue()


def test_a_kept_demo_says_where_it_is(folder: Path, request: pytest.FixtureRequest) -> None:
    import shutil

    from stack import places

    screen = io.StringIO()
    demo.run(
        root=dummy_project.make(folder),
        env={"PATH": os.defpath},
        stories=[story(1, holds)],
        keep=True,
        terminal=Terminal(out=screen, quiet=True),
        interruption=Interruption(),
    )
    kept = Path(screen.getvalue().rpartition("Kept: ")[2].strip())
    request.addfinalizer(lambda: shutil.rmtree(kept))
    request.addfinalizer(lambda: places.forget(wanted=kept / "postgres"))
    assert (kept / "log" / "web.log").exists()
