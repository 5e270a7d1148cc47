"""Every crash point there is, read from the syntax tree: nobody keeps a list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from tests.architecture.source_tree import Module, modules

WRAPPERS = {"crashpoint": ("",), "durable": (".before_commit", ".after_commit")}
"""What is called with a name, and the points that such a call has."""
_DEFINED_IN = {"core/crashpoints.py", "core/transactions.py"}


def named(module: Module) -> Iterator[tuple[str, ast.Call]]:
    """Each call of a wrapper in this module, with the name it gives; an empty one where it is no literal."""
    if module.path in _DEFINED_IN:
        return
    for called, call in module.calls():
        if called in WRAPPERS:
            first = call.args[0] if call.args else None
            given = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
            yield given, call


@cache
def discovered() -> dict[str, str]:
    """Crash point → where it stands."""
    found = {}
    for module in modules():
        for name, call in named(module):
            wrapper = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            for suffix in WRAPPERS[wrapper]:
                found[name + suffix] = module.at(call)
    return dict(sorted(found.items()))
