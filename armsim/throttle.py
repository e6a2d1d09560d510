"""ARM's token buckets: per subscription, principal and class of operation, and fifteen times that for all principals.

A refused caller is not served before the Retry-After it was given has passed.
"""

import math
from typing import NamedTuple

from armsim.settings import Settings

CLASSES = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}


class Refusal(NamedTuple):
    verb: str
    seconds: int


class _Bucket:
    __slots__ = ("at", "blocked", "level")

    def __init__(self, level: float, at: float) -> None:
        self.level = level
        self.at = at
        self.blocked = 0.0


class Throttle:
    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}

    def take(
        self, settings: Settings, scope: str, principal: str, method: str, now: float
    ) -> tuple[Refusal | None, dict[str, str]]:
        """One token from both buckets: a refusal if either is empty, and the headers that tell what is left."""
        verb = CLASSES.get(method, "writes")
        size, rate = getattr(settings, verb)
        own = self._refill((scope, principal, verb), size, rate, now)
        wide = self._refill((scope, "", verb), size * settings.global_factor, rate * settings.global_factor, now)
        refusal = None
        if settings.throttle:
            refusal = _refuse(own, rate, verb, now) or _refuse(wide, rate * settings.global_factor, verb, now)
        if refusal is None:
            own.level -= 1.0
            wide.level -= 1.0
        kind = "subscription" if scope else "tenant"
        return refusal, {
            f"x-ms-ratelimit-remaining-{kind}-{verb}": str(max(0, int(own.level))),
            f"x-ms-ratelimit-remaining-{kind}-global-{verb}": str(max(0, int(wide.level))),
        }

    def take_from(self, key: tuple[str, str, str], size: float, rate: float, now: float) -> tuple[int, int]:
        """One token from a provider's bucket: the seconds to wait, or none, and what is left."""
        bucket = self._refill(key, size, rate, now)
        if (refusal := _refuse(bucket, rate, key[2], now)) is not None:
            return refusal.seconds, 0
        bucket.level -= 1.0
        return 0, int(bucket.level)

    def _refill(self, key: tuple[str, str, str], size: float, rate: float, now: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(size, now)
        bucket.level = min(size, bucket.level + max(0.0, now - bucket.at) * rate)
        bucket.at = now
        return bucket


def _refuse(bucket: _Bucket, rate: float, verb: str, now: float) -> Refusal | None:
    if bucket.blocked > now:
        return Refusal(verb, math.ceil(bucket.blocked - now))
    if bucket.level >= 1.0:
        return None
    seconds = max(1, math.ceil((1.0 - bucket.level) / rate))
    bucket.blocked = now + seconds
    return Refusal(verb, seconds)
