"""The pages that links lead to. They are static files that speak only the public API."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import etag

from core.problems import only

# The page's own scripts and style stand in files of their own, so nothing inline is needed.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_ASSETS: Final = b"/order/assets/"
_A_YEAR: Final = 365 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class _Storefront:
    """The files as they are served; the pages by their names. `release` names their content."""

    pages: dict[str, bytes]
    assets: dict[str, bytes]
    release: str


def _read() -> _Storefront:
    folder = Path(settings.STOREFRONT_DIR)
    assets = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in _TYPES}
    pages = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.html"))}
    release = hashlib.sha256(b"\0".join([*pages.values(), *assets.values()])).hexdigest()[:16]
    # A folder named for the content: a phone keeps the files for a year, and never an old one beside a new one.
    return _Storefront(
        pages={name: content.replace(_ASSETS, _ASSETS + release.encode() + b"/") for name, content in pages.items()},
        assets=assets,
        release=release,
    )


_read_once = cache(_read)


def _storefront() -> _Storefront:
    return _read() if settings.DEBUG else _read_once()


def _etag(request: HttpRequest, *_: object, **__: object) -> str:  # noqa: ARG001 - the same for every order and account
    return f'"{_storefront().release}"'


@only("GET", "HEAD")
@gzip_page
@etag(_etag)
def order(request: HttpRequest, number: str) -> HttpResponse:  # noqa: ARG001 - the page reads its own address
    """The order's state and the button to pay it; the same bytes for every order."""
    return _page("order")


@only("GET", "HEAD")
@gzip_page
@etag(_etag)
def password(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view
    """Where a link to a new password leads, and is asked for."""
    return _page("password")


def _page(name: str) -> HttpResponse:
    response = HttpResponse(_storefront().pages[name], content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"  # the address may hold a token
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@only("GET", "HEAD")
@gzip_page
def asset(request: HttpRequest, release: str, name: str) -> HttpResponse:  # noqa: ARG001 - a view
    """A script or the style sheet of the page."""
    storefront = _storefront()
    if name not in storefront.assets:
        raise Http404
    response = HttpResponse(storefront.assets[name], content_type=_TYPES[Path(name).suffix])
    # While a new release is rolled out, an old page may ask a new server: it gets what there is, for this once.
    is_current = release == storefront.release
    response.headers["Cache-Control"] = f"public, max-age={_A_YEAR}, immutable" if is_current else "no-store"
    return response
