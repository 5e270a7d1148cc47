"""The project's own source, read as text and as syntax trees."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
APPS = tuple(
    name
    for name in ("config", "core", "users", "products", "orders", "payments", "notifications", "desk")
    if (ROOT / name).is_dir()
)


@dataclass(frozen=True)
class Module:
    """One file of Python; `path` is relative to the project."""

    path: str
    source: str
    tree: ast.Module

    @property
    def stem(self) -> str:
        return Path(self.path).stem

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """Every call, with the last part of what is called: `apply_async` of `task.apply_async(…)`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                yield name, node

    def imports(self) -> Iterator[tuple[str, int]]:
        """Every imported module, and `module.name` for what is imported from one."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, node.lineno
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module, node.lineno
                for alias in node.names:
                    yield f"{node.module}.{alias.name}", node.lineno

    def at(self, node: ast.AST) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 0)}"


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every module below these folders (default: the apps), migrations left out."""
    found = []
    for folder in folders or APPS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in file.parts:
                source = file.read_text(encoding="utf-8")
                found.append(Module(str(file.relative_to(ROOT)), source, ast.parse(source)))
    return tuple(found)


@cache
def kept_files() -> tuple[Path, ...]:
    """What is in the repository, or would be with the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return tuple(file for name in listed.stdout.decode().split("\0") if name and (file := ROOT / name).is_file())
