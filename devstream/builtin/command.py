"""``command``: runs the user's own commands to create, read, update, delete and integrate something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import DecodeError, Meta, Struct, json

from devstream.api import (
    OperationError,
    ResourceStatus,
    Secret,
    ToolSchema,
    Traits,
    hookimpl,
    option,
    tool,
)

if TYPE_CHECKING:
    from typing import TypeAlias

    from devstream.api import CompletedCommand, Context, Outputs, Tool, ToolState

__all__ = ["Command", "CommandOptions"]

_GONE = 3
"""The exit status by which `read` says that the thing is gone."""

_STDOUT_LIMIT = 1 << 20
_SHOWN_BYTES = 80
_SHOWN_LINES = 20

_Word: TypeAlias = Annotated[str, Meta(pattern=r"^[^\x00]*$")]
_Name: TypeAlias = Annotated[str, Meta(pattern=r"^[^=\x00]+$")]
_Argv: TypeAlias = Annotated[list[_Word], Meta(min_length=1)]


class CommandOptions(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """The options of ``command``. Commands are lists of words; there is no shell."""

    create: Annotated[_Argv, option("Makes it.", argv=True)]
    read: Annotated[
        _Argv | None, option("Says what is there; exit status 3 means gone.", argv=True, record_only=True)
    ] = None
    update: Annotated[_Argv | None, option("Brings it in line with changed options.", argv=True)] = None
    delete: Annotated[_Argv | None, option("Removes it.", argv=True, record_only=True)] = None
    integrate: Annotated[
        _Argv | None, option("Connects it with what it depends on.", argv=True, record_only=True)
    ] = None
    env: Annotated[
        dict[_Name, Secret] | None, option("Environment variables for the commands; secrets may stand here.")
    ] = None
    cwd: Annotated[
        str | None, option("Where they run; by default, and relative to, the config's folder.")
    ] = None
    input: Annotated[
        Any, option("Any value; the commands get it on standard input with the other options.")
    ] = None
    timeout: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        option("How long one command may take, in seconds.", record_only=True),
    ] = None
    stdout: Annotated[
        Literal["json", "log"],
        option("What they write to standard output: the status as JSON, or logs.", record_only=True),
    ] = "json"
    repeatable: Annotated[
        bool, option("Whether running `create` once more does no harm.", record_only=True)
    ] = False


def _traits(options: Mapping[str, Any]) -> Traits:
    """Say what can be done by which commands there are."""
    return Traits(
        can_read=bool(options.get("read")),
        can_update=bool(options.get("update")),
        can_delete=bool(options.get("delete")),
        can_integrate=bool(options.get("integrate")),
        repeatable=str(options.get("repeatable")).casefold() in ("true", "yes", "on"),
    )


@tool("command")
class Command:
    """Runs commands of yours to create, read, update and delete something."""

    @hookimpl
    def devstream_tool_schema(self) -> ToolSchema:
        """Describe the options."""
        return ToolSchema(
            CommandOptions,
            doc="Runs commands of yours to create, read, update and delete.",
            traits=_traits,
            example={"create": ["echo", '{"outputs": {}}']},
        )

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        """Run the command ``create``."""
        return _changed(_Call("create", tool.options.create, tool, context, None, context.upstream))

    @hookimpl
    def read(self, tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus | None:
        """Run the command ``read``; exit status 3 means that the thing is gone."""
        call = _Call("read", tool.options.read, tool, context, recorded, context.upstream)
        completed = call.run(reads=True)
        if completed.returncode == _GONE:
            return None
        return call.status(completed)

    @hookimpl
    def update(self, tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:
        """Run the command ``update``; without one, ``create`` again."""
        argv = tool.options.update or tool.options.create
        return _changed(_Call("update", argv, tool, context, recorded, context.upstream))

    @hookimpl
    def delete(self, tool: Tool, recorded: ToolState, context: Context) -> None:
        """Run the command ``delete``; what it writes to standard output is a log."""
        call = _Call("delete", tool.options.delete, tool, context, recorded, context.upstream)
        completed = call.run()
        call.check(completed)
        call.log(completed.stdout)

    @hookimpl
    def integrate(
        self, tool: Tool, status: ResourceStatus, upstream: Mapping[str, Outputs], context: Context
    ) -> Outputs | None:
        """Run the command ``integrate``; its ``outputs`` are merged."""
        call = _Call("integrate", tool.options.integrate, tool, context, status, upstream)
        return call.status(call.run()).outputs


def _changed(call: _Call) -> ResourceStatus:
    return call.status(call.run())


@dataclass(frozen=True, slots=True)
class _Call:
    """One command of one tool: what it gets, and what is made of its answer."""

    hook: str
    argv: list[str]
    tool: Tool
    context: Context
    recorded: ToolState | ResourceStatus | None
    upstream: Mapping[str, Any]

    @property
    def _input(self) -> str:
        """What it gets on standard input."""
        return json.encode(
            {
                "options": _revealed(self.tool.raw_options),
                "recorded": None if self.recorded is None else _revealed(_entry(self.recorded)),
                "upstream": {str(address): _revealed(outputs) for address, outputs in self.upstream.items()},
            }
        ).decode()

    def run(self, *, reads: bool = False) -> CompletedCommand:
        """Run it to its end; a status other than 0 is for the caller to judge."""
        options: CommandOptions = self.tool.options
        folder = self.context.folder
        variables = {name: value.reveal() for name, value in (options.env or {}).items()}
        return self.context.run(
            self.argv,
            reads=reads,
            input=self._input,
            env={
                **variables,
                "DEVSTREAM_ADDRESS": str(self.context.address),
                "DEVSTREAM_OP_ID": self.context.op_id,
            },
            cwd=folder / options.cwd if options.cwd else folder,
            timeout=options.timeout,
            check=False,
            stdout_limit=_STDOUT_LIMIT,
        )

    def log(self, text: str) -> None:
        """Pass on what the command logged."""
        for line in text.splitlines():
            self.context.log.info(line)

    def check(self, completed: CompletedCommand) -> None:
        """Make sure that the command succeeded.

        Raises:
            OperationError: it did not; its last lines of standard error are in the detail.
        """
        if completed.returncode == 0:
            return
        how = f"with status {completed.returncode}" if completed.returncode > 0 else "by a signal"
        message = f'the command of "{self.hook}" ended {how}: {self.argv[0]}'
        lines = completed.stderr.splitlines()[-_SHOWN_LINES:]
        raise OperationError(message, code="command-failed", detail="\n".join(lines))

    def status(self, completed: CompletedCommand) -> ResourceStatus:
        """Make a status of what the command wrote to standard output.

        Raises:
            OperationError: it failed, or what it wrote is not one JSON object.
        """
        self.check(completed)
        if self.tool.options.stdout == "log":
            self.log(completed.stdout)
            return ResourceStatus()
        if not completed.stdout.strip():
            return ResourceStatus()
        answer = self._parsed(completed.stdout)
        outputs = self._mapping(answer, "outputs")
        info = self._mapping(answer, "info")
        return ResourceStatus(properties=answer, outputs=outputs, info=info or {})

    def _parsed(self, stdout: str) -> dict[str, Any]:
        try:
            answer = json.decode(stdout)
        except DecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise OperationError(
                f'the command of "{self.hook}" succeeded, but its standard output is not one JSON object',
                code="command-output",
                detail=f"it begins with: {stdout[:_SHOWN_BYTES]!r}",
                suggestion="print logs to stderr, or set `stdout: log`",
            )
        return answer

    def _mapping(self, answer: dict[str, Any], key: str) -> dict[str, Any] | None:
        """Take a part that is no property out of the answer."""
        part = answer.pop(key, None)
        if part is None or isinstance(part, dict):
            return part
        message = f'the command of "{self.hook}" succeeded, but "{key}" in its output is not a JSON object'
        raise OperationError(message, code="command-output")


def _entry(recorded: ToolState | ResourceStatus) -> dict[str, Any]:
    """Give what is recorded of a tool, as its commands see it."""
    return {
        "properties": recorded.properties,
        "outputs": recorded.outputs or {},
        "info": recorded.info,
    }


def _revealed(value: Any) -> Any:
    """Give plain JSON: on standard input secrets are in clear."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, list | tuple):
        return [_revealed(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _revealed(item) for key, item in value.items()}
    return value
