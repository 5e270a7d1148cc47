"""What a forger sends to the two addresses that are Chapa's: signatures, deliveries, callbacks, each with a name."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Final

API_KEY: Final = "CHASECK_TEST-0123456789abcdef0123456789abcdef"


def hexadecimal(body: bytes, secret: str, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


def _header(value: str) -> dict[str, str]:
    return {"X-Chapa-Signature": value}


SIGNATURES: Final[dict[str, Callable[[bytes, str], dict[str, str]]]] = {
    "none": lambda body, secret: {},
    "an empty one": lambda body, secret: _header(""),
    "a space": lambda body, secret: _header(" "),
    "a word": lambda body, secret: _header("signature"),
    "the word None": lambda body, secret: _header("None"),
    "the word true": lambda body, secret: _header("true"),
    "zeros": lambda body, secret: _header("0" * 64),
    "100,000 zeros": lambda body, secret: _header("0" * 100_000),
    "of another script": lambda body, secret: _header("ፊርማ"),
    "letters that are no ASCII": lambda body, secret: _header("é" * 64),
    "full-width digits": lambda body, secret: _header("０" * 64),
    "with NUL": lambda body, secret: _header(hexadecimal(body, secret) + "\x00"),
    "with a letter more": lambda body, secret: _header(hexadecimal(body, secret) + "0"),
    "with a letter less": lambda body, secret: _header(hexadecimal(body, secret)[:-1]),
    "the first half": lambda body, secret: _header(hexadecimal(body, secret)[:32]),
    "the last letter changed": lambda body, secret: _header(_other_last(hexadecimal(body, secret))),
    "twice in one": lambda body, secret: _header(", ".join([hexadecimal(body, secret)] * 2)),
    "with a scheme before it": lambda body, secret: _header(f"sha256={hexadecimal(body, secret)}"),
    "with a version before it": lambda body, secret: _header(f"v1={hexadecimal(body, secret)}"),
    "as base64": lambda body, secret: _header(base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()),
    "by SHA-1": lambda body, secret: _header(hexadecimal(body, secret, "sha1")),
    "by SHA-512": lambda body, secret: _header(hexadecimal(body, secret, "sha512")),
    "by MD5": lambda body, secret: _header(hexadecimal(body, secret, "md5")),
    "a hash without a secret": lambda body, secret: _header(hashlib.sha256(body).hexdigest()),
    "a hash of secret and body": lambda body, secret: _header(hashlib.sha256(secret.encode() + body).hexdigest()),
    "of an empty secret": lambda body, secret: _header(hexadecimal(body, "")),
    "of the API key": lambda body, secret: _header(hexadecimal(body, API_KEY)),
    "of another secret": lambda body, secret: _header(hexadecimal(body, secret + "x")),
    "of an empty body": lambda body, secret: _header(hexadecimal(b"", secret)),
    "of the body and a line break": lambda body, secret: _header(hexadecimal(body + b"\n", secret)),
    "of the body written again": lambda body, secret: _header(
        hexadecimal(json.dumps(json.loads(body), indent=1).encode(), secret)
    ),
    "Chapa's constant, in its own header": lambda body, secret: {
        "Chapa-Signature": hexadecimal(secret.encode(), secret)
    },
    "Chapa's constant, in ours": lambda body, secret: _header(hexadecimal(secret.encode(), secret)),
    "the right one, in the other header": lambda body, secret: {"Chapa-Signature": hexadecimal(body, secret)},
    "the right one, in the query's name": lambda body, secret: {"X-Signature": hexadecimal(body, secret)},
    "the secret itself": lambda body, secret: _header(secret),
}
"""Proofs that prove nothing: for each, the headers that a body is sent with."""


def _other_last(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


GENUINE: Final[dict[str, bytes]] = {
    "compact": b'{"event":"charge.success","tx_ref":"nx-1","status":"success"}',
    "with spaces": b'{ "event": "charge.success", "tx_ref": "nx-1" }\n',
    "as PHP writes it": b'{"event":"charge.success","tx_ref":"nx-1","note":"a\\/b \\u12a0\\u1260\\u1260\\u127d"}',
    "with Amharic as it is": '{"event":"charge.success","tx_ref":"nx-1","first_name":"አበበች"}'.encode(),
    "wrapped in data": b'{"event":"charge.success","data":{"tx_ref":"nx-1","status":"success"}}',
    "data of a list": b'{"event":"charge.success","data":[{"tx_ref":"nx-1"}]}',
    "of a payout": b'{"event":"payout.success","type":"Payout","reference":"po-1","status":"success"}',
    "of a refund": b'{"event":"charge.refunded","tx_ref":"nx-1","status":"refunded"}',
    "of no known kind": b'{"event":"moon.landed","tx_ref":"nx-1"}',
    "without an event": b'{"tx_ref":"nx-1"}',
    "an empty object": b"{}",
    "event of an object": b'{"event":{"a":1},"tx_ref":"nx-1"}',
    "event of 5,000 letters": b'{"event":"' + b"e" * 5000 + b'","tx_ref":"nx-1"}',
    "event that grows in lower case": '{{"event":"{}","tx_ref":"nx-1"}}'.format("İ" * 64).encode(),
    "tx_ref of null": b'{"event":"charge.success","tx_ref":null}',
    "tx_ref of a number": b'{"event":"charge.success","tx_ref":12345678901234567890}',
    "tx_ref of 5,000 letters": b'{"event":"charge.success","tx_ref":"' + b"x" * 5000 + b'"}',
    "tx_ref with a line break": b'{"event":"charge.success","tx_ref":"nx-1\\r\\nnx-2"}',
    "tx_ref with a query": b'{"event":"charge.success","tx_ref":"nx-1\' OR 1=1 --"}',
    "tx_ref spelled as the callback does": b'{"event":"charge.success","trx_ref":"nx-1"}',
    "amount infinite": b'{"event":"charge.success","tx_ref":"nx-1","amount":1e999}',
    "amount of forty digits": b'{"event":"charge.success","tx_ref":"nx-1","amount":' + b"9" * 40 + b"}",
    "amount negative": b'{"event":"charge.success","tx_ref":"nx-1","amount":"-100.00"}',
    "status of 5,000 letters": b'{"event":"charge.success","tx_ref":"nx-1","status":"' + b"s" * 5000 + b'"}',
    "status with colours": b'{"event":"charge.success","tx_ref":"nx-1","status":"\\u001b[31mred"}',
}
"""Signed objects that Chapa might send some day. Each is kept, byte for byte."""

JUNK: Final[dict[str, bytes]] = {
    "nothing": b"",
    "an array": b"[]",
    "null": b"null",
    "a string": b'"charge.success"',
    "a number": b"1",
    "an open brace": b"{",
    "no UTF-8": b"\xff\xfe",
    "UTF-16": '{"event":"charge.success"}'.encode("utf-16"),
    "a form": b"event=charge.success&tx_ref=nx-1",
    "10,000 arrays": b"[" * 10_000 + b"]" * 10_000,
    "50,000 arrays that never close": b"[" * 50_000,
    "10,000 objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "text after the end": b'{"event":"charge.success"}x',
    "two objects": b"{}{}",
    "single quotes": b"{'event':'charge.success'}",
}
"""Signed, but no JSON object."""

CALLBACKS: Final[dict[str, str]] = {
    "nothing": "",
    "an unknown reference": "trx_ref=nx-nobody",
    "the other spelling": "tx_ref=nx-nobody",
    "an empty reference": "trx_ref=",
    "NUL": "trx_ref=%00",
    "NUL inside": "trx_ref=nx%00",
    "no UTF-8": "trx_ref=%FF%FE",
    "half a pair": "trx_ref=%ED%A0%80",
    "another script": "trx_ref=%E1%88%9B",
    "full-width letters": "trx_ref=%EF%BD%8E%EF%BD%98-1",
    "a line break": "trx_ref=nx-1%0A",
    "a query": "trx_ref=%27%20OR%201%3D1--",
    "wildcards": "trx_ref=%25",
    "51 letters": "trx_ref=" + "x" * 51,
    "50,000 letters": "trx_ref=" + "x" * 50_000,
    "a list": "trx_ref[]=nx-1",
    "two": "trx_ref=nx-1&trx_ref=nx-2",
    "both spellings": "trx_ref=nx-1&tx_ref=nx-2",
    "a status that lies": "trx_ref=nx-1&ref_id=AP1&status=success",
    "a path": "trx_ref=../../etc/passwd",
}
"""Query strings of a callback about payments that are not ours: 200, and nothing is noted."""
