"""`Config`: everything the files say, checked and rendered, before apps become tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from devstream.config.files import ConfigFiles
    from devstream.config.merge import Sections
    from devstream.config.source import LooseReference
    from devstream.config.variables import Variables
    from devstream.errors import Diagnostic
    from devstream.model.app import App, PipelineTemplate
    from devstream.model.tool import Settings, ToolInstance

__all__ = ["Config"]


class Config(Immutable, frozen=True):
    """A configuration, read and checked.

    Attributes:
        settings: the ``config`` section with its defaults.
        tools: the instances that ``tools`` lists.
        apps: what ``apps`` lists; `devstream.config.expand.expand` makes tools of them.
        pipeline_templates: by name.
        variables: the global variables, for what is rendered only when apps are expanded.
        warnings: what the user should know, in file order.
        found: which files were read.
        names: display names of all files that were read, in order.
        sections: the tree as written.
        loose: text that looks like a reference; whether it is one depends on the names of all tools.
        env: gives a variable of the environment.
        offline: what is not set is no error, only not known.
        is_whole: False where tools or apps had to be left out, since something is wrong with them.
    """

    settings: Settings
    tools: tuple[ToolInstance, ...]
    apps: tuple[App, ...]
    pipeline_templates: Mapping[str, PipelineTemplate]
    variables: Variables
    warnings: tuple[Diagnostic, ...]
    found: ConfigFiles
    names: tuple[str, ...]
    sections: Sections
    loose: tuple[LooseReference, ...]
    env: Callable[[str], str | None]
    offline: bool
    is_whole: bool = True

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the configuration, absolute, in the order they were read."""
        return self.found.files

    @property
    def rendered(self) -> dict[str, Any]:
        """The configuration as plain data for people: variables filled in, secrets as ``(secret)``."""
        from devstream.config.show import rendered

        return rendered(self)
