"""Files to trees."""

from __future__ import annotations
from typing import NamedTuple, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from collections.abc import Collection
    from devstream.config.tree import Map, Source
    from devstream.errors import Diagnostic

__all__ = ["Parsed", "read_source", "parse"]


class Parsed(NamedTuple):
    """One file's documents (empty ones are left out)."""

    documents: tuple[Map, ...]
    warnings: tuple[Diagnostic, ...]
    loose: tuple[LooseReference, ...]  # `${{ word ... }}` without our shape: see check_loose


class LooseReference(NamedTuple):
    word: str
    text: str
    source: Source
    offset: int


def check_loose(loose: tuple[LooseReference, ...], tools: Collection[str]) -> list[Diagnostic]:
    """Call once the tool names of the config are known."""
    raise NotImplementedError


def read_source(path: Path, name: str) -> Source:
    raise NotImplementedError


def parse(source: Source) -> Parsed:
    raise NotImplementedError
