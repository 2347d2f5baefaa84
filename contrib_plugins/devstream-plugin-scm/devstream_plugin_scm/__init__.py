"""Repositories and their CI for DevStream.

Nothing is imported here: `devstream_plugin_scm.local_ci` runs inside a git hook and has to start fast.
"""

from __future__ import annotations

__all__: list[str] = []
