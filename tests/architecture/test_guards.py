"""The list of guards follows the code; `make teeth` takes them out."""

from __future__ import annotations

from tests import teeth


def test_every_listed_guard_stands_where_the_list_says():
    assert list(teeth.misplaced()) == []
    assert len(teeth.guards()) > 40
