"""Which files make up a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstream.config.files import DEFAULT_NAMES, display_name, find_config
from devstream.errors import ConfigError


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("tools: []\n")


def found(folder: Path, path: str | None = None) -> list[str]:
    files = find_config(Path(path) if path else None, folder)
    return [str(file.relative_to(folder)) for file in files.files]


@pytest.mark.parametrize("first", range(4))
def test_default_names_are_tried_in_order(tmp_path: Path, first: int) -> None:
    for name in DEFAULT_NAMES[first:]:
        write(tmp_path, f"{name}/a.yaml" if name.endswith(".d") else name)
    wanted = DEFAULT_NAMES[first]
    assert found(tmp_path) == [f"{wanted}/a.yaml" if wanted.endswith(".d") else wanted]


def test_the_folder_of_a_file_is_where_it_lies(tmp_path: Path) -> None:
    write(tmp_path, "sub/config.yaml")
    files = find_config(Path("sub/../sub/config.yaml"), tmp_path)
    assert (files.folder, files.is_folder) == (tmp_path / "sub", False)


def test_a_folder_is_read_recursively_in_sorted_order(tmp_path: Path) -> None:
    names = ["b.yaml", "a.yml", "B.yaml", "a/z.yaml", "a.b/c.yaml", "10.yaml", "9.yaml", "a/b/c.yml"]
    write(tmp_path, *names)
    assert found(tmp_path, ".") == [
        "10.yaml",
        "9.yaml",
        "B.yaml",
        "a/b/c.yml",
        "a/z.yaml",
        "a.b/c.yaml",
        "a.yml",
        "b.yaml",
    ]


@pytest.mark.parametrize(
    "skipped",
    [
        ".hidden.yaml",
        ".folder/a.yaml",
        "devstream.state.d/a.yaml",
        "repos/acme/web.git/a.yaml",
        "a.yaml.bak",
        "a.json",
        "a.YAML",
        "deep/.x/deep/a.yaml",
    ],
)
def test_what_a_folder_leaves_out(tmp_path: Path, skipped: str) -> None:
    write(tmp_path, "kept.yaml", skipped)
    assert found(tmp_path, ".") == ["kept.yaml"]
    assert not find_config(Path(), tmp_path).would_read(skipped)


def test_links_to_files_are_read_and_links_to_folders_are_not(tmp_path: Path) -> None:
    write(tmp_path, "conf/a.yaml", "elsewhere/b.yaml")
    (tmp_path / "conf/link.yaml").symlink_to("../elsewhere/b.yaml")
    (tmp_path / "conf/folder").symlink_to("../elsewhere")
    (tmp_path / "conf/loop").symlink_to(".")
    (tmp_path / "conf/folder.yaml").symlink_to("../elsewhere")
    assert found(tmp_path, "conf") == ["conf/a.yaml", "conf/link.yaml"]


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    write(tmp_path, "conf/a.yaml")
    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(ConfigError, match="cannot list the folder conf: Permission denied"):
        find_config(Path("conf"), tmp_path)


@pytest.mark.parametrize(
    ("path", "is_read"),
    [
        ("a.yaml", True),
        ("new/b.yml", True),
        ("../conf/c.yaml", True),
        ("x/../d.yaml", True),
        (".x/d.yaml", False),
        ("a.txt", False),
        ("../other.yaml", False),
        (".", False),
        ("/etc/a.yaml", False),
    ],
)
def test_what_would_be_read_of_a_folder(tmp_path: Path, path: str, is_read: bool) -> None:
    write(tmp_path, "conf/a.yaml")
    assert find_config(Path("conf"), tmp_path).would_read(path) is is_read


def test_what_would_be_read_of_a_file(tmp_path: Path) -> None:
    write(tmp_path, "config.yaml")
    files = find_config(None, tmp_path)
    assert files.would_read("config.yaml")
    assert files.would_read("./x/../config.yaml")
    assert not files.would_read("other.yaml")


def test_names_for_messages_are_the_shorter_ones(tmp_path: Path) -> None:
    assert display_name(tmp_path / "a/b.yaml", tmp_path) == "a/b.yaml"
    assert display_name(Path("/x.yaml"), tmp_path / "a/b/c/d") == "/x.yaml"


def test_the_folder_above_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no nowhere/config\.yaml"):
        find_config(Path("nowhere/config.yaml"), tmp_path)
