"""Makes of what a WSGI server hands over what Django can take, before Django looks at it.

Two honest forms of HTTP break it otherwise: a body that comes in chunks and names no length is read as empty (a
genuine webhook would be refused as forged), and a charset that is no name is a 500 before any middleware.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_BOUNDARY = re.compile(r"boundary=(\"?[A-Za-z0-9'()+_,./:=?-]{1,70}\"?)", re.ASCII)


class Intake:
    """Wraps the application. `limit` is the size in bytes from which Django refuses a body anyway."""

    def __init__(self, application: Application, *, limit: int) -> None:
        self.application = application
        self.limit = limit

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ.get("CONTENT_LENGTH") and environ.get("HTTP_TRANSFER_ENCODING"):
            # One byte more than allowed is enough for Django to say that it is too much.
            body = environ["wsgi.input"].read(self.limit + 1)
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        if ";" in environ.get("CONTENT_TYPE", ""):
            environ["CONTENT_TYPE"] = _plain(environ["CONTENT_TYPE"])
        return self.application(environ, start_response)


def _plain(content_type: str) -> str:
    """The media type without its parameters: JSON is UTF-8, whatever is said. Only a form's boundary is needed."""
    media_type, _, parameters = content_type.partition(";")
    boundary = _BOUNDARY.search(parameters)
    if media_type.strip().lower().startswith("multipart/") and boundary:
        return f"{media_type.strip()}; boundary={boundary.group(1)}"
    return media_type.strip()
