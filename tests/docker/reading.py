"""Reads what describes production - settings, env files, Dockerfile, compose.yaml, entrypoint - without an engine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from config.settings.environment import Environment

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKER = ROOT / "docker"
READERS = {name for name in vars(Environment) if not name.startswith("_")} - {"refuse_if_wrong"}
"""The methods that read a variable."""
NEED_NOTHING = {"given", "flag"}
"""Those of them that do not complain where it is missing."""
PROCESSES = ("web", "live", "relay", "worker", "beat", "migrate")
_INTERPOLATION = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]*)(?::(?P<how>[-?])(?P<value>[^}]*))?\}")


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One reading of a variable by the settings. `default` is None where there is none, or none that is written out."""

    name: str
    module: str
    is_required: bool
    default: str | None


def settings_variables() -> list[Variable]:
    """Every variable that config/settings reads, found in its syntax tree."""
    return [
        variable
        for path in sorted((ROOT / "config" / "settings").glob("*.py"))
        for variable in _variables_in(path.stem, ast.parse(path.read_text(encoding="utf-8")))
    ]


def _variables_in(module: str, tree: ast.Module) -> Iterator[Variable]:
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in READERS):
            continue
        if not (isinstance(call.func.value, ast.Name) and call.func.value.id in {"env", "ENVIRONMENT"}):
            continue
        given = [*call.args[1:], *(keyword.value for keyword in call.keywords if keyword.arg == "default")]
        name = ast.literal_eval(call.args[0])
        default = given[0] if given else None
        yield Variable(
            name=name,
            module=module,
            is_required=default is None and call.func.attr not in NEED_NOTHING,
            default=str(default.value) if isinstance(default, ast.Constant) else None,
        )


def required_in_production() -> set[str]:
    """What has no default in base or production. A variable whose default is another one's value is not among them."""
    reads = [variable for variable in settings_variables() if variable.module in {"base", "production"}]
    with_default = {variable.name for variable in reads if not variable.is_required and variable.module == "base"}
    optional_urls = {"DATABASE_DIRECT_URL"}
    needed = {variable.name for variable in reads if variable.is_required}
    in_production = {variable.name for variable in reads if variable.is_required and variable.module == "production"}
    return (needed - with_default - optional_urls) | in_production


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of an env file that sets a variable, or would if its `# ` were removed."""

    name: str
    value: str
    is_active: bool
    is_explained: bool


def env_file(path: Path) -> list[Entry]:
    """The entries of an env file; `is_explained` says whether a comment stands above it or its group."""
    entries: list[Entry] = []
    explained = False
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"(?P<off># )?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)", line)
        if match:
            entries.append(
                Entry(name=match["name"], value=match["value"], is_active=match["off"] is None, is_explained=explained)
            )
        else:
            explained = line.startswith("# ") and not line.startswith("# ---")
    return entries


def env_values(path: Path) -> dict[str, str]:
    """What the file sets."""
    return {entry.name: entry.value for entry in env_file(path) if entry.is_active}


@cache
def compose() -> Any:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """As Compose does it: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`."""

    def value_of(match: re.Match[str]) -> str:
        given = values.get(match["name"], "")
        if given:
            return given
        if match["how"] == "?":
            raise KeyError(f"{match['name']}: {match['value']}")
        return match["value"] or ""

    return _INTERPOLATION.sub(value_of, text)


def compose_variables() -> set[str]:
    """Every `${NAME}` in compose.yaml."""
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    assert text.count("${") == len(_INTERPOLATION.findall(text)), "compose.yaml has a ${…} in a form we do not read"
    return {match["name"] for match in _INTERPOLATION.finditer(text)}


def environment_of(service: str, *, file: Path, overrides: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a process of ours finds in its environment when Compose is given this env file."""
    values = env_values(file) | dict(overrides or {})
    described = compose()["services"][service]
    # The file itself is what `env_file:` names: the test that calls us sees to that.
    return values | {name: interpolate(str(text), values) for name, text in described["environment"].items()}


def seconds(text: str) -> int:
    """Compose's durations, as far as we use them: `15s`, `2m`."""
    match = re.fullmatch(r"(\d+)([sm])", text)
    assert match, text
    return int(match[1]) * {"s": 1, "m": 60}[match[2]]


@cache
def dockerfile() -> dict[str, list[tuple[str, str]]]:
    """Stage → its instructions and their arguments, continued lines joined; what precedes all is under ''."""
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages: dict[str, list[tuple[str, str]]] = {"": []}
    stage = ""
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        instruction, _, arguments = line.partition(" ")
        if instruction == "FROM":
            base, _, name = arguments.partition(" AS ")
            stage = name or "last"
            stages[stage] = [("FROM", base)]
        else:
            stages[stage].append((instruction, arguments.strip()))
    return stages


def arguments(stage: str, instruction: str) -> list[str]:
    """What one kind of instruction says in a stage."""
    return [text for name, text in dockerfile()[stage] if name == instruction]
