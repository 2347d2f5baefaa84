"""The time of day, as the state writes it."""

from __future__ import annotations

import time

__all__ = ["utc_now"]


def utc_now() -> str:
    """Give the present moment, UTC, ISO 8601 with Z, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
