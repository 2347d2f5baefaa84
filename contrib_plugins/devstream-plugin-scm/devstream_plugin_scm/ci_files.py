"""``github-actions``, ``gitlab-ci`` and ``ci-generic``: pipeline files rendered into a repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Struct, field

from devstream.api import OperationError, ResourceStatus, ToolSchema, Traits, hookimpl, option
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.options import Pipeline
from devstream_plugin_scm.repository import DEFAULT_BRANCH, TargetRepo
from devstream_plugin_scm.scm_files import KeptFiles
from devstream_plugin_scm.sources import Tree, check_path, read_location

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.api import Context, Tool, ToolState
    from devstream_plugin_scm.scm_files import FilesThere

__all__ = ["CiFiles", "PipelineOptions", "GenericOptions", "GITHUB_ACTIONS", "GITLAB_CI", "CI_GENERIC"]

PIPELINES = "pipelines"
_PLACES = {"github": ".github/workflows/", "gitlab": ".gitlab-ci.yml", "jenkins": "Jenkinsfile"}
"""Where a CI system looks: a folder, or the one file."""


class PipelineOptions(Struct, kw_only=True):
    """Options of ``github-actions`` and ``gitlab-ci``."""

    scm: Annotated[TargetRepo, option("The repository to write into.")]
    pipeline: Annotated[Pipeline, option("What the pipeline does.")] = field(default_factory=Pipeline)


class GenericCi(Struct, kw_only=True, rename="camel"):
    """A pipeline of one's own."""

    type: Annotated[Literal["github", "gitlab", "jenkins"], option("The CI system it is for.")]
    config_location: Annotated[str, option("A file or a folder with the pipeline.")] = ""
    config_contents: Annotated[dict[str, str], option("The pipeline itself, by file name.")] = field(
        default_factory=dict
    )
    vars: Annotated[dict[str, Any], option("Variables of the pipeline's template.")] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        """Check that there is exactly one source.

        Raises:
            ValueError: there is none, or there are two.
        """
        if bool(self.config_location) == bool(self.config_contents):
            message = "give either configLocation or configContents"
            raise ValueError(message)


class GenericOptions(Struct, kw_only=True):
    """Options of ``ci-generic``."""

    scm: Annotated[TargetRepo, option("The repository to write into.")]
    ci: Annotated[GenericCi, option("The pipeline.")]


@dataclass(frozen=True)
class CiFiles:
    """A tool that keeps pipeline files in a repository.

    Attributes:
        doc: one line about it.
        options: its options; they have ``scm``.
        render: gives the files by their path in the repository.
    """

    doc: str
    options: type[Struct]
    render: Callable[[Any, Context], Tree]

    @hookimpl
    def devstream_tool_schema(self) -> ToolSchema:
        """Describe the options. Writing a file again is harmless, and one that is there is taken over."""
        return ToolSchema(self.options, doc=self.doc, adopts=True, traits=_repeatable)

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        """Commit the files; no commit where they are there already."""
        return self._write(tool, None, context)

    @hookimpl
    def read(self, tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus | None:
        """Compare what was written with what the branch has now; None where nothing of it is left."""
        files = KeptFiles(tool.options.scm, context, recorded)
        known = recorded is not None and bool(recorded.properties.get("files"))
        there = files.look(() if known else tuple(self.render(tool.options, context)))
        if there is None or not any(there.blobs.values()):
            return None
        return _status(there, files.place[1])

    @hookimpl
    def update(self, tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:
        """Commit what differs, and remove files that are not written any more."""
        return self._write(tool, recorded, context)

    @hookimpl
    def delete(self, tool: Tool, recorded: ToolState, context: Context) -> None:
        """Remove the files in one commit; a repository that has gone is fine."""
        KeptFiles(tool.options.scm, context, recorded).remove()

    def _write(self, tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus:
        files = KeptFiles(tool.options.scm, context, recorded)
        commit, there = files.write(self.render(tool.options, context))
        context.log.info(f"committed {commit[:10]} to {files.location}" if commit else "nothing to commit")
        return _status(there, files.branch)


def _repeatable(options: Mapping[str, Any]) -> Traits:  # noqa: ARG001 - the same for all options
    return Traits(repeatable=True)


def _status(there: FilesThere, branch: str) -> ResourceStatus:
    return ResourceStatus(properties=there.properties(branch), info={"head": there.head})


def _github(options: PipelineOptions, context: Context) -> Tree:
    return _pipeline("github", options, context, default="builtin:github-actions")


def _gitlab(options: PipelineOptions, context: Context) -> Tree:
    return _pipeline("gitlab", options, context, default="builtin:gitlab-ci")


def _pipeline(kind: str, options: PipelineOptions, context: Context, *, default: str) -> Tree:
    location = options.pipeline.config_location or default
    templates = read_location(location, folder=context.folder, shipped=PIPELINES)
    variables = options.pipeline.variables(options.scm.short_name)
    if not (variables["test"]["enable"] or variables["imageRepo"] or variables["sonarqube"]):
        message = "the pipeline would do nothing"
        raise OperationError(message, suggestion="give pipeline.test.command, imageRepo or sonarqube")
    return _render(kind, templates, options.scm, variables)


def _generic(options: GenericOptions, context: Context) -> Tree:
    ci = options.ci
    if ci.config_location:
        templates = read_location(ci.config_location, folder=context.folder, shipped=PIPELINES)
    else:
        templates = {check_path(name): File(text.encode()) for name, text in ci.config_contents.items()}
    return _render(ci.type, templates, options.scm, ci.vars)


def _render(kind: str, templates: Tree, repo: TargetRepo, variables: Mapping[str, Any]) -> Tree:
    """Render templates to where the CI system looks for them."""
    from devstream_plugin_scm.rendering import Renderer

    facts = {"Name": repo.short_name, "Owner": repo.namespace, "Branch": repo.branch or DEFAULT_BRANCH}
    renderer = Renderer({"AppName": repo.short_name, "Repo": facts, **variables})
    files: Tree = {}
    for path, file in templates.items():
        target = _target(kind, path)
        if target is None:
            continue
        if target in files:
            message = f"two templates end up at {target}"
            raise OperationError(message, suggestion="give one, or a folder with one")
        files[target] = File(renderer.text(_text(path, file), name=path).encode())
    if not files:
        message = f"there is no pipeline for {kind} among: {', '.join(templates) or 'nothing'}"
        raise OperationError(message)
    return files


def _text(path: str, file: File) -> str:
    try:
        return file.content.decode()
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8"
        raise OperationError(message) from error


def _target(kind: str, path: str) -> str | None:
    """Say where a template goes; None for what is no pipeline (a README beside it)."""
    place = _PLACES[kind]
    base = path.rpartition("/")[2].removesuffix(".tpl")
    if place.endswith("/"):
        return place + base if base.endswith((".yml", ".yaml")) else None
    return place if not base.startswith("README") else None


GITHUB_ACTIONS = CiFiles(
    "A workflow for GitHub Actions, written into a repository.", PipelineOptions, _github
)
GITLAB_CI = CiFiles("A pipeline for GitLab CI, written into a repository.", PipelineOptions, _gitlab)
CI_GENERIC = CiFiles("A pipeline of one's own, written into a repository.", GenericOptions, _generic)
