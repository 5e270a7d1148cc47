"""Draws the reference documents from the code: every refusal with its code, every flow with its moves, the schema.

Nothing is written by hand that the code already says, so nothing in them can be out of date for longer than it takes
to run a test.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

from django.apps import apps
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

from core.errors import DomainError
from core.flow import Flow

_SKIPPED = {"migrations", "management", "settings"}
_NOTE = "<!-- Written by `make docs` from the code. Changes made here are lost. -->\n\n"


def import_everything(*, root: Path) -> dict[str, ModuleType]:
    """Import every module of ours, so that nothing it defines is missed; name → module.

    Ours are `config` and the installed apps that live below `root`. Migrations, commands and settings define nothing
    that these documents are about.
    """
    packages = {"config"} | {
        config.name for config in apps.get_app_configs() if Path(config.path).resolve().parent == root.resolve()
    }
    importlib.import_module(settings.ROOT_URLCONF)  # addresses know each other's converters in this order alone
    found: dict[str, ModuleType] = {}
    waiting = sorted(packages)
    while waiting:
        name = waiting.pop()
        module = importlib.import_module(name)
        found[name] = module
        for inner in pkgutil.iter_modules(getattr(module, "__path__", ())):
            if inner.name not in _SKIPPED:
                waiting.append(f"{name}.{inner.name}")
    return dict(sorted(found.items()))


# --- Errors -----------------------------------------------------------------------------------------------------------


def errors(*, root: Path, modules: Mapping[str, ModuleType]) -> str:
    """docs/errors.md"""
    catalogue = [error for error in DomainError.catalogue() if error.__module__ in modules]
    raisers = _who_names(names={error.__name__ for error in catalogue}, root=root, modules=modules)
    text = _NOTE + (
        "# Errors\n\n"
        "Every refusal is a problem document (RFC 9457) whose `code` is public API: it is documented here and never "
        "renamed.\nIts `type` leads to `/problems/<code>/` of the shop.\n\n"
        "**Kept** tells what an `Idempotency-Key` does with the refusal where a request carries one: *yes*, a repeat "
        "gets the same\nanswer; *no*, the key stays free, because the same question may be answered otherwise in a "
        "moment.\n\n"
        "| code | status | what it says | kept |\n| --- | --- | --- | --- |\n"
    )
    text += "".join(
        f"| [`{error.code}`](#{error.code}) | {error.status} | {_cell(error.title)} | "
        f"{'yes' if _is_kept(error) else 'no'} |\n"
        for error in catalogue
    )
    return text + "".join(_about(error, raisers.get(error.__name__, [])) for error in catalogue)


def _is_kept(error: type[DomainError]) -> bool:
    return error.storable and HTTPStatus.BAD_REQUEST <= error.status < HTTPStatus.INTERNAL_SERVER_ERROR


def _about(error: type[DomainError], raisers: list[str]) -> str:
    lines = [f"\n## {error.code}\n", f"{error.status}. {error.title}\n"]
    note = vars(error).get("__doc__")
    if note:
        lines.append(" ".join(note.split()) + "\n")
    if error.retry_after is not None:
        lines.append(f"`Retry-After` says {error.retry_after} s, unless there is reason for another number.\n")
    where = ", raised in " + ", ".join(f"`{raiser}`" for raiser in raisers) if raisers else ""
    lines.append(f"Defined in `{error.__module__}`{where}.\n")
    return "\n".join(lines)


def _who_names(*, names: set[str], root: Path, modules: Mapping[str, ModuleType]) -> dict[str, list[str]]:
    """Class name → the functions that raise or make it, as `module.function`."""
    found: dict[str, set[str]] = {}
    for module_name, module in modules.items():
        path = Path(str(module.__file__))
        if not path.is_relative_to(root):
            continue
        for place, raised in _raised_in(ast.parse(path.read_text(encoding="utf-8"))):
            if raised in names:
                found.setdefault(raised, set()).add(f"{module_name}.{place}" if place else module_name)
    return {name: sorted(places) for name, places in found.items()}


def _raised_in(node: ast.AST, place: str = "") -> Iterator[tuple[str, str]]:
    """(function, name of what it raises or makes), for everything below `node`."""
    for child in ast.iter_child_nodes(node):
        inside = place
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{place}.{child.name}" if place else child.name
        raised = child.exc if isinstance(child, ast.Raise) else child.func if isinstance(child, ast.Call) else None
        if isinstance(raised, ast.Name):
            yield place, raised.id
        elif isinstance(raised, ast.Attribute):
            yield place, raised.attr
        yield from _raised_in(child, inside)


# --- Flows ------------------------------------------------------------------------------------------------------------


def flows(*, modules: Mapping[str, ModuleType]) -> str:
    """docs/flows.md"""
    found = _flows_in(modules.values())
    text = _NOTE + (
        "# Flows\n\n"
        "What an order, a payment and the like can be, and how one becomes the other. Each table stands in its app's\n"
        "`flow.py`; the database enforces the same moves by a trigger made from it. A state with no move is final.\n"
    )
    return text + "".join(_draw(flow, module) for module, flow in found)


def _flows_in(modules: Iterable[ModuleType]) -> list[tuple[str, Flow[Any]]]:
    return [
        (module.__name__, value)
        for module in modules
        if module.__name__.endswith(".flow")
        for value in vars(module).values()
        if isinstance(value, Flow)
    ]


def _draw(flow: Flow[Any], module: str) -> str:
    rows = "".join(
        f"| `{state}`{' (first)' if state == flow.initial else ''} | "
        f"{', '.join(f'`{target}`' for target in targets) or '—'} |\n"
        for state, targets in flow.moves.items()
    )
    return (
        f"\n## {flow.name.replace('_', ' ').capitalize()}\n\n`{module}`\n\n"
        f"```mermaid\n{flow.mermaid()}\n```\n\n| from | to |\n| --- | --- |\n{rows}"
    )


# --- The GraphQL schema -----------------------------------------------------------------------------------------------


def graphql_schema(*, modules: Mapping[str, ModuleType]) -> str:
    """docs/schema.graphql"""
    note = "# Written by `make docs` from the code. Changes made here are lost.\n\n"
    return f"{note}{modules['config.schema'].schema.as_str()}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def openapi() -> str:
    """The API's document, as `/api/schema/` serves it."""
    generator: Any = SchemaGenerator  # drf-spectacular has no types
    renderer: Any = OpenApiYamlRenderer
    rendered: bytes = renderer().render(generator().get_schema(request=None, public=True))
    return rendered.decode()
