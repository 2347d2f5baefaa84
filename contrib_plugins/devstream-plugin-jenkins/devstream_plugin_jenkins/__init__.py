"""Jenkins jobs for DevStream: ``jenkins-pipeline``."""

from __future__ import annotations

__all__: list[str] = []
