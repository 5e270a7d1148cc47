"""How the finance desk looks: django-unfold's settings. What stands in its sidebar is in `desk/navigation.py`.

And where it puts the files that are taken out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf.locale import LANG_INFO
from django.templatetags.static import static

from config.settings.environment import Environment

LANG_INFO.setdefault("am", {"bidi": False, "code": "am", "name": "Amharic", "name_local": "አማርኛ"})
"""Django speaks no Amharic and would not even name it; what the desk says in it is in `desk/locale`."""

if TYPE_CHECKING:
    from config.settings.environment import Environment


def read(env: Environment) -> dict[str, Any]:
    """The desk's settings."""
    return {
        "UNFOLD": UNFOLD,
        "FORMAT_MODULE_PATH": FORMAT_MODULE_PATH,
        "LOCALE_PATHS": [Path(__file__).resolve().parents[2] / "desk" / "locale"],
        "EXPORTS": exports(env, folder=Path(__file__).resolve().parents[2] / "var" / "exports"),
        "STAFF_SECOND_FACTOR": env.choice("STAFF_SECOND_FACTOR", "true", among=("true", "false")) == "true",
        "SECOND_FACTOR_KEY": env.text("SECOND_FACTOR_KEY", ""),
        "STAFF_IDLE": env.minutes("STAFF_IDLE_MINUTES", "30"),
        "SESSION_COOKIE_AGE": 12 * 60 * 60,  # of staff alone: nobody else has a session
    }


FORMAT_MODULE_PATH: Final = "desk.formats"

UNFOLD: Final[dict[str, Any]] = {
    "SITE_TITLE": "Nexus",
    "SITE_HEADER": "Nexus",
    "SITE_SUBHEADER": "desk.navigation.merchant",
    "SITE_SYMBOL": "account_balance",
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": "desk.navigation.environment",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("desk/favicon.svg")},  # noqa: ARG005
    ],
    "STYLES": [lambda request: static("desk/desk.css")],  # noqa: ARG005 - unfold's signature
    "SCRIPTS": [
        lambda request: static("desk/desk.js"),  # noqa: ARG005
        lambda request: static("desk/keyboard.js"),  # noqa: ARG005
        lambda request: static("desk/search.js"),  # noqa: ARG005
    ],
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "#eef8f3",
            "100": "#d5eee1",
            "200": "#aedcc6",
            "300": "#7cc4a4",
            "400": "#46a67f",
            "500": "#238a62",
            "600": "#0b6b45",
            "700": "#0a5a3b",
            "800": "#0a4830",
            "900": "#093b29",
            "950": "#042117",
        },
    },
    "LOGIN": {"form": "desk.sign_in.SignInForm"},
    "SIDEBAR": {"show_search": False, "command_search": False, "navigation": "desk.navigation.sidebar"},
    "COMMAND": {"search_models": False},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exports:
    """Where files lie that are taken out, up to how many rows one is given at once, and for how long one is kept."""

    folder: Path
    at_once: int
    kept: timedelta


def exports(env: Environment, *, folder: Path) -> Exports:
    """What the environment says of them. Nothing serves the folder; the web and the worker see the same one."""
    return Exports(
        folder=Path(env.text("EXPORT_DIR", str(folder))),
        at_once=env.number("EXPORT_AT_ONCE_ROWS", 5_000),
        kept=timedelta(hours=env.number("EXPORT_KEEP_HOURS", 24, least=1)),
    )
