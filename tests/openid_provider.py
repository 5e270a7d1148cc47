"""A provider of identities on this machine, over real HTTP: OpenID Connect as it should be, and every way of lying.

It keeps to the rules that a client must keep: an unknown client, a code that was used before, another redirect URI or a
verifier that does not fit its challenge are refused.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwk, jwt
from joserfc.jws import JWSRegistry

from config.settings.environment import Provider

CLIENT_ID, CLIENT_SECRET = "nexus-shop", "a-secret-of-the-provider's-own-0123456789"
ABEBECH = {
    "sub": "abebech-1", "email": "abebech@gmail.com", "email_verified": True, "given_name": "Abebech",
    "family_name": "Bekele", "locale": "am-ET",
}  # fmt: skip


class Gone(Enum):
    GONE = "gone"


GONE = Gone.GONE
"""As a claim's value: leave it out."""


def registration(url: str) -> Provider:
    """As whom the shop is known to the provider at this address."""
    return Provider(code="local", label="The local one", issuer=url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)


def _new_key(kind: str = "EC") -> Any:
    if kind == "RSA":
        return jwk.RSAKey.generate_key(2048, {"kid": uuid.uuid4().hex, "use": "sig"})
    return jwk.ECKey.generate_key("P-256", {"kid": uuid.uuid4().hex, "use": "sig"})


@dataclass(slots=True)
class Fault:
    """What a path answers instead: after so many seconds, with this status and body; `drip` a byte at a time."""

    status: int = 200
    body: bytes | None = None
    delay: float = 0
    drip: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class LocalProvider:
    """`with running() as provider:`; who somebody is, is said by `arrives`."""

    def __init__(self) -> None:
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.reset()
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def reset(self) -> None:
        """Honest again, with a new key, and nobody under way."""
        self.keys = [_new_key()]
        self.published: list[Any] | None = None
        """What it shows of its keys, where that is not `keys`."""
        self.faults: dict[str, Fault] = {}
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.described: dict[str, Any] = {}
        self.sign_with: Any = None
        self.in_userinfo: dict[str, Any] = {}
        self.token_answer: dict[str, Any] | None = None
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self._codes: dict[str, dict[str, Any]] = {}
        self._known: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def registration(self) -> Provider:
        return registration(self.url)

    # --- The browser's side ---

    def arrives(self, authorization_url: str, **claims: Any) -> dict[str, str]:
        """Somebody is led here, says yes, and is led back with this in the address: Abebech, unless told otherwise."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(authorization_url).query).items()}
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = uuid.uuid4().hex
        given = {name: value for name, value in {**ABEBECH, **claims}.items() if value is not GONE}
        if "max_age" in asked:
            given.setdefault("auth_time", int(time.time()))
        self._codes[code] = {**asked, "claims": given}
        return {"code": code, "state": asked["state"], "iss": self.url}

    def rotate(self) -> None:
        """Sign with another key from now on, and show that one alone."""
        self.keys = [_new_key()]

    # --- The shop's side ---

    def description(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256"],
            "code_challenge_methods_supported": ["S256"],
            **self.described,
        }

    def redeem(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        if self.token_answer is not None:
            return (400 if "error" in self.token_answer else 200), self.token_answer
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        by_body = (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        only_by_body = self.described.get("token_endpoint_auth_methods_supported") == ["client_secret_post"]
        if not (by_body if only_by_body else authorization == f"Basic {basic}"):
            return 401, {"error": "invalid_client"}
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        access_token = uuid.uuid4().hex
        self._known[access_token] = {"sub": asked["claims"]["sub"], **self.in_userinfo}
        return 200, {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 3600,
            "id_token": self.id_token(asked),
        }

    def id_token(self, asked: dict[str, Any]) -> str:
        moment = int(time.time())
        claims = {
            "iss": self.url, "aud": CLIENT_ID, "exp": moment + 300, "iat": moment, "nonce": asked["nonce"],
            **asked["claims"], **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not GONE}
        key = self.sign_with or self.keys[0]
        algorithm = {"RSA": "RS256", "EC": "ES256", "oct": "HS256"}[key.key_type]
        header = {"alg": algorithm, "kid": self.keys[0].kid, **self.header}
        header = {name: value for name, value in header.items() if value is not GONE}
        if header["alg"] == "none":
            return f"{_encoded(header)}.{_encoded(claims)}."
        registry = JWSRegistry(algorithms=[header["alg"]])
        return jwt.encode(header, claims, key, algorithms=[header["alg"]], registry=registry)

    def person(self, authorization: str) -> dict[str, Any] | None:
        return self._known.get(authorization.removeprefix("Bearer "))

    def jwks(self) -> dict[str, Any]:
        keys = self.keys if self.published is None else self.published
        return {"keys": [key.as_dict(private=False) if hasattr(key, "as_dict") else key for key in keys]}


def _encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


class _Handler(BaseHTTPRequestHandler):
    provider: LocalProvider

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if self._is_at_fault(path):
            return
        if path == "/.well-known/openid-configuration":
            self._say(200, self.provider.description())
        elif path == "/jwks":
            self._say(200, self.provider.jwks())
        elif path == "/userinfo":
            person = self.provider.person(self.headers.get("Authorization", ""))
            self._say(200 if person else 401, person or {"error": "invalid_token"})
        elif path == "/authorize":
            self._lead_back()
        else:
            self._say(404, {"error": "not_found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.provider.bodies.append(body)
        if self._is_at_fault(urlsplit(self.path).path):
            return
        form = {name: values[0] for name, values in parse_qs(body.decode("ascii")).items()}
        self._say(*self.provider.redeem(form, self.headers.get("Authorization", "")))

    def _lead_back(self) -> None:
        """As a browser sees it. `as` says who is there: another subject, with an address of its own."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        who = asked.pop("as", "")
        claims = {"sub": who, "email": f"{who}@gmail.com"} if who else {}
        back = self.provider.arrives(self.path, **claims)
        self.send_response(302)
        self.send_header("Location", f"{asked['redirect_uri']}?{urlencode(back)}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _is_at_fault(self, path: str) -> bool:
        self.provider.asked.append(path)
        fault = self.provider.faults.get(path)
        if fault is None:
            return False
        if fault.body is None and fault.status == 200:
            time.sleep(fault.delay)
            return False
        body = fault.body or b""
        time.sleep(fault.delay)
        self.send_response(fault.status)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            for at in range(0, len(body), 1 if fault.drip else len(body) or 1):
                self.wfile.write(body[at : at + 1] if fault.drip else body)
                if fault.drip:
                    self.wfile.flush()
                    time.sleep(0.05)
        return True

    def _say(self, status: int, said: Any) -> None:
        body = json.dumps(said).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


@contextlib.contextmanager
def running() -> Iterator[LocalProvider]:
    provider = LocalProvider()
    try:
        yield provider
    finally:
        provider.close()


@cache
def shared() -> LocalProvider:
    """One for all tests of a process. Whoever uses it resets it first."""
    return LocalProvider()
