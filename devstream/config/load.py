"""`load_config`: files are found, read, merged, rendered and checked, and become a `Config`."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from devstream.collector import collector_paused
from devstream.config.check import Problems, in_file_order
from devstream.config.files import display_name, find_config
from devstream.config.merge import add_document, merge
from devstream.config.model import Config
from devstream.config.settings import read_settings
from devstream.config.source import parse, read_source
from devstream.config.tools import read_tools
from devstream.config.tree import mark_of
from devstream.config.variables import global_variables, variable_values
from devstream.errors import ConfigError, Mark
from devstream.record import Immutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from devstream.config.files import ConfigFiles
    from devstream.config.merge import Sections
    from devstream.config.source import LooseReference
    from devstream.config.tree import Map, Source
    from devstream.config.variables import Variables
    from devstream.errors import Diagnostic
    from devstream.model.app import App, PipelineTemplate

__all__ = ["BrokenConfig", "ConfigInputs", "load_config"]


class ConfigInputs(Immutable, frozen=True):
    """What a configuration is made from.

    Attributes:
        path: a file or folder; None looks for the default names in ``cwd``.
        cwd: the current folder, absolute.
        variables: values of ``--var`` as text; ``env:NAME`` makes a secret of the environment's NAME.
        var_files: YAML files of variables; a later one wins.
        env: the environment.
        offline: a variable that is not set is not known, with a warning; otherwise it is an error.
    """

    path: Path | None
    cwd: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    offline: bool = False


class BrokenConfig(ConfigError):
    """A configuration with mistakes, of which enough could be read to look for more.

    Attributes:
        config: what could be read; what is wrong in itself is left out, for it would only lead to more complaints.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], config: Config) -> None:
        super().__init__(diagnostics)
        self.config = config


def load_config(inputs: ConfigInputs) -> Config:
    """Read a configuration.

    Raises:
        BrokenConfig: some values are wrong; with every mistake that reading finds, in file order.
        ConfigError: the files themselves cannot be read.
    """
    with collector_paused():
        return _Loader(inputs).load()


class _Loader:
    """Reads one configuration, step by step; each step needs those before it."""

    def __init__(self, inputs: ConfigInputs) -> None:
        self._inputs = inputs
        self._problems = Problems(_getter(inputs.env), offline=inputs.offline)
        self._sources: list[Source] = []
        self._loose: list[LooseReference] = []
        self._is_incomplete = False

    def load(self) -> Config:
        """Read, merge and check every file; raises `ConfigError` with every mistake."""
        found = find_config(self._inputs.path, self._inputs.cwd)
        sections = merge(self._documents(found.files), self._problems)
        self._add_old_files(sections, found)
        self._check_content(sections)
        more = self._documents(self._inputs.cwd / path for path in self._inputs.var_files)
        if self._is_incomplete or sections.lacks_variables:
            self._raise_any()  # what would be found from here on may be no mistake at all
        variables = self._variables(sections, more)
        misplaced = bool(self._problems.errors)
        config = self._read(sections, found, variables)
        self._problems.errors += variables.scope.errors
        if self._problems.errors:
            errors = in_file_order(self._problems.errors, config.names)
            raise BrokenConfig(errors, _sound(config, errors, is_whole=not misplaced))
        return config

    def _documents(self, paths: Iterable[Path], named: Mark | None = None) -> list[Map]:
        """Read and parse files; what cannot be read is noted, and the others are read all the same.

        Args:
            named: where the configuration names them.
        """
        documents: list[Map] = []
        for path in paths:
            try:
                source = read_source(path, display_name(path, self._inputs.cwd))
                self._sources.append(source)
                parsed = parse(source)
            except ConfigError as error:
                self._problems.errors += (
                    replace(item, mark=item.mark or named) for item in error.diagnostics
                )
                self._is_incomplete = True
                continue
            documents += parsed.documents
            self._problems.warnings += parsed.warnings
            self._loose += parsed.loose
        return documents

    def _add_old_files(self, sections: Sections, found: ConfigFiles) -> None:
        """Read what ``config.varFile`` and ``config.toolFile`` of older versions name."""
        written: Mapping[str, object] = sections.config or {}
        for key in ("varFile", "toolFile"):
            name = written.get(key)
            path = found.folder / name if isinstance(name, str) and name else None
            if path is None or path in found.files:
                continue
            named = mark_of(sections.config, key) if sections.config else None
            for document in self._documents([path], named):
                if key == "varFile":
                    sections.add_variables(document, self._problems)
                else:
                    add_document(sections, document, self._problems)

    def _check_content(self, sections: Sections) -> None:
        """Note that nothing is configured: an empty file must not read as "remove everything"."""
        if sections.is_empty and not self._problems.errors:
            names = [source.name for source in self._sources]
            self._problems.error(
                "the configuration has no tools and no apps",
                "nothing-configured",
                Mark(names[0], 1, 1) if len(names) == 1 else None,
                detail="" if len(names) == 1 else f"it is made of {', '.join(names)}",
                suggestion="write tools: [] to say that there are none",
            )

    def _variables(self, sections: Sections, files: list[Map]) -> Variables:
        variables = global_variables(
            declared=sections.variables,
            files=files,
            given=self._inputs.variables,
            env=self._inputs.env,
            sources=self._sources,
            problems=self._problems,
        )
        variable_values(variables)
        return variables

    def _read(self, sections: Sections, found: ConfigFiles, variables: Variables) -> Config:
        problems = self._problems
        settings = read_settings(sections.config, found, variables, problems)
        tools = read_tools(sections.tools, variables, problems)
        apps, templates = self._read_apps(sections, variables)
        names = tuple(source.name for source in self._sources)
        return Config(
            settings,
            tools,
            apps,
            templates,
            variables,
            tuple(in_file_order([*problems.warnings, *variables.scope.warnings], names)),
            found,
            names,
            sections,
            tuple(self._loose),
            problems.env,
            problems.offline,
        )

    def _read_apps(
        self, sections: Sections, variables: Variables
    ) -> tuple[tuple[App, ...], dict[str, PipelineTemplate]]:
        """Read apps and pipeline templates; the code for that is loaded where there are any."""
        if not sections.apps and not sections.templates:
            return (), {}
        from devstream.config.apps import read_apps, read_templates

        apps = read_apps(sections.apps, variables, self._problems)
        return apps, read_templates(sections.templates, variables, self._problems)

    def _raise_any(self) -> None:
        self._problems.raise_any(source.name for source in self._sources)


def _sound(config: Config, errors: Iterable[Diagnostic], *, is_whole: bool) -> Config:
    """Leave out the apps that have mistakes: their tools would only repeat them.

    Args:
        is_whole: False where something is not even in its section.
    """
    sections = config.sections
    starts = sorted(_place(item.mark) for item in (*sections.tools, *sections.apps, *sections.templates))
    wrong = {starts[max(bisect_right(starts, _place(e.mark)) - 1, 0)] for e in errors if e.mark and starts}
    apps = tuple(app for app in config.apps if app.origin.mark and _place(app.origin.mark) not in wrong)
    read = (len(config.tools), len(apps), len(config.pipeline_templates))
    written = (len(sections.tools), len(sections.apps), len(sections.templates))
    return replace(config, apps=apps, is_whole=is_whole and read == written)


def _place(mark: Mark) -> tuple[str, int, int]:
    return mark.file, mark.line, mark.column


def _getter(env: Mapping[str, str]) -> Callable[[str], str | None]:
    return env.get
