"""`PluginManager`: the plugins of one invocation. It finds, imports and checks them, each when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from devstream import __version__
from devstream.errors import Diagnostic, Mark, PluginError, Severity, nearest
from devstream.plugins.catalogue import Candidate, Catalogue, Level
from devstream.plugins.declare import declared_names
from devstream.plugins.loading import (
    declared_tools,
    import_file,
    import_object,
    instantiate,
    provider_in,
    raise_all,
    with_mark,
)
from devstream.plugins.names import BUILTIN_BACKENDS, BUILTIN_SECRET_SOURCES
from devstream.plugins.registries import BackendRegistry, Registry, SecretSourceRegistry
from devstream.plugins.relay import Plugin, Relay
from devstream.plugins.tool_hooks import ToolHooks
from devstream.plugins.tool_plugin import ToolPlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from devstream.model.events import Event
    from devstream.plugins.listing import PluginListing
    from devstream.plugins.names import Builtin
    from devstream.plugins.registries import BackendFactory, SecretSourceFactory

__all__ = ["PluginManager", "LOCAL_FILE"]

LOCAL_FILE = "devstream_plugins.py"
"""Loaded from the config's folder, where there is one."""

T = TypeVar("T")


class _Kind(NamedTuple):
    """A kind of extension: the prefix of its entry points, its hook, and what is built in."""

    prefix: str
    hook: str
    builtin: Mapping[str, Builtin]


_BACKENDS = _Kind("backend", "devstream_register_backends", BUILTIN_BACKENDS)
_SECRETS = _Kind("secrets", "devstream_register_secret_sources", BUILTIN_SECRET_SOURCES)


class PluginManager:
    """Finds, imports and checks plugins, each when it is asked for. Used from one thread but for `emit`.

    Args:
        folder: the config's folder, where ``devstream_plugins.py`` may lie; None where there is no config.
        arguments: the values of ``-p``: a module's name, a path to a ``.py`` file, or ``no:NAME``.
        environ: the environment; DEVSTREAM_DISABLE_PLUGINS names plugins to block, separated by commas.
        search_path: where installed distributions are looked for; None means `sys.path`.
        observers: False: observers are not loaded.
        report: told about an observer that fails, once for each; by default it is logged.
    """

    def __init__(
        self,
        *,
        folder: Path | None,
        arguments: Sequence[str] = (),
        environ: Mapping[str, str],
        search_path: Sequence[str] | None = None,
        observers: bool = True,
        report: Callable[[Diagnostic], None] | None = None,
    ) -> None:
        disabled = environ.get("DEVSTREAM_DISABLE_PLUGINS", "").split(",")
        blocked = [argument.removeprefix("no:") for argument in arguments if argument.startswith("no:")]
        self._arguments = [argument for argument in arguments if not argument.startswith("no:")]
        self._folder = folder
        self._report = report or _log
        self._relay = Relay()
        self._catalogue = Catalogue(
            frozenset(name.strip() for name in (*disabled, *blocked)) - {""}, search_path
        )
        self._extensions: list[tuple[Level, Plugin]] = []
        # The imported object is kept beside its plugin: its id names it only as long as it lives.
        self._registered: dict[int, tuple[object, Plugin]] = {}
        self._instances: dict[type, object] = {}
        self._tools: dict[str, ToolPlugin] = {}
        self._failed_observers: set[str] = set()
        self._started = False
        self._not_started: PluginError | None = None
        self._observing = not observers

    def load(self, names: Iterable[str], marks: Mapping[str, Mark] | None = None) -> None:
        """Load the plugins of several tools, and the observers.

        Args:
            names: of tools.
            marks: where each was asked for, for messages.

        Raises:
            PluginError: some of them cannot be loaded; it names all of these.
        """
        self._start()
        errors: list[PluginError] = []
        for name in dict.fromkeys(names):
            try:
                self.tool(name, (marks or {}).get(name))
            except PluginError as error:
                errors.append(error)
        raise_all(sorted(errors, key=_place))

    def tool(self, name: str, mark: Mark | None = None) -> ToolPlugin:
        """Give the plugin of a tool; loads it the first time.

        Raises:
            PluginError: there is none (the nearest name and what to install are suggested), or it does not load.
        """
        found = self._tools.get(name)
        if found is None:
            try:
                self._start()
                found = self._tools[name] = self._load_tool(self._catalogue.tool(name, mark))
            except PluginError as error:
                with_mark(error, mark)
                raise
        return found

    def backend(self, name: str, mark: Mark | None = None) -> BackendFactory:
        """Give what makes a state backend; loads its plugin the first time.

        Args:
            mark: where it was asked for, for messages.

        Raises:
            PluginError: there is none, or its plugin does not load.
        """
        try:
            return self._extension(_BACKENDS, BackendRegistry, name)
        except PluginError as error:
            with_mark(error, mark)
            raise

    def secret_source(self, name: str) -> SecretSourceFactory:
        """Give what makes a secret source; loads its plugin the first time.

        Raises:
            PluginError: there is none, or its plugin does not load.
        """
        return self._extension(_SECRETS, SecretSourceRegistry, name)

    def add(self, *plugins: object) -> None:
        """Take plugins that are objects already, as ``-p`` would: for tests, and for programs that embed devstream.

        Args:
            plugins: classes marked ``@tool`` or instances of such, and objects with hooks of other kinds.

        Raises:
            PluginError: one of them does not fit the hooks.
        """
        for found in plugins:
            provider = found if isinstance(found, type) else type(found)
            names = declared_names(provider)
            place = f"{provider.__qualname__} in {provider.__module__}"
            for name in names:
                candidate = Candidate(name, Level.ARGUMENT, provider.__module__, "", place, found=found)
                self._catalogue.declare(candidate)
            if not names:
                plugin = self._plugin_of(found, place)
                plugin.check_no_provider()
                self._extensions.append((Level.ARGUMENT, plugin))

    def emit(self, event: Event) -> None:
        """Tell all observers what happens. One that fails is reported once, and never fatal."""
        for plugin, call in self._relay.callers("devstream_event"):
            try:
                call(event=event)
            except Exception as error:  # noqa: BLE001 - an observer must not be able to stop a run
                if plugin.name not in self._failed_observers:
                    self._failed_observers.add(plugin.name)
                    message = f"{plugin.name} failed as an observer: {type(error).__name__}: {error}"
                    self._report(Diagnostic(message, "observer-failed", severity=Severity.WARNING))

    def available(self) -> tuple[PluginListing, ...]:
        """List the plugins that could be used, without importing installed ones."""
        from devstream.plugins.listing import list_plugins

        self._start(observers=False)
        return list_plugins(self._catalogue)

    # loading

    def _start(self, *, observers: bool = True) -> None:
        """Load what is loaded in any case: ``-p``, the local file, observers."""
        if not self._started:
            self._started = True
            try:
                self._load_given()
            except PluginError as error:
                self._not_started = error
        if self._not_started is not None:
            raise self._not_started
        if observers and not self._observing:
            self._observing = True
            for candidate in self._catalogue.extensions():
                if candidate.name.startswith("observer."):
                    self._load_extension(candidate)

    def _load_given(self) -> None:
        for argument in self._arguments:
            self._load_argument(argument)
        self._load_local()

    def _load_argument(self, argument: str) -> None:
        from pathlib import Path
        from types import ModuleType

        if argument.endswith(".py"):
            path = Path(argument).absolute()
            self._take_module(import_file(path, f"plugin {argument} (-p)"), Level.ARGUMENT, argument)
            return
        module = import_object(argument, f'plugin "{argument}" (-p)')
        if not isinstance(module, ModuleType):
            message = f'-p takes the name of a module or the path of a .py file, and "{argument}" is neither'
            raise PluginError(message)
        self._take_module(module, Level.ARGUMENT, argument)

    def _load_local(self) -> None:
        path = self._folder / LOCAL_FILE if self._folder else None
        if path and not self._catalogue.is_blocked("devstream_plugins", LOCAL_FILE) and path.is_file():
            self._take_module(import_file(path, LOCAL_FILE), Level.LOCAL, LOCAL_FILE)

    def _take_module(self, module: ModuleType, level: Level, name: str) -> None:
        """Note the tools a module declares, and register its own hooks."""
        for names, declared in declared_tools(module):
            for tool in names:
                place = f"{declared.__qualname__} in {module.__file__ or name}"
                self._catalogue.declare(Candidate(tool, level, name, "", place, found=declared))
        plugin = self._plugin_of(module, name)
        plugin.check_no_provider()
        self._extensions.append((level, plugin))

    def _load_tool(self, candidate: Candidate) -> ToolPlugin:
        found = candidate.found or import_object(candidate.value, candidate.what)
        provider = self._object(provider_in(found, candidate.name), candidate.what)
        plugin = self._plugin_of(provider, candidate.what)
        plugin.check_provider()
        hooks = ToolHooks(self._relay, plugin)
        return ToolPlugin(candidate.name, candidate.distribution, candidate.version, hooks)

    def _object(self, found: object, what: str) -> object:
        """Instantiate a class once, whatever the number of its names."""
        if not isinstance(found, type):
            return found
        if found not in self._instances:
            self._instances[found] = instantiate(found, what)
        return self._instances[found]

    def _plugin_of(self, found: object, what: str) -> Plugin:
        """Register an object once: pluggy refuses one object under two names, and aliases are just that."""
        known = self._registered.get(id(found))
        if known is None:
            plugin = self._relay.register(found, what)
            known = self._registered[id(found)] = (found, plugin)
        return known[1]

    # extensions

    def _extension(self, kind: _Kind, registry_type: Callable[[], Registry[T]], name: str) -> T:
        """Ask level by level; on each one two that register the same name are an error."""
        self._start()
        for level in (Level.ARGUMENT, Level.LOCAL):
            registry = self._registry(kind, registry_type, [p for at, p in self._extensions if at is level])
            if name.casefold() in registry.names():
                return registry.get(name)
        point = f"{kind.prefix}.{name}"
        candidate = (
            self._catalogue.extension(point)
            or self._builtin(kind, name)
            or self._catalogue.extension(point, thorough=True)
        )
        if candidate is None:
            raise self._no_extension(kind, registry_type, name)
        return self._registry(kind, registry_type, [self._load_extension(candidate)]).get(name)

    def _registry(
        self, kind: _Kind, registry_type: Callable[[], Registry[T]], plugins: Sequence[Plugin]
    ) -> Registry[T]:
        registry = registry_type()
        for plugin, call in self._relay.callers(kind.hook):
            if plugin in plugins:
                registry.provider = plugin.name
                try:
                    call(registry=registry)
                except PluginError:
                    raise
                except (Exception, SystemExit) as error:
                    message = f"{plugin.name} fails in {kind.hook}: {type(error).__name__}: {error}"
                    raise PluginError(message, code="plugin-contract") from error
        return registry

    def _builtin(self, kind: _Kind, name: str) -> Candidate | None:
        builtin = kind.builtin.get(name.casefold())
        if builtin is None:
            return None
        place = f"built-in, {builtin.value}"
        return Candidate(name, Level.BUILTIN, "devstream", __version__, place, builtin.value)

    def _load_extension(self, candidate: Candidate) -> Plugin:
        found = self._object(import_object(candidate.value, candidate.what), candidate.what)
        return self._plugin_of(found, candidate.what)

    def _no_extension(self, kind: _Kind, registry_type: Callable[[], Registry[T]], name: str) -> PluginError:
        registered = self._registry(kind, registry_type, [plugin for _, plugin in self._extensions])
        prefix = f"{kind.prefix}."
        installed = [
            item.name.removeprefix(prefix) for item in self._catalogue.extensions() if prefix in item.name
        ]
        near = nearest(name, [*kind.builtin, *registered.names(), *installed])
        install = f"pip install devstream-plugin-{name}"
        return PluginError(
            f'there is no {registered.kind} "{name}"',
            code="plugin-missing",
            suggestion=f"{near} If not: {install}" if near else install,
        )


def _place(error: PluginError) -> tuple[str, int, int]:
    mark = error.diagnostic.mark
    return (mark.file, mark.line, mark.column) if mark else ("", 0, 0)


def _log(diagnostic: Diagnostic) -> None:
    from logging import getLogger

    getLogger("devstream.plugins").warning("%s", diagnostic)
