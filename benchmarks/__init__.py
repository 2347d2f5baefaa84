"""Whole processes, measured beside peers that do the same job, in one run: ``python -m benchmarks``."""

from __future__ import annotations

__all__: list[str] = []
