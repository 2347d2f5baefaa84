"""The time of day, as the state writes it, and the time that a lease counts."""

from __future__ import annotations

import time

__all__ = ["boottime", "utc_now"]


def utc_now() -> str:
    """Give the present moment, UTC, ISO 8601 with Z, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def boottime() -> float:
    """Give seconds that only grow, and that also pass while the machine sleeps.

    `time.monotonic` stands still in a suspended laptop on Linux, whose lease runs out all the same.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
