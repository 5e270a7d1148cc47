"""Every durable transaction and every outside call has a crash point on both sides. That each of them is passed by a
journey that is killed there is for tests/crash.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.architecture.source_tree import Module, modules
from tests.crash import points

NAME = re.compile(r"[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)*", re.ASCII)


def methods_of(path: str, protocol: str) -> set[str]:
    """The methods that a protocol declares."""
    (module,) = (each for each in modules() if each.path == path)
    (found,) = (node for node in module.tree.body if isinstance(node, ast.ClassDef) and node.name == protocol)
    return {node.name for node in found.body if isinstance(node, ast.FunctionDef)}


OUTSIDE = {
    "gateway": methods_of("payments/gateway.py", "PaymentGateway"),
    "channel": methods_of("notifications/channels.py", "Channel"),
    "receiver": methods_of("notifications/webhooks/post.py", "Receiver"),
    "idp": methods_of("users/openid/provider.py", "IdentityProvider") - {"issuer"},
    # Whether the broker is there is asked for the pulse alone.
    "publisher": methods_of("core/relay.py", "Publisher") - {"check"},
}
"""Who speaks to the world: the name that it goes by, and what it does."""


def outside_calls(module: Module) -> Iterator[ast.Call]:
    for name, call in module.calls():
        if isinstance(call.func, ast.Attribute):
            who = ast.unparse(call.func.value).removeprefix("self.")
            if name in OUTSIDE.get(who, set()):
                yield call


def blocks_of(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block:
            yield block


def is_point(statement: ast.stmt | None) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and getattr(statement.value.func, "id", "") == "crashpoint"
    )


def neighbours(tree: ast.AST, wanted: ast.Call) -> tuple[ast.stmt | None, ast.stmt | None]:
    """The statements next to the one in which a call stands. At the edge of a `try` those next to the `try`."""
    for parent in ast.walk(tree):
        for block in blocks_of(parent):
            for index, statement in enumerate(block):
                if any(node is wanted for node in ast.walk(statement)) and not any(
                    wanted in ast.walk(inner) for inner_block in blocks_of(statement) for inner in inner_block
                ):
                    before = block[index - 1] if index else _next_to(tree, parent, -1)
                    after = block[index + 1] if index + 1 < len(block) else _next_to(tree, parent, 1)
                    return before, after
    raise AssertionError("the call stands in no statement")


def _next_to(tree: ast.AST, statement: ast.AST, step: int) -> ast.stmt | None:
    if not isinstance(statement, ast.Try):
        return None
    for parent in ast.walk(tree):
        for block in blocks_of(parent):
            if statement in block:
                index = block.index(statement) + step
                return block[index] if 0 <= index < len(block) else None
    return None


def without_points(module: Module) -> Iterator[str]:
    """Outside calls that lack a point right before or right after them."""
    for call in outside_calls(module):
        before, after = neighbours(module.tree, call)
        if not (is_point(before) and is_point(after)):
            yield f"{module.at(call)} {ast.unparse(call.func)}"


def durable_without_points(module: Module) -> Iterator[str]:
    """Durable transactions that do not end with a point inside of them and one right after them.

    The wrapper has them for everybody. The relay's own has them too, the first where there is something to commit.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.With) and any("durable=True" in ast.unparse(item) for item in node.items):
            last = node.body[-1]
            ends_in_a_point = is_point(last) or any(
                is_point(each) for each in ast.walk(last) if isinstance(each, ast.stmt)
            )
            followed = next(
                (
                    block[block.index(node) + 1]
                    for parent in ast.walk(module.tree)
                    for block in blocks_of(parent)
                    if node in block and block.index(node) + 1 < len(block)
                ),
                None,
            )
            if not (ends_in_a_point and is_point(followed)):
                yield module.at(node)


def test_every_outside_call_has_a_point_on_both_sides():
    assert [found for module in modules() for found in without_points(module)] == []


def test_every_durable_transaction_has_a_point_on_both_sides_of_its_commit():
    assert [found for module in modules() for found in durable_without_points(module)] == []


def test_the_calls_that_are_looked_at_are_there():
    found = {ast.unparse(call.func) for module in modules() for call in outside_calls(module)}

    assert found >= {
        "gateway.open_checkout",
        "gateway.verify",
        "gateway.cancel",
        "channel.send",
        "idp.authorization_url",
        "idp.redeem",
        "receiver.post",
        "self.publisher.publish",
    }


def test_every_point_has_a_name_that_is_written_out_and_stands_in_one_place():
    named = [(name, module.at(call)) for module in modules() for name, call in points.named(module)]

    assert [where for name, where in named if not NAME.fullmatch(name)] == []
    assert [name for name, times in Counter(name for name, _ in named).items() if times > 1] == []
    assert len(points.discovered()) > 60


def module_of(source: str) -> Module:
    return Module("payments/x.py", source, ast.parse(source))


BEFORE, CALL, AFTER = "crashpoint('a.sent')\n", "said = gateway.verify(tx_ref=x)\n", "crashpoint('a.answered')\n"


@pytest.mark.parametrize(
    "source",
    [
        CALL,
        BEFORE + CALL,
        CALL + AFTER,
        BEFORE + "return gateway.verify(tx_ref=x)\n",
        BEFORE + "f()\n" + CALL + AFTER,
        "try:\n    channel.send(letter=x)\nexcept Away:\n    f()\ncrashpoint('a.sent')\n",
        "for task in tasks:\n    self.publisher.publish(task=task)\n    crashpoint('a.published')\n",
    ],
)
def test_a_call_that_lacks_a_point_is_found(source):
    assert list(without_points(module_of(source)))


@pytest.mark.parametrize(
    "source",
    [
        BEFORE + CALL + AFTER,
        BEFORE + "try:\n    channel.send(letter=x)\nexcept Away:\n    f()\ncrashpoint('a.sent')\n",
        "if x:\n    crashpoint('a.sent')\n    gateway.cancel(tx_ref=x)\n    crashpoint('a.answered')\n",
    ],
)
def test_a_call_between_two_points_is_in_order(source):
    assert not list(without_points(module_of(source)))


@pytest.mark.parametrize(
    "source",
    [
        "with transaction.atomic(durable=True):\n    f()\n",
        "with transaction.atomic(durable=True):\n    f()\n    crashpoint('a.before')\n",
        "with transaction.atomic(durable=True):\n    f()\ncrashpoint('a.after')\n",
    ],
)
def test_a_durable_transaction_that_lacks_a_point_is_found(source):
    assert list(durable_without_points(module_of(source)))
