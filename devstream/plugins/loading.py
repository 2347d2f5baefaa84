"""Importing plugins, and saying in one sentence why one of them does not import."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from devstream.errors import Diagnostic, Mark, PluginError
from devstream.plugins.declare import declared_names
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import ModuleType

__all__ = [
    "PluginErrors",
    "import_object",
    "import_file",
    "declared_tools",
    "provider_in",
    "instantiate",
    "raise_all",
    "with_mark",
]


class PluginErrors(PluginError):
    """Several plugins have something wrong with them; it carries all of it."""

    def __init__(self, errors: Sequence[PluginError]) -> None:
        first = errors[0].diagnostic
        super().__init__(first.summary, code=first.code, mark=first.mark)
        self._all = tuple(diagnostic for error in errors for diagnostic in error.diagnostics)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything that is wrong, in the order it was met."""
        return self._all


def raise_all(errors: Sequence[PluginError]) -> None:
    """Raise what was collected: nothing, the one error, or all of them as one."""
    if errors:
        raise errors[0] if len(errors) == 1 else PluginErrors(errors)


def with_mark(error: PluginError, mark: Mark | None) -> PluginError:
    """Add the place where the plugin was asked for, unless the error names a place of its own."""
    if mark is not None and error.diagnostic.mark is None:
        error.diagnostic = replace(error.diagnostic, mark=mark)
    return error


def import_object(value: str, what: str) -> object:
    """Import ``package.module`` or ``package.module:OBJECT``.

    Args:
        value: what an entry point names.
        what: the plugin and its distribution, for the message.

    Raises:
        PluginError: the import fails, or the module has no such object. It names the cause, without a traceback.
    """
    name, _, attributes = value.partition(":")
    try:
        found: object = _import(name)
        for attribute in attributes.split(".") if attributes else ():
            found = getattr(found, attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _does_not_load(what, error) from error
    return found


def _import(name: str) -> ModuleType:
    __import__(name)
    return sys.modules[name]


def import_file(path: Path, what: str) -> ModuleType:
    """Import one Python file by its path, as a module of a name of its own.

    Nothing is cached beside the file: an edit within the same second counts, and a config's folder stays clean.

    Raises:
        PluginError: it cannot be read or does not run; the error has the file and line.
    """
    from types import ModuleType
    from zlib import crc32

    # Unique by path: annotations of its classes are looked up by this name later.
    name = f"{path.stem}_{crc32(str(path).encode()):08x}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - running the user's own plugin file is the purpose
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        raise _does_not_load(what, error, _line_in(path, error)) from error
    return module


def _does_not_load(what: str, error: BaseException, mark: Mark | None = None) -> PluginError:
    hint = ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"install what provides the module {error.name} into the same environment"
    return PluginError(
        f"{what} does not load: {type(error).__name__}: {error}",
        code="plugin-does-not-load",
        mark=mark,
        suggestion=hint,
    )


def _line_in(path: Path, error: BaseException) -> Mark | None:
    """Find the innermost line of the file that took part in the error."""
    if isinstance(error, SyntaxError):
        return Mark(str(path), error.lineno or 1, error.offset or 1)
    line = 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return Mark(str(path), line, 1) if line else None


def declared_tools(module: ModuleType) -> Iterator[tuple[tuple[str, ...], type]]:
    """Yield the ``@tool`` classes that a module (or its package) defines, with their names."""
    seen: set[type] = set()
    for item in list(vars(module).values()):
        names = declared_names(item)
        if isinstance(item, type) and names and item not in seen and _belongs(item, module.__name__):
            seen.add(item)
            yield names, item


def _belongs(item: type, module: str) -> bool:
    """Tell a module's own classes from those it imports from elsewhere, to extend them for example."""
    return item.__module__ == module or item.__module__.startswith(f"{module}.")


def provider_in(found: object, name: str) -> object:
    """Give the ``@tool`` class of that name where a module was imported; anything else is the provider itself."""
    from types import ModuleType

    return (_declared_in(found, name) or found) if isinstance(found, ModuleType) else found


def instantiate(declared: type, what: str) -> object:
    """Make the plugin object of a class.

    Raises:
        PluginError: it cannot be made without arguments.
    """
    try:
        return declared()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _does_not_load(f"{what} ({declared.__qualname__}())", error) from error


def _declared_in(module: ModuleType, name: str) -> type | None:
    return next((declared for names, declared in declared_tools(module) if name in names), None)
