"""GraphiQL, on a developer's machine alone (`GRAPHQL_EXPLORER`), from files that `make explorer` has fetched.

They are four megabytes that no server needs, so neither the repository nor the image has them; and no page of ours
loads anything from a stranger's server.
"""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse

from core.problems import only

FOLDER: Final = Path(__file__).resolve().parent / "graphiql"
_PACKAGES: Final = FOLDER / "node_modules"
_CSS, _JS = "text/css; charset=utf-8", "text/javascript; charset=utf-8"
FILES: Final = {
    "start.css": (FOLDER / "start.css", _CSS),
    "start.js": (FOLDER / "start.js", _JS),
    "graphiql.css": (_PACKAGES / "graphiql" / "graphiql.min.css", _CSS),
    "graphiql.js": (_PACKAGES / "graphiql" / "graphiql.min.js", _JS),
    "graphql-ws.js": (_PACKAGES / "graphql-ws" / "umd" / "graphql-ws.min.js", _JS),
    "react.js": (_PACKAGES / "react" / "umd" / "react.production.min.js", _JS),
    "react-dom.js": (_PACKAGES / "react-dom" / "umd" / "react-dom.production.min.js", _JS),
}
# Its editor writes styles into the page as it goes.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MISSING: Final = "GraphiQL is not here yet. Run `make explorer` once (it needs npm), then load this page again.\n"


@only("GET", "HEAD")
def page(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view
    """The editor; until its files are there, how to get them."""
    if not all(file.is_file() for file, _ in FILES.values()):
        return HttpResponse(_MISSING, status=HTTPStatus.SERVICE_UNAVAILABLE, content_type="text/plain; charset=utf-8")
    response = HttpResponse((FOLDER / "index.html").read_bytes(), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Cache-Control"] = "no-cache"
    return response


@only("GET", "HEAD")
def file(request: HttpRequest, name: str) -> HttpResponse:  # noqa: ARG001 - a view
    """One of the page's files."""
    path, content_type = FILES.get(name, (None, ""))
    if path is None or not path.is_file():
        raise Http404
    return HttpResponse(path.read_bytes(), content_type=content_type)
