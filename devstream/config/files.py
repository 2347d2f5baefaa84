"""Which files make up the configuration: the default names, one file, or a folder of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from devstream.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEFAULT_NAMES", "ConfigFiles", "find_config", "display_name"]

DEFAULT_NAMES = ("devstream.yaml", "devstream.yml", "devstream.d", "config.yaml")
"""What is looked for in the current folder, in this order, where no path is given."""

MOST_NAMES = 5
SUFFIXES = (".yaml", ".yml")
SKIPPED_FOLDERS = (".state.d", ".git")


class ConfigFiles(NamedTuple):
    """The files of a configuration.

    Attributes:
        folder: absolute folder that relative paths in the configuration are relative to.
        files: absolute paths, in the order they are read.
        is_folder: True where every YAML file of ``folder`` is read.
    """

    folder: Path
    files: tuple[Path, ...]
    is_folder: bool = False

    def would_read(self, path: str) -> bool:
        """Tell whether a file at ``path`` (relative to the folder) would be read as configuration."""
        target = Path(os.path.normpath(self.folder / path))
        if not self.is_folder:
            return target in self.files
        if not target.is_relative_to(self.folder):
            return False
        *folders, name = target.relative_to(self.folder).parts or ("",)
        return _is_config_name(name) and not any(_is_skipped(folder) for folder in folders)


def find_config(path: Path | None, cwd: Path) -> ConfigFiles:
    """Find the files of a configuration.

    Args:
        path: a file or a folder; None looks for `DEFAULT_NAMES` in ``cwd``.
        cwd: the current folder, absolute.

    Raises:
        ConfigError: there is no such file or folder, it cannot be listed, or it holds no YAML file.
    """
    found = Path(os.path.normpath(cwd / path)) if path is not None else _default(cwd)
    if not found.exists():
        raise ConfigError(f"there is no {_shown(found, cwd)}", code="no-config", suggestion=_similar(found))
    if not found.is_dir():
        return ConfigFiles(found.parent, (found,))
    files = tuple(_yaml_files(found, cwd))
    if not files:
        raise ConfigError(
            f"the folder {_shown(found, cwd)} holds no *.yaml or *.yml file",
            code="no-config",
            suggestion="names that begin with a dot, *.state.d and *.git are not looked into",
        )
    return ConfigFiles(found, files, is_folder=True)


def display_name(path: Path, cwd: Path) -> str:
    """Give the name of a file for messages: relative to the current folder where that is shorter."""
    relative = os.path.relpath(path, cwd)
    return relative if len(relative) < len(str(path)) else str(path)


def _default(cwd: Path) -> Path:
    for name in DEFAULT_NAMES:
        if os.path.lexists(cwd / name):
            return cwd / name
    raise ConfigError(
        f"there is no configuration here: looked for {', '.join(DEFAULT_NAMES)}",
        code="no-config",
        suggestion=_names_here(cwd) or "name one with -f FILE",
    )


def _names_here(cwd: Path) -> str:
    """Propose the YAML files of a folder; where there are many, nobody can tell which is meant."""
    try:
        names = sorted(item.name for item in os.scandir(cwd) if _is_config_name(item.name) and item.is_file())
    except OSError:
        return ""
    if not 0 < len(names) <= MOST_NAMES:
        return ""
    return f"name one with -f: {', '.join(names)}" + ("; or all of them: -f ." if len(names) > 1 else "")


def _shown(path: Path, cwd: Path) -> str:
    return display_name(path, cwd)


def _similar(path: Path) -> str:
    if path.is_symlink():
        return "it is a symbolic link that leads nowhere"
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    return nearest(path.name, names)


def _yaml_files(folder: Path, cwd: Path) -> Iterator[Path]:
    """Yield the YAML files under a folder in sorted order; links to folders are not followed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        message = f"cannot list the folder {_shown(folder, cwd)}: {error.strerror}"
        raise ConfigError(message, code="unreadable") from error
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if not _is_skipped(entry.name):
                yield from _yaml_files(folder / entry.name, cwd)
        elif _is_config_name(entry.name) and not entry.is_dir():
            yield folder / entry.name


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name.endswith(SKIPPED_FOLDERS)


def _is_config_name(name: str) -> bool:
    return name.endswith(SUFFIXES) and not name.startswith(".")
