"""How often somebody may ask (docs/decisions/0019).

A limit is so many requests in so long, for one caller. Requests flow out evenly (GCRA): so many may come at once, and
for each that has flowed out another may come. Redis counts, by its own clock, in one round trip for all limits that a
request is under; while it is away everybody may pass, which `redis.away` says once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, cast

import redis
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core import redis_link
from core.errors import DomainError

ADDRESS: Final = "ip"
USER: Final = "user"

# For each key the time (µs) at which all that has come will have flowed out. A request is refused where it would not
# have flowed out within the period; then nothing is counted, so that whoever keeps asking is not kept waiting longer.
_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local empty, answer, refused = {}, {}, false
for i, key in ipairs(KEYS) do
    local limit, period = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i]) * 1000000
    local before = math.max(tonumber(redis.call('GET', key) or now), now)
    local after = before + period / limit
    local wait = after - period - now
    if wait > 0 then refused = true else wait = 0 end
    empty[i] = after
    answer[i] = {wait, before, after, limit, period}
end
local said = {}
for i, key in ipairs(KEYS) do
    local wait, before, after, limit, period = unpack(answer[i])
    local full = refused and before or after
    if not refused then
        redis.call('SET', key, string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
    end
    said[i] = {
        math.ceil(wait / 1000000),
        math.max(0, math.floor((period - (full - now)) / (period / limit) + 0.000001)),
        math.ceil((full - now) / 1000000),
    }
end
return said
"""


class Rate(Protocol):
    """`requests` in `seconds`, for each caller of the kind `by`; `Environment.limits` reads them from RATE_LIMITS."""

    @property
    def by(self) -> str: ...

    @property
    def requests(self) -> int: ...

    @property
    def seconds(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a caller stands with the limit that leaves least: `remaining` requests, none used up in `reset` seconds."""

    rate: Rate
    remaining: int
    reset: int


def check(*, name: str, callers: Mapping[str, str]) -> Standing | None:
    """Count one request under the limits called `name`; None where there are none, or nobody can count.

    `callers` says who asks, kind by kind. What identifies them goes to Redis as a hash.

    :raises TooManyRequests: with the seconds to wait, and how the caller stands as `standing`.
    """
    rates = [rate for rate in settings.RATE_LIMITS.get(name, ()) if callers.get(rate.by)]
    if not rates:
        return None
    keys = [_key(name, rate, callers[rate.by]) for rate in rates]
    arguments = [number for rate in rates for number in (rate.requests, rate.seconds)]
    said = redis_link.ask(_counted(keys, arguments), otherwise=None)
    if said is None:
        return None
    standings = [
        (wait, Standing(rate=rate, remaining=remaining, reset=reset))
        for rate, (wait, remaining, reset) in zip(rates, said, strict=True)
    ]
    wait, tightest = min(standings, key=lambda each: (-each[0], each[1].remaining))
    if wait:
        raise OverLimit(wait=wait, standing=tightest)
    return tightest


class TooManyRequests(DomainError):
    code, status, title = "too_many_requests", 429, "Too many requests; wait and try again."
    storable = False


class OverLimit(TooManyRequests):
    """`too_many_requests`, and how the caller stands."""

    def __init__(self, *, wait: int, standing: Standing) -> None:
        rate = standing.rate
        super().__init__(f"At most {rate.requests} requests in {rate.seconds} s.", retry_after=wait)
        self.standing = standing


def _key(name: str, rate: Rate, caller: str) -> str:
    who = hashlib.sha256(f"{rate.by}\n{caller}".encode()).hexdigest()[:32]
    return redis_link.key("limit", name, f"{rate.requests}/{rate.seconds}", who)


def _counted(keys: list[str], arguments: list[int]) -> Callable[[redis.Redis], list[list[int]]]:
    def ask(link: redis.Redis) -> list[list[int]]:
        script = link.register_script(_SCRIPT)
        return cast("list[list[int]]", script(keys=keys, args=arguments))

    return ask


class RateLimitMiddleware:
    """Tells in the answer how its caller stands."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        standing: Standing | None = getattr(request, "limit_standing", None)
        if standing is not None:
            rate = standing.rate
            response.headers["RateLimit-Limit"] = str(rate.requests)
            response.headers["RateLimit-Remaining"] = str(standing.remaining)
            response.headers["RateLimit-Reset"] = str(standing.reset)
            response.headers["RateLimit-Policy"] = f"{rate.requests};w={rate.seconds}"
        return response
