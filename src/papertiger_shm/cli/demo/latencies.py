"""Latencies counted as they come, in fixed memory: tenths of a microsecond up to a millisecond, exact above."""

from __future__ import annotations

from array import array

BUCKETS = 10_000
BUCKET_NS = 100


class Latencies:
    """A histogram of durations in nanoseconds, read back in microseconds."""

    def __init__(self) -> None:
        self._buckets = array("Q", bytes(8 * BUCKETS))
        self._slow: list[int] = []
        self.count = 0

    def add(self, ns: int) -> None:
        """Count one duration."""
        self.count += 1
        bucket = ns // BUCKET_NS
        if bucket < BUCKETS:
            self._buckets[bucket] += 1
        else:
            self._slow.append(ns)

    def percentile(self, percent: float) -> float:
        """The duration in microseconds that ``percent`` of all were not longer than; 0 without any."""
        rank = max(1, -(-self.count * percent // 100))
        for bucket, count in enumerate(self._buckets):
            rank -= count
            if rank <= 0:
                return (bucket + 1) * BUCKET_NS / 1000
        self._slow.sort()
        return self._slow[int(rank) - 1] / 1000 if self._slow else 0.0

    def summary(self) -> dict[str, float]:
        """``{"p50": us, "p99": us, "max": us}``"""
        return {"p50": self.percentile(50), "p99": self.percentile(99), "max": self.percentile(100)}
