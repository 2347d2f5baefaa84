"""``repo-scaffolding``: a repository made from a template, and kept in line with it without ever losing work.

The rendering that was pushed last stays in the repository beside its branches (``refs/devstream/rendered``). So
an update knows which files people have changed: it leaves those alone, and changes the others in one commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Struct, field

from devstream.api import OperationError, ResourceStatus, ToolSchema, hookimpl, option
from devstream_plugin_scm.forge import Mark, open_forge
from devstream_plugin_scm.repository import DEFAULT_BRANCH, RepoInfo, TargetRepo
from devstream_plugin_scm.sources import digest_of, read_location, unknown_builtin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Context, Tool, ToolState
    from devstream_plugin_scm.forge import Changes, Entry, Files, Forge, Listing, Repository
    from devstream_plugin_scm.sources import Tree

__all__ = ["ScaffoldingOptions", "create", "read", "update", "delete", "devstream_tool_schema", "merge"]

TEMPLATES = "templates"


class TemplateRepo(RepoInfo, kw_only=True, rename="camel"):
    """Where a template is; a built-in one is looked up at once, so that a slip is told before anything runs."""

    def __post_init__(self) -> None:
        wrong = unknown_builtin(self.url, TEMPLATES)
        if wrong:
            raise ValueError(wrong)


class ScaffoldingOptions(Struct, kw_only=True, rename="camel"):
    """Options of ``repo-scaffolding``."""

    destination_repo: Annotated[TargetRepo, option("The repository to make.")]
    source_repo: Annotated[TemplateRepo, option("The template: its `url` is `builtin:NAME` or a folder.")]
    vars: Annotated[dict[str, Any], option("Variables of the template.")] = field(default_factory=dict)


@hookimpl
def devstream_tool_schema() -> ToolSchema:
    """Describe the options."""
    return ToolSchema(ScaffoldingOptions, doc="A repository made from a template.")


@hookimpl
def create(tool: Tool, context: Context) -> ResourceStatus:
    """Make the repository and push one commit; go on where a run was killed in between."""
    forge, location = _place(tool, context)
    rendered = _render(tool, context)
    branch = _branch(tool)
    forge.create(location, branch=branch, mark=Mark(context.op_id, str(context.address)))
    _push_first(forge, location, tool, rendered)
    context.log.info(f"made {location} with {len(rendered)} files on {branch}")
    return _status(_existing(forge, location), tool, None, context)


@hookimpl
def read(tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus | None:
    """Say what the repository is, standing still when people push to it."""
    forge, location = _place(tool, context)
    found = forge.describe(_recorded(recorded, "repo", location))
    return None if found is None else _status(found, tool, recorded, context)


@hookimpl
def update(tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:
    """Move, restore or re-render, whatever is needed; what people have done stays."""
    forge, location = _place(tool, context)
    previous = _recorded(recorded, "repo", location)
    _check_ours(_existing(forge, previous), recorded, context)
    if previous != location:
        forge.move(previous, location)
    rendered = _render(tool, context)
    found = _existing(forge, location)
    if not found.branches:
        _push_first(forge, location, tool, rendered)
    else:
        _ensure_branch(forge, found, _branch(tool), recorded)
        if _is_ours(found, recorded, context):
            _push_again(forge, found, tool, rendered, context)
    return _status(_existing(forge, location), tool, recorded, context)


@hookimpl
def delete(tool: Tool, recorded: ToolState, context: Context) -> None:
    """Remove the repository, where it is the one that was made."""
    forge, location = _place(tool, context)
    location = _recorded(recorded, "repo", location)
    found = forge.describe(location)
    if found is not None:
        _check_ours(found, recorded, context)
    forge.delete(location)


def _place(tool: Tool, context: Context) -> tuple[Forge, str]:
    repo: TargetRepo = tool.options.destination_repo
    forge = open_forge(repo, context)
    return forge, forge.locate(repo)


def _branch(tool: Tool) -> str:
    branch: str = tool.options.destination_repo.branch
    return branch or DEFAULT_BRANCH


def _recorded(recorded: ToolState | None, name: str, default: str) -> str:
    """Give a recorded property that is text, or the default where nothing was recorded yet."""
    value = recorded.properties.get(name) if recorded else None
    return value if isinstance(value, str) else default


def _existing(forge: Forge, location: str) -> Repository:
    found = forge.describe(location)
    if found is None:
        message = f"{location} has vanished while it was being worked on"
        raise OperationError(message)
    return found


def _is_ours(found: Repository, recorded: ToolState | None, context: Context) -> bool:
    """Tell whether this tool made what is there; its address may have changed since (``state mv``)."""
    recorded_id = recorded.properties.get("id") if recorded else None
    if found.mark is None or recorded_id not in {None, found.mark.id}:
        return False
    return recorded_id is not None or found.mark.address == str(context.address)


def _check_ours(found: Repository, recorded: ToolState, context: Context) -> None:
    """Refuse to touch a repository that is somebody else's, or took the place of ours."""
    if recorded.adopted and recorded.properties.get("id") is None:
        return
    if not _is_ours(found, recorded, context):
        message = f"{found.url} is not the repository that {context.address} made; it is left as it is"
        raise OperationError(message, suggestion="move it away, then run again")


def _render(tool: Tool, context: Context) -> Tree:
    """Render the template with the tool's variables."""
    from devstream_plugin_scm.rendering import Renderer

    repo: TargetRepo = tool.options.destination_repo
    name = repo.short_name
    variables = {
        "AppName": name,
        "Repo": {"Name": name, "Owner": repo.namespace, "Branch": _branch(tool)},
        **tool.options.vars,
    }
    return Renderer(variables).tree(_template(tool, context), app_name=name)


def _template(tool: Tool, context: Context) -> Tree:
    source: RepoInfo = tool.options.source_repo
    if not source.url:
        message = "the template has no url (its other fields are not available yet)"
        raise OperationError(message, suggestion="url: builtin:python-http, or a folder")
    return read_location(source.url, folder=context.folder, shipped=TEMPLATES)


def _push_first(forge: Forge, location: str, tool: Tool, rendered: Tree) -> None:
    """Push the one commit that a new repository begins with; a second call finds nothing to do."""
    branch = _branch(tool)
    message = f"Begin from {tool.options.source_repo.url}"
    forge.publish(location, branch, message, lambda head, _: {} if head else rendered, rendered=rendered)


def _ensure_branch(forge: Forge, found: Repository, branch: str, recorded: ToolState) -> None:
    """Begin the branch at the branch it had before, or at what was rendered, where it is not there."""
    if branch in found.branches:
        return
    start = found.branches.get(_recorded(recorded, "branch", "")) or (
        found.rendered and found.rendered.commit
    )
    if not start:
        message = f"{found.url} has no branch {branch}"
        raise OperationError(message, suggestion=f"it has: {', '.join(sorted(found.branches))}")
    forge.start_branch(found.location, branch, start)


def _push_again(forge: Forge, found: Repository, tool: Tool, rendered: Tree, context: Context) -> None:
    """Commit what changed in the template to the files that people have left as they were."""
    left: list[str] = []

    def decide(head: Files, base: Files | None) -> Changes:
        changes, changed_by_people = merge(base, head, rendered)
        left[:] = changed_by_people
        return changes

    source = tool.options.source_repo.url
    commit = forge.publish(
        found.location, _branch(tool), f"Follow the template {source}", decide, rendered=rendered
    )
    if commit:
        context.log.info(f"committed the template's changes to {found.location}: {commit[:10]}")
    if left:
        context.log.warning(f"left as people changed them: {', '.join(left)}")


def merge(base: Listing | None, head: Listing, rendered: Tree) -> tuple[dict[str, Any], list[str]]:
    """Decide, file by file, what a new rendering changes.

    Args:
        base: what was rendered last; None where that is not known, then nothing is touched.
        head: the branch as it is.
        rendered: what is rendered now.

    Returns:
        Changes to commit, and paths that the template changed and people did too: these stay as they are.
    """
    changes: dict[str, Any] = {}
    left: list[str] = []
    for path in sorted({*(base or {}), *rendered}) if base is not None else ():
        old, new, now = base.get(path) if base else None, rendered.get(path), head.get(path)
        if _same(old, new) or _same(now, new):
            continue
        if now == old and not _in_the_way(path, head):
            changes[path] = new
        else:
            left.append(path)
    return changes, left


def _same(entry: Entry | None, file: Any) -> bool:
    return file is None if entry is None else file is not None and entry.holds(file)


def _in_the_way(path: str, head: Mapping[str, Entry]) -> bool:
    """Tell whether people made a folder where a file is to be, or a file where a folder is."""
    parts = path.split("/")
    if any("/".join(parts[:depth]) in head for depth in range(1, len(parts))):
        return True
    return any(other.startswith(f"{path}/") for other in head)


def _status(found: Repository, tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus:
    repo: TargetRepo = tool.options.destination_repo
    branch = _branch(tool)
    return ResourceStatus(
        properties={
            "repo": found.location,
            "id": found.mark.id if found.mark and _is_ours(found, recorded, context) else None,
            "branch": branch if branch in found.branches else None,
            "template": _template_facts(tool, recorded, context),
            "rendered": found.rendered.content if found.rendered else None,
        },
        outputs={
            "repo": repo.short_name,
            "owner": repo.owner,
            "org": repo.org,
            "repoURL": found.url,
            "repoType": repo.scm_type,
            "defaultBranch": branch,
            "webURL": found.web_url,
        },
        info={"head": found.branches.get(branch)},
    )


def _template_facts(tool: Tool, recorded: ToolState | None, context: Context) -> dict[str, Any]:
    """Name the template and its content. One that has gone is no drift: it is missed when it is needed."""
    url = tool.options.source_repo.url
    try:
        return {"url": url, "digest": digest_of(_template(tool, context))}
    except OperationError:
        known = recorded.properties.get("template") if recorded else None
        return known if isinstance(known, dict) else {"url": url, "digest": None}
