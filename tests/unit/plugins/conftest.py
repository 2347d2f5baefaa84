"""Fixtures: installed distributions and configs with plugins, made in a temporary folder."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from devstream.plugins.manager import PluginManager

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from devstream.errors import Diagnostic

TOOL = """
from devstream.api import ResourceStatus, hookimpl

CALLS = []

@hookimpl
def create(tool, context):
    CALLS.append("create")
    return ResourceStatus(properties={"by": __name__})
"""


@dataclass
class Site:
    """A place for installed packages, and a config's folder beside it."""

    root: Path
    folder: Path
    reported: list[Diagnostic] = field(default_factory=list)

    def module(self, name: str, source: str = TOOL) -> None:
        path = self.root.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source))

    def distribution(self, name: str, points: str, version: str = "1.0") -> Path:
        info = self.root / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\nSummary: All about {name}.\n")
        (info / "entry_points.txt").write_text(dedent(points))
        return info

    def tool(self, name: str, module: str, source: str = TOOL, distribution: str = "") -> None:
        """Install one tool in one module, as a distribution of its own."""
        self.module(module, source)
        self.distribution(distribution or f"dist-{module}", f"[devstream.tools]\n{name} = {module}\n")

    def local(self, source: str) -> None:
        (self.folder / "devstream_plugins.py").write_text(dedent(source))

    def manager(self, *arguments: str, environ: Mapping[str, str] | None = None) -> PluginManager:
        return PluginManager(
            folder=self.folder,
            arguments=arguments,
            environ=environ or {},
            search_path=[str(self.root)],
            report=self.reported.append,
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    root, folder = tmp_path / "site", tmp_path / "config"
    root.mkdir()
    folder.mkdir()
    monkeypatch.syspath_prepend(root)
    before = set(sys.modules)
    yield Site(root, folder)
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
