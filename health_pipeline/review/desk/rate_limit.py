"""How often somebody may knock: a token bucket per key, in this process' memory (the desk is one process)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

KEYS_KEPT = 10_000


@dataclass
class RateLimit:
    """At most `per_minute` in a burst, refilled evenly over the minute.

    Attributes
    ----------
    monotonic : seconds that never go back; injected by tests
    """

    per_minute: int
    monotonic: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def wait_seconds(self, key: str) -> int:
        """Take one; 0 where it was there, else the seconds until there is one."""
        with self._lock:
            now = self.monotonic()
            level, since = self._buckets.get(key, (float(self.per_minute), now))
            level = min(float(self.per_minute), level + (now - since) * self.per_minute / 60)
            if key not in self._buckets and len(self._buckets) >= KEYS_KEPT:
                self._forget_full(now)
            if level < 1:
                self._buckets[key] = (level, now)
                return max(1, round((1 - level) * 60 / self.per_minute))
            self._buckets[key] = (level - 1, now)
            return 0

    def _forget_full(self, now: float) -> None:
        self._buckets = {
            key: (level, since)
            for key, (level, since) in self._buckets.items()
            if level + (now - since) * self.per_minute / 60 < self.per_minute
        }
