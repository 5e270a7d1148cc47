"""The catalogue names nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.personal import Table

HOLDS: Final[Mapping[str, Table]] = {
    "products.Category": Table(kept="always", plain=("slug", "name")),
    "products.Product": Table(kept="always", plain=("sku", "slug", "name", "description")),
}
