"""Entry points are found by reading dist-info folders; importlib.metadata is for what that does not see."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from devstream.plugins.discovery import EXTENSIONS, TOOLS, EntryPoint, scan, scan_thoroughly, summary_of

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Site

FILES = {
    "plain": ("[devstream.tools]\na = pkg.mod\n", [(TOOLS, "a", "pkg.mod")]),
    "object": ("[devstream.tools]\na = pkg.mod:Thing.inner\n", [(TOOLS, "a", "pkg.mod:Thing.inner")]),
    "extras": ("[devstream.tools]\na = pkg.mod:T [fast]\n", [(TOOLS, "a", "pkg.mod:T")]),
    "spaces": ("[ devstream.tools ]\n  a=pkg.mod : T\n", []),
    "spaces in lines": ("[devstream.tools]\n\ta  =  pkg.mod : T  \n", [(TOOLS, "a", "pkg.mod:T")]),
    "comments": (
        "# [x]\n[devstream.tools]\n; c = d\n#e = f\n\na = pkg\n[other]\nb = c\n",
        [(TOOLS, "a", "pkg")],
    ),
    "both groups": (
        "[devstream.extensions]\nbackend.s3 = s\n[devstream.tools]\na = m\n",
        [(EXTENSIONS, "backend.s3", "s"), (TOOLS, "a", "m")],
    ),
    "crlf": ("[devstream.tools]\r\na = m\r\n", [(TOOLS, "a", "m")]),
    "not ours": ("[console_scripts]\na = m:main\n", []),
    "another group of ours": ("[devstream.other]\na = m\n", []),
    "empty": ("", []),
    "no value": ("[devstream.tools]\nnonsense\n", []),
}


@pytest.mark.parametrize(("text", "expected"), FILES.values(), ids=FILES)
def test_entry_points_file(site: Site, text: str, expected: list[tuple[str, str, str]]) -> None:
    info = site.distribution("my-dist", "")
    (info / "entry_points.txt").write_text(text, newline="")
    found = scan([str(site.root)])
    assert [point[:3] for point in found] == expected
    assert all((point.distribution, point.version) == ("my-dist", "1.0") for point in found)


def test_bytes_that_are_no_text_do_not_stop_the_scan(site: Site) -> None:
    info = site.distribution("odd", "")
    (info / "entry_points.txt").write_bytes(b"[devstream.tools]\na\xff = m\nb = n\n")
    assert [point.name for point in scan([str(site.root)])][1:] == ["b"]


def test_the_first_place_of_a_distribution_counts(tmp_path: Path) -> None:
    for folder, version, name in (("one", "2.0", "new"), ("two", "1.0", "old")):
        info = tmp_path / folder / f"my_dist-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_text(f"[devstream.tools]\n{name} = m\n")
    path = [str(tmp_path / "one"), str(tmp_path / "two"), str(tmp_path / "one")]
    assert [(point.name, point.version) for point in scan(path)] == [("new", "2.0")]


def test_egg_info_counts_too(tmp_path: Path) -> None:
    info = tmp_path / "old_style-0.3-py3.11.egg-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[devstream.tools]\na = m\n")
    assert scan([str(tmp_path)]) == (EntryPoint(TOOLS, "a", "m", "old-style", "0.3", str(info)),)


def test_bad_entries_of_the_path_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "no-points-1.0.dist-info").mkdir()
    assert scan([str(tmp_path / "nowhere"), str(tmp_path / "file"), str(tmp_path)]) == ()


def test_both_ways_find_the_same(site: Site) -> None:
    site.distribution(
        "devstream-plugin-x", "[devstream.tools]\na = m:T [extra]\n[console_scripts]\nx = y:z\n"
    )
    quick, thorough = scan([str(site.root)]), scan_thoroughly([str(site.root)])
    assert [point._replace(place="") for point in quick] == list(thorough)


def test_only_the_thorough_way_looks_into_zip_files(tmp_path: Path) -> None:
    archive = tmp_path / "plugins.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped-1.0.dist-info/METADATA", "Name: zipped\nVersion: 1.0\n")
        file.writestr("zipped-1.0.dist-info/entry_points.txt", "[devstream.tools]\na = m\n")
    assert scan([str(archive)]) == ()
    assert [point.name for point in scan_thoroughly([str(archive)])] == ["a"]


def test_summary(site: Site) -> None:
    site.distribution("my-dist", "[devstream.tools]\na = m\n")
    (point,) = scan([str(site.root)])
    assert summary_of(point) == "All about my-dist."
    assert summary_of(point._replace(place="/nowhere")) == ""


def test_the_usual_way_imports_neither_metadata_nor_what_formats_output() -> None:
    code = """
import sys
from devstream.plugins.manager import PluginManager
manager = PluginManager(folder=None, environ={})
manager.load(["noop", "file", "command"])
manager.secret_source("env")
heavy = {"importlib.metadata", "jinja2", "httpx", "rich", "tabulate", "subprocess", "logging", "email", "tempfile"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
