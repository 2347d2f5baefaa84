"""``file``: keeps a file, its content and its mode."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from msgspec import Meta, Struct, field

from devstream.api import (
    Context,
    OperationError,
    ResourceStatus,
    Secret,
    Tool,
    ToolSchema,
    ToolState,
    Traits,
    hookimpl,
    option,
    tool,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FileTool", "FileOptions"]


class FileOptions(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """The options of ``file``."""

    path: Annotated[
        str, Meta(min_length=1), option("The file, relative to the config's folder.", immutable=True)
    ]
    content: Annotated[Secret | None, option("What is in it; this or `template`.")] = None
    template: Annotated[
        str | None, option("A Jinja2 template, relative to the config's folder; this or `content`.")
    ] = None
    input: Annotated[dict[str, Any], option("The variables of the template, by name.")] = field(
        default_factory=dict
    )
    mode: Annotated[
        str, Meta(pattern=r"^0?[0-7]{3,4}$"), option('Its permissions, octal and in quotes: "0644".')
    ] = "0644"

    def __post_init__(self) -> None:
        """Ask for exactly one of the two ways to say what is in it."""
        if (self.content is None) == (self.template is None):
            message = "give either content or template" + (", not both" if self.template is not None else "")
            raise ValueError(message)


def _traits(_: object) -> Traits:
    return Traits(repeatable=True)


@tool("file")
class FileTool:
    """Keeps a file, its content and its mode."""

    @hookimpl
    def devstream_tool_schema(self) -> ToolSchema:
        """Describe the options."""
        return ToolSchema(
            FileOptions,
            doc="Keeps a file, its content and its mode.",
            adopts=True,
            traits=_traits,
            example={"path": "notes/hello.txt", "content": "Hello, world"},
        )

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        """Write the file in one step; where a link leads to it, the link stays."""
        options: FileOptions = tool.options
        wanted = _wanted(options, context.folder)
        target = _target(options.path, context.folder)
        mode = int(options.mode, 8)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, wanted.data, mode)
        except OSError as error:
            raise _failed(options.path, "written", error) from error
        return _status(options.path, wanted, wanted.data, mode)

    @hookimpl
    def read(self, tool: Tool, context: Context) -> ResourceStatus | None:
        """Say what is in the file now."""
        options: FileOptions = tool.options
        target = _target(options.path, context.folder)
        try:
            with target.open("rb") as file:
                data, mode = file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(options.path, "read", error) from error
        return _status(options.path, _wanted(options, context.folder), data, mode)

    @hookimpl
    def update(self, tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:  # noqa: ARG002
        """Write it again."""
        return self.create(tool, context)

    @hookimpl
    def delete(self, tool: Tool, context: Context) -> None:
        """Remove the file; the folders above it stay."""
        options: FileOptions = tool.options
        try:
            _target(options.path, context.folder).unlink(missing_ok=True)
        except OSError as error:
            raise _failed(options.path, "removed", error) from error


class _Wanted(NamedTuple):
    """What the file should hold; ``by_comparison`` where its digest says too much or too little.

    The digest of a secret could be guessed from, and the digest of what was once rendered does not change with its
    template. What is recorded then is only whether the file is as it should be.
    """

    data: bytes
    by_comparison: bool


def _wanted(options: FileOptions, folder: Path) -> _Wanted:
    if options.content is not None:
        return _Wanted(options.content.reveal().encode(), not options.content.is_plain)
    template = options.template or ""
    try:
        source = (folder / template).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _failed(template, "read", error) from error
    return _Wanted(_rendered(source, template, _revealed(options.input)).encode(), by_comparison=True)


def _rendered(source: str, name: str, variables: dict[str, Any]) -> str:
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    try:
        return environment.from_string(source).render(variables)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        place = f"{name}:{line}" if line else name
        message = f"the template {place} cannot be rendered: {error.message}"
        raise OperationError(message) from error
    except Exception as error:
        message = f"the template {name} cannot be rendered: {type(error).__name__}: {error}"
        raise OperationError(message) from error


def _revealed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _revealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_revealed(item) for item in value]
    return value.reveal() if isinstance(value, Secret) else value


def _target(path: str, folder: Path) -> Path:
    """Find what a path leads to, and make sure that it is a file or nothing."""
    try:
        target = (folder / path).resolve()
        kind = stat.S_IFMT(target.stat().st_mode)
    except FileNotFoundError:
        return target
    except (OSError, RuntimeError, ValueError) as error:
        raise _failed(path, "reached", error) from error
    if kind != stat.S_IFREG:
        what = "a folder" if kind == stat.S_IFDIR else "no regular file"
        message = f"{path} is {what}; it is left alone"
        raise OperationError(message, suggestion="choose another path, or remove what is there")
    return target


def _replace(target: Path, data: bytes, mode: int) -> None:
    """Write beside the target, then put it in its place: nobody ever sees half of it."""
    temporary = target.with_name(f".devstream-{os.urandom(6).hex()}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _status(path: str, wanted: _Wanted, data: bytes, mode: int) -> ResourceStatus:
    properties: dict[str, Any] = {"path": path, "mode": f"{mode:04o}"}
    if wanted.by_comparison:
        properties["content"] = "as configured" if data == wanted.data else "different"
    else:
        properties["sha256"] = sha256(data).hexdigest()
    return ResourceStatus(properties=properties, outputs={"path": path})


def _failed(path: str, verb: str, error: Exception) -> OperationError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return OperationError(f"{path} cannot be {verb}: {reason}")
