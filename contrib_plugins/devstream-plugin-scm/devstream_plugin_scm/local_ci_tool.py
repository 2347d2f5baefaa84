"""``local-ci``: tests each pushed commit of a local repository, in its ``post-receive`` hook.

`devstream_plugin_scm.local_ci` is what the hook runs; this module puts it in place.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Struct, field

from devstream.api import OperationError, ResourceStatus, ToolSchema, Traits, hookimpl, option
from devstream_plugin_scm.ci_pipeline import CI_FILE, DEFAULT_TIMEOUT, MAX_TIMEOUT
from devstream_plugin_scm.ci_results import FAILED, NOT_RUN, result_of
from devstream_plugin_scm.examples import LOCAL_CI
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.hook import HOOKS_PATH, Hook
from devstream_plugin_scm.local import LocalForge
from devstream_plugin_scm.options import LANGUAGES, Language, defaults_for
from devstream_plugin_scm.repository import TargetRepo
from devstream_plugin_scm.scm_files import KeptFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Context, Tool, ToolState
    from devstream_plugin_scm.ci_results import Result
    from devstream_plugin_scm.scm_files import FilesThere

__all__ = ["LocalCiOptions", "LocalCiPipeline", "create", "read", "update", "delete", "devstream_tool_schema"]


class LocalCiPipeline(Struct, kw_only=True):
    """What is run."""

    commands: Annotated[
        list[str], option("Commands, in order, for /bin/sh; by default those of the language.")
    ] = field(default_factory=list)
    timeout: Annotated[float, option("Seconds for all commands together.")] = DEFAULT_TIMEOUT
    language: Annotated[Language, option("Language of the app.")] = field(default_factory=Language)

    def __post_init__(self) -> None:
        """Check that there is something to run.

        Raises:
            ValueError: there is nothing, or the time limit makes no sense.
        """
        if not self.commands and defaults_for(self.language.name) is None:
            message = f"commands are missing (only {', '.join(LANGUAGES)} have some by default)"
            raise ValueError(message)
        if not 0 < self.timeout <= MAX_TIMEOUT:
            message = f"timeout is a number of seconds, up to {MAX_TIMEOUT}"
            raise ValueError(message)

    def text(self) -> str:
        """Give the pipeline file. JSON's strings are YAML's too, and keep every command on its line."""
        defaults = defaults_for(self.language.name)
        commands = self.commands or list(defaults.commands if defaults else ())
        lines = [f"  - {json.dumps(command, ensure_ascii=False)}" for command in commands]
        timeout = int(self.timeout) if self.timeout == int(self.timeout) else self.timeout
        return "\n".join([_HEADER, "commands:", *lines, f"timeout: {timeout}", ""])


_HEADER = "# Run by local-ci for each pushed commit. Change it in DevStream's configuration: it is written from there."


class LocalCiOptions(Struct, kw_only=True):
    """Options of ``local-ci``."""

    scm: Annotated[TargetRepo, option("The repository, with `scmType: local`.")]
    pipeline: Annotated[LocalCiPipeline, option("What is run.")]


@hookimpl
def devstream_tool_schema() -> ToolSchema:
    """Describe the options. Doing it again is harmless, and a hook of ours that is there is taken over."""
    return ToolSchema(
        LocalCiOptions,
        doc="CI without a server: a local repository tests itself.",
        adopts=True,
        traits=_repeatable,
        example=LOCAL_CI,
    )


@hookimpl
def create(tool: Tool, context: Context) -> ResourceStatus:
    """Install the hook, then commit the pipeline file: that push is the first run."""
    return _install(tool, None, context)


@hookimpl
def read(tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus | None:
    """Look at the hook, at ``core.hooksPath`` and at the pipeline file."""
    files = KeptFiles(tool.options.scm, context, recorded)
    there = files.look((CI_FILE,))
    if there is None:
        return None
    hook = _hook(files.place[0], context)
    if hook.state() == Hook.MISSING and not any(there.blobs.values()):
        return None
    return _status(there, files.place[1], hook, context)


@hookimpl
def update(tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:
    """Put back what is missing, commit what differs."""
    return _install(tool, recorded, context)


@hookimpl
def delete(tool: Tool, recorded: ToolState, context: Context) -> None:
    """Take out the hook, then the pipeline file; a repository that has gone is fine."""
    files = KeptFiles(tool.options.scm, context, recorded)
    if files.forge.describe(files.place[0]) is None:
        return
    _hook(files.place[0], context).remove()
    files.remove((CI_FILE,))


def _repeatable(options: Mapping[str, Any]) -> Traits:  # noqa: ARG001 - the same for all options
    return Traits(repeatable=True)


def _hook(location: str, context: Context) -> Hook:
    return Hook(context, LocalForge(context).path(location), sys.executable)


def _install(tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus:
    files = KeptFiles(tool.options.scm, context, recorded)
    if files.forge.describe(files.location) is None:
        message = f"there is no repository {files.location}"
        raise OperationError(message, suggestion="repo-scaffolding makes one: let this tool depend on it")
    hook = _hook(files.location, context)
    hook.install()
    commit, there = files.write({CI_FILE: File(tool.options.pipeline.text().encode())})
    if commit is None and _result(there, context).result == NOT_RUN:
        context.log.info(f"testing {there.head[:10]} of {files.location}")
        hook.run_once(there.head, files.branch)
    result = _result(there, context)
    report = context.log.warning if result.result == FAILED else context.log.info
    report(
        f"CI {result.result}: {files.location} {there.head[:10]}{f', log: {result.log}' if result.log else ''}"
    )
    return _status(there, files.branch, hook, context)


def _result(there: FilesThere, context: Context) -> Result:
    return result_of(LocalForge(context).path(there.repository.location), there.head)


def _status(there: FilesThere, branch: str, hook: Hook, context: Context) -> ResourceStatus:
    result = _result(there, context)
    return ResourceStatus(
        properties={**there.properties(branch), "hook": hook.state(), HOOKS_PATH: hook.hooks_path()},
        info={"ci": {"commit": there.head, "result": result.result, "log": result.log or None}},
    )
