"""One request, one answer, within the deadline; or an exact word for why not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Final

import requests
import urllib3.exceptions

from payments.gateway import Unavailable

from . import retry_after
from .connections import Exchange, PunctualAdapter, under
from .deadline import Clock, Deadline
from .envelope import Answer, body_matters, unreadable

LARGEST_ANSWER: Final = 256 * 1024
_CHUNK: Final = 16 * 1024
_DEEPEST_WRAPPING: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to ask. At most one of `json_body` and `form`; with neither, no body is sent at all."""

    method: str
    url: str
    json_body: Mapping[str, object] | None = None
    form: Mapping[str, str] | None = None


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' own signature
        # Even with allow_redirects=False requests looks where a redirect would lead, and to do so reads the
        # whole body into memory, however large. We follow none, so there is nothing to look for.
        return None


def new_session(*, connections: int) -> requests.Session:
    """A session with nothing of the surroundings in it: no proxy, no .netrc, no cookies, no retries, no redirects.

    `connections` are kept open for reuse. Threads may share it; processes may not: make it after the fork.
    """
    session = _Session()
    session.trust_env = False
    session.max_redirects = 0
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    session.headers.update(
        {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "nexus-chapa-client/1"}
    )
    for scheme in ("https://", "http://"):
        session.mount(scheme, PunctualAdapter(connections=connections))
    return session


class Transport:
    """Sends one request at a time and reads a bounded answer. Knows nothing of what Chapa means."""

    def __init__(
        self, *, session: requests.Session, secret_key: str, connect_timeout: float, read_timeout: float, clock: Clock
    ) -> None:
        self._session = session
        self._authorization = f"Bearer {secret_key}"
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._clock = clock

    def exchange(self, query: Query, *, deadline: Deadline) -> Answer:
        """Send `query` once and read the answer.

        :raises Unavailable: `connect` or `tls` (nothing was sent), `timeout`, `reset`, or `truncated` (it may have
            been), or `unreadable` where the answer is too large or cannot be unpacked.
        """
        request = self._prepare(query)
        exchange = Exchange(deadline=deadline, connect_timeout=self._connect_timeout, read_timeout=self._read_timeout)
        try:
            with under(exchange):
                return self._send_and_read(request, exchange)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            failure = _failure(error, exchange)
        # Raised outside of the handler: the error that it would be chained to carries the request with the key.
        raise failure

    def _send_and_read(self, request: requests.PreparedRequest, exchange: Exchange) -> Answer:
        deadline = exchange.deadline
        timeout = (deadline.at_most(exchange.connect_timeout), deadline.at_most(exchange.read_timeout))
        response = self._session.send(request, stream=True, timeout=timeout, allow_redirects=False, verify=True)
        try:
            status = response.status_code
            return Answer(
                status=status,
                content_type=response.headers.get("Content-Type", ""),
                body=_bounded_body(response) if body_matters(status) else b"",
                retry_after=retry_after.read(header=response.headers.get("Retry-After"), now=self._clock.epoch()),
            )
        finally:
            response.close()

    def _prepare(self, query: Query) -> requests.PreparedRequest:
        headers = {"Authorization": self._authorization}
        data: bytes | Mapping[str, str] | None = query.form
        if query.json_body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(query.json_body, allow_nan=False).encode("ascii")
        return self._session.prepare_request(requests.Request(query.method, query.url, headers=headers, data=data))


def _bounded_body(response: requests.Response) -> bytes:
    """The unpacked body, chunk by chunk, so that no bomb is swallowed whole. The connection watches the deadline."""
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise unreadable()
    return bytes(body)


def _failure(error: Exception, exchange: Exchange) -> Unavailable:
    """The one word for what went wrong, and whether anything can have left this machine."""
    if not exchange.sent and (exchange.connecting or _while_connecting(error)):
        reason = "tls" if isinstance(error, requests.exceptions.SSLError) else "connect"
        return Unavailable(reason, may_have_happened=False)
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return unreadable()
    if _is(error, TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError):
        return Unavailable("timeout", may_have_happened=True)
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return Unavailable("truncated", may_have_happened=True)
    if isinstance(error, ValueError):
        return unreadable()
    return Unavailable("reset", may_have_happened=True)


def _while_connecting(error: Exception) -> bool:
    return isinstance(error, requests.ConnectTimeout) or _is(error, urllib3.exceptions.NewConnectionError)


def _is(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Is `error` of one of `kinds`, or does it wrap one? requests wraps urllib3 wraps the socket's own error."""
    for _ in range(_DEEPEST_WRAPPING):
        if error is None or isinstance(error, kinds):
            break
        wrapped = [getattr(error, "reason", None), *error.args, error.__cause__, error.__context__]
        error = next((inner for inner in wrapped if isinstance(inner, BaseException)), None)
    return isinstance(error, kinds)
