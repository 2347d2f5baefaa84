"""The one place that speaks to pluggy: registering plugins, checking them, and calling their hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

from devstream.errors import PluginError, nearest
from devstream.hookspecs import PROJECT, TOOL_HOOKS, ExtensionSpecs, ToolSpecs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import FunctionType

    from pluggy import HookimplOpts

__all__ = ["Facade", "Plugin", "Relay"]

_EXTENSION_HOOKS = ("devstream_register_backends", "devstream_register_secret_sources", "devstream_event")
_PROVIDER_HOOKS = (*TOOL_HOOKS, "devstream_tool_schema")
_HOOKS = (*_PROVIDER_HOOKS, *_EXTENSION_HOOKS)


class Facade:
    """What is registered in place of a plugin: some of its hooks.

    A plugin that provides a tool may wrap the hooks of all tools as well. The two have to be registered apart,
    since pluggy leaves out whole plugins: leaving out a provider must not leave out its wrappers. It also makes
    anything registrable: plugins that do not hash, or that are equal to one another.
    """

    def __init__(self, plugin: object, hooks: Mapping[str, HookimplOpts]) -> None:
        for attribute in hooks:
            setattr(self, attribute, getattr(plugin, attribute))
        self.facade_hooks = hooks

    def facade_implements(self, hook: str) -> bool:
        """Tell whether one of its hooks implements ``hook``."""
        return any(_hook_name(name, options) == hook for name, options in self.facade_hooks.items())


class Plugin:
    """A registered plugin: ``provider`` has the hooks of its own tools, ``extension`` everything else."""

    def __init__(self, name: str, provider: Facade, extension: Facade) -> None:
        self.name = name
        self.provider = provider
        self.extension = extension

    def check_provider(self) -> None:
        """Make sure that it can provide a tool.

        Raises:
            PluginError: it does not implement `create`.
        """
        if not self.provider.facade_implements("create"):
            message = f"{self.name} does not implement create, which every tool needs"
            raise PluginError(message, suggestion="mark the function with @hookimpl from devstream.api")

    def check_no_provider(self) -> None:
        """Make sure that it has no hooks of a tool of its own: they would never be called.

        Raises:
            PluginError: it has some.
        """
        hooks = [_hook_name(name, options) for name, options in self.provider.facade_hooks.items()]
        if hooks:
            message = f"{self.name} implements {', '.join(sorted(hooks))} but provides no tool"
            hint = 'put it into a class marked @tool("NAME"), or mark it @hookimpl(wrapper=True) to see every tool'
            raise PluginError(message, suggestion=hint)


class _Pluggy(pluggy.PluginManager):
    """pluggy, reading the markers that a facade carries over."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> HookimplOpts | None:
        if isinstance(plugin, Facade):
            return plugin.facade_hooks.get(name)
        return super().parse_hookimpl_opts(plugin, name)


class Relay:
    """Registers plugins and gives callers for their hooks.

    Attributes:
        generation: grows with each plugin. A caller knows the plugins of its own generation only: pluggy's
            callers for a part of the plugins list those to leave out, so that one that comes later would be
            asked too.
    """

    def __init__(self) -> None:
        self._pluggy = _Pluggy(PROJECT)
        self._pluggy.add_hookspecs(ToolSpecs)
        self._pluggy.add_hookspecs(ExtensionSpecs)
        self._plugins: list[Plugin] = []
        self._extension_callers: dict[str, Sequence[tuple[Plugin, Callable[..., Any]]]] = {}
        self.generation = 0

    def register(self, plugin: object, name: str) -> Plugin:
        """Register a plugin object (a module or an instance) and check it at once.

        Args:
            plugin: has methods or functions marked with ``@hookimpl``.
            name: what to call it in messages.

        Raises:
            PluginError: it names hooks or arguments that do not exist.
        """
        options = self._hook_options(plugin)
        _refuse_near_misses(plugin, name, options)
        own = {attribute: opts for attribute, opts in options.items() if _is_own(attribute, opts)}
        rest = {attribute: opts for attribute, opts in options.items() if attribute not in own}
        registered = Plugin(name, Facade(plugin, own), Facade(plugin, rest))
        self._add(registered)
        return registered

    def _hook_options(self, plugin: object) -> dict[str, HookimplOpts]:
        found = ((name, self._pluggy.parse_hookimpl_opts(plugin, name)) for name in dir(plugin))
        return {name: options for name, options in found if options is not None}

    def _add(self, plugin: Plugin) -> None:
        key = f"{len(self._plugins)}:{plugin.name}"
        try:
            self._pluggy.register(plugin.provider, f"{key} (tool)")
            self._pluggy.register(plugin.extension, key)
            self._pluggy.check_pending()
        except pluggy.PluginValidationError as error:
            for facade in (plugin.provider, plugin.extension):
                if self._pluggy.is_registered(facade):
                    self._pluggy.unregister(facade)
            raise _invalid(plugin, error) from error
        self._plugins.append(plugin)
        self._extension_callers = {}
        self.generation += 1

    def caller(self, hook: str, plugin: Plugin) -> Callable[..., Any]:
        """Give a caller that asks this plugin as the provider, with the wrappers of all plugins around it."""
        others = [other.provider for other in self._plugins if other is not plugin]
        return self._pluggy.subset_hook_caller(hook, others)

    def callers(self, hook: str) -> Sequence[tuple[Plugin, Callable[..., Any]]]:
        """Give a caller for each plugin that implements an extension hook, so that each can fail by itself."""
        found = self._extension_callers.get(hook)
        if found is None:
            found = self._extension_callers[hook] = tuple(self._separate_callers(hook))
        return found

    def _separate_callers(self, hook: str) -> Iterator[tuple[Plugin, Callable[..., Any]]]:
        for plugin in self._plugins:
            if plugin.extension.facade_implements(hook):
                others = [other.extension for other in self._plugins if other is not plugin]
                yield plugin, self._pluggy.subset_hook_caller(hook, others)


def _hook_name(attribute: str, options: HookimplOpts) -> str:
    return options.get("specname") or attribute


def _is_wrapper(options: HookimplOpts) -> bool:
    return bool(options.get("wrapper") or options.get("hookwrapper"))


def _is_own(attribute: str, options: HookimplOpts) -> bool:
    return _hook_name(attribute, options) in _PROVIDER_HOOKS and not _is_wrapper(options)


def _invalid(plugin: Plugin, error: pluggy.PluginValidationError) -> PluginError:
    unknown = [
        hook
        for facade in (plugin.provider, plugin.extension)
        for attribute, options in facade.facade_hooks.items()
        if (hook := _hook_name(attribute, options)) not in _HOOKS and not options.get("optionalhook")
    ]
    if unknown:
        message = f'{plugin.name} implements the hook "{unknown[0]}", which does not exist'
        return PluginError(message, code="unknown-hook", suggestion=nearest(unknown[0], _HOOKS))
    wrong = next(_wrong_arguments(plugin), None)
    if wrong:
        hook, argument, valid = wrong
        message = (
            f'{plugin.name} implements {hook} with an argument "{argument}", which the hook does not have'
        )
        hint = nearest(argument, valid) or f"it has: {', '.join(valid)}"
        return PluginError(message, code="bad-hook", suggestion=hint)
    lines = str(error).splitlines()
    return PluginError(
        f"{plugin.name} does not fit the hooks: {' '.join(lines[1:] or lines)}", code="bad-hook"
    )


def _wrong_arguments(plugin: Plugin) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each argument of an implementation that its hook does not have, with the hook and what it has."""
    from inspect import signature

    for facade in (plugin.provider, plugin.extension):
        for attribute, options in facade.facade_hooks.items():
            hook = _hook_name(attribute, options)
            specification = getattr(ToolSpecs, hook, None) or getattr(ExtensionSpecs, hook, None)
            if specification is None:
                continue
            valid = [name for name in signature(specification).parameters if name != "self"]
            for argument in signature(getattr(facade, attribute)).parameters:
                if argument not in valid:
                    yield hook, argument, valid


def _refuse_near_misses(plugin: object, name: str, options: Mapping[str, HookimplOpts]) -> None:
    """A hook that is misspelt or lacks its marker would silently never be called."""
    present = {_hook_name(attribute, opts) for attribute, opts in options.items()}
    missing = [hook for hook in _HOOKS if hook not in present]
    for attribute, function in _own_functions(plugin):
        if attribute in options or attribute.startswith("_"):
            continue
        meant = next((hook for hook in missing if _one_edit_apart(attribute, hook)), None)
        if meant:
            code = function.__code__
            fix = (
                "mark it with @hookimpl."
                if meant == attribute
                else f'did you mean "{meant}", with @hookimpl?'
            )
            raise PluginError(
                f"{name} has a function {attribute} that looks like the hook {meant} but is none",
                code="near-miss",
                detail=f"{code.co_filename}:{code.co_firstlineno}",
                suggestion=f"{fix} If it is meant as it is, let its name begin with an underscore",
            )


def _own_functions(plugin: object) -> Iterator[tuple[str, FunctionType]]:
    """Yield the functions a module defines, or the methods of an object's classes."""
    from types import FunctionType, ModuleType

    spaces: Iterable[Mapping[str, object]] = (
        [vars(plugin)] if isinstance(plugin, ModuleType) else [vars(base) for base in type(plugin).__mro__]
    )
    for space in spaces:
        for name, item in space.items():
            if isinstance(item, FunctionType) and _is_home(item, plugin):
                yield name, item


def _is_home(function: FunctionType, plugin: object) -> bool:
    from types import ModuleType

    return not isinstance(plugin, ModuleType) or function.__module__ == plugin.__name__


def _one_edit_apart(word: str, hook: str) -> bool:
    """Tell whether one edit at most (insert, delete, change, swap of neighbours) makes one of the other."""
    if abs(len(word) - len(hook)) > 1:
        return False
    start = 0
    while start < min(len(word), len(hook)) and word[start] == hook[start]:
        start += 1
    a, b = word[start:], hook[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[:2][::-1] and a[2:] == b[2:])
