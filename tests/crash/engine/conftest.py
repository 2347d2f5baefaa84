from __future__ import annotations

from devstream.testing.project import project

__all__ = ["project"]
