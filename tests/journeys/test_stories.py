"""The stories of `make demo`, each as a test. Named as the failure catalogue names them: B2, C2, C4, C8, E1, F3, H1."""

from __future__ import annotations

import pytest

from stack.playground import Playground, Story
from stack.stories import STORIES

# One system for all journeys, so under xdist one worker.
pytestmark = [pytest.mark.xdist_group("journeys"), pytest.mark.timeout(900)]


@pytest.mark.parametrize("story", STORIES, ids=[f"{story.number} {story.title}" for story in STORIES])
def test_the_story_holds(playground: Playground, story: Story):
    foreign = [name for name in story.breaks if name not in playground.system.names()]
    if foreign:
        pytest.skip(f"{', '.join(foreign)} was given by its URL and is not ours to break")
    playground.said.clear()

    story.play(playground)

    assert playground.said
