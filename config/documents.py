"""The API's document, and the pages on which it is read."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

# Swagger UI and ReDoc write styles and a script into their pages, and would fetch a logo from outside.
DOCUMENTS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def from_here_alone(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A documentation page that may load nothing but our own files, whatever its library would like to."""

    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.headers["Content-Security-Policy"] = DOCUMENTS_POLICY
        return response

    return guarded


class Schema(SpectacularAPIView):
    """The document, the same for everybody: made once in each process, for that takes a second of its time."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - DRF's signature
        return Response({}, headers={"Content-Disposition": 'inline; filename="nexus-openapi.yaml"'})

    def get_renderers(self) -> list[BaseRenderer]:
        return [_Kept(renderer) for renderer in self.renderer_classes]


class _Kept(BaseRenderer):
    """A renderer that has rendered the document before."""

    _bytes: ClassVar[dict[str, bytes]] = {}

    def __init__(self, renderer: type[BaseRenderer]) -> None:
        self._renderer = renderer
        self.media_type, self.format, self.charset = renderer.media_type, renderer.format, renderer.charset

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:  # noqa: ARG002
        if self.media_type not in self._bytes:
            rendered = self._renderer().render(_made(), accepted_media_type=self.media_type, renderer_context={})
            self._bytes[self.media_type] = rendered if isinstance(rendered, bytes) else rendered.encode()
        return self._bytes[self.media_type]


_one_at_a_time = threading.Lock()
"""drf-spectacular finds its extensions while it works for the first time, and two threads would trip over it."""


def _made() -> Any:
    with _one_at_a_time:
        return _made_once()


@functools.cache
def _made_once() -> Any:
    with translation.override("en"):
        return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
