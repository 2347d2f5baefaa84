"""`Immutable`: an immutable value with named fields.

It is what a frozen dataclass is, at a fortieth of the import time and a tenth of the construction time: a plan of ten
tools defines some sixty of them before it does anything else. See docs/decisions/0004.
"""

from __future__ import annotations

from msgspec import Struct as Immutable
from msgspec import field
from msgspec.structs import replace

__all__ = ["Immutable", "field", "replace"]
