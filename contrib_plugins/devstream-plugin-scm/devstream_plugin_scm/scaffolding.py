"""``repo-scaffolding``: a repository made from a template, and kept in line with it without ever losing work.

The rendering that was pushed last stays in the repository beside its branches (``refs/devstream/rendered``). So an
update knows what people have changed, and merges what the template changed into it (`merging`), in one commit.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from msgspec import Struct, field

from devstream.api import OperationError, ResourceStatus, ToolSchema, hookimpl, option
from devstream_plugin_scm.examples import SCAFFOLDING
from devstream_plugin_scm.forge import Delivery, Mark, open_forge, proposal_branch
from devstream_plugin_scm.pinning import Pin, Templates
from devstream_plugin_scm.repository import DEFAULT_BRANCH, TargetRepo
from devstream_plugin_scm.template_repo import Policy, TemplateRepo

if TYPE_CHECKING:
    from devstream.api import Context, Tool, ToolState
    from devstream_plugin_scm.forge import Changes, Files, Forge, Repository
    from devstream_plugin_scm.merging import Merged
    from devstream_plugin_scm.sources import Tree

__all__ = ["ScaffoldingOptions", "create", "read", "update", "delete", "devstream_tool_schema"]


class ScaffoldingOptions(Struct, kw_only=True, rename="camel"):
    """Options of ``repo-scaffolding``."""

    destination_repo: Annotated[TargetRepo, option("The repository to make.")]
    source_repo: Annotated[
        TemplateRepo,
        option("The template: `url` is `builtin:NAME`, a folder, an archive, or a git repository."),
    ]
    vars: Annotated[dict[str, Any], option("Variables of the template.")] = field(default_factory=dict)


@hookimpl
def devstream_tool_schema() -> ToolSchema:
    """Describe the options."""
    return ToolSchema(ScaffoldingOptions, doc="A repository made from a template.", example=SCAFFOLDING)


@hookimpl
def create(tool: Tool, context: Context) -> ResourceStatus:
    """Make the repository and push one commit; go on where a run was killed in between."""
    forge, location = _place(tool, context)
    scaffold = _scaffold(tool, None, context)
    branch = _branch(tool)
    visibility = tool.options.destination_repo.visibility
    mark = Mark(context.op_id, str(context.address))
    forge.create(location, branch=branch, mark=mark, visibility=visibility)
    _push_first(forge, location, tool, scaffold)
    context.log.info(f"made {location} with {len(scaffold.files)} files on {branch}")
    return _status(_existing(forge, location), tool, None, context, pin=scaffold.pin)


@hookimpl
def read(tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus | None:
    """Say what the repository is, standing still when people push to it."""
    forge, location = _place(tool, context)
    found = forge.describe(_recorded(recorded, "repo", location))
    if found is None:
        return None
    templates = _templates(tool, recorded, context)
    status = _status(found, tool, recorded, context, pin=templates.look())
    open_ = _still_open(forge, found, _branch(tool), recorded)
    newest = {"template": templates.latest()} if context.thorough else {}
    return _with_info(status, **newest, **({"conflicts": open_} if open_ else {}))


@hookimpl
def update(tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:
    """Move, restore or re-render, whatever is needed; what people have done stays."""
    forge, location = _place(tool, context)
    previous = _recorded(recorded, "repo", location)
    found = _existing(forge, previous)
    _check_ours(found, recorded, context)
    if previous != location or found.location.casefold() != location.casefold():  # renamed here, or by hand
        forge.move(found.location, location)
    found = _existing(forge, location)
    if found.branches:
        _ensure_branch(forge, found, _branch(tool), recorded)
        found = _existing(forge, location)
    pin, conflicts = _follow(forge, found, tool, recorded, context)
    found = _existing(forge, location)
    status = _status(found, tool, recorded, context, pin=pin)
    return _with_info(status, **({"conflicts": conflicts} if conflicts else {}))


@hookimpl
def delete(tool: Tool, recorded: ToolState, context: Context) -> None:
    """Remove the repository, where it is the one that was made."""
    forge, location = _place(tool, context)
    location = _recorded(recorded, "repo", location)
    found = forge.describe(location)
    if found is not None:
        _check_ours(found, recorded, context)
    forge.delete(location)


class _Scaffold(NamedTuple):
    """A template rendered for an app: the files, and what the template is fixed to."""

    files: Tree
    pin: Pin


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


def _templates(tool: Tool, recorded: ToolState | None, context: Context) -> Templates:
    known = Pin.recorded(recorded.properties) if recorded else None
    return Templates(tool.options.source_repo, context, known)


def _scaffold(tool: Tool, recorded: ToolState | None, context: Context) -> _Scaffold:
    """Get the template and render it with the tool's variables."""
    from devstream_plugin_scm.render_process import render_apart
    from devstream_plugin_scm.rendering import Renderer

    repo: TargetRepo = tool.options.destination_repo
    name = repo.short_name
    facts = {"Name": name, "Owner": repo.namespace, "Branch": _branch(tool)}
    variables = {"AppName": name, "Repo": facts, **tool.options.vars}
    renderer = Renderer(variables)
    templates = _templates(tool, recorded, context)
    template = templates.get()
    apart = None if templates.is_trusted else partial(render_apart, context, variables=variables)
    return _Scaffold(renderer.tree(template.tree, app_name=name, apart=apart), template.pin)


def _push_first(forge: Forge, location: str, tool: Tool, scaffold: _Scaffold) -> None:
    """Push the one commit that a new repository begins with; a second call finds nothing to do."""
    branch, files = _branch(tool), scaffold.files
    message = f"Begin from {tool.options.source_repo.title}"
    forge.publish(location, branch, message, lambda head, _: {} if head else files, rendered=files)


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


def _follow(
    forge: Forge, found: Repository, tool: Tool, recorded: ToolState, context: Context
) -> tuple[Pin, dict[str, str | None]]:
    """Bring the template's changes into the repository, as the options want it.

    Returns:
        What the template is fixed to now, and the files that it changed and that stay as people changed them.
    """
    source: TemplateRepo = tool.options.source_repo
    ours = _is_ours(found, recorded, context)
    if found.branches and (source.policy is Policy.NONE or not ours):
        return _templates(tool, recorded, context).look(), _still_open(forge, found, _branch(tool), recorded)
    scaffold = _scaffold(tool, recorded, context)
    if not found.branches:
        _push_first(forge, found.location, tool, scaffold)
        return scaffold.pin, {}
    merged = _push_again(forge, found, tool, scaffold, context)
    head = forge.listing(found.location, _head(forge, found, tool), merged.left) if merged.left else {}
    conflicts = {path: head[path].blob if path in head else None for path in merged.left}
    return scaffold.pin, {**_still_open(forge, found, _branch(tool), recorded), **conflicts}


def _head(forge: Forge, found: Repository, tool: Tool) -> str:
    return _existing(forge, found.location).branches[_branch(tool)]


def _push_again(forge: Forge, found: Repository, tool: Tool, scaffold: _Scaffold, context: Context) -> Merged:
    """Merge what changed in the template into what people have done, and commit it."""
    from devstream_plugin_scm.merging import Merged, merge, merge_with_git

    source: TemplateRepo = tool.options.source_repo
    texts = merge_with_git(context)
    merged = Merged({})

    def decide(head: Files, base: Files | None) -> Changes:
        nonlocal merged
        merged = merge(base, head, scaffold.files, texts)
        return merged.changes

    commit = forge.publish(
        found.location,
        _branch(tool),
        f"Follow the template {source.title}",
        decide,
        rendered=scaffold.files,
        delivery=Delivery.PULL_REQUEST if source.policy is Policy.PULL_REQUEST else Delivery.PUSH,
        proposal=proposal_branch(context.address),
    )
    _say(merged, commit, found, context)
    return merged


def _say(merged: Merged, commit: str | None, found: Repository, context: Context) -> None:
    if commit:
        context.log.info(f"committed the template's changes to {found.location}: {commit[:10]}")
    if merged.mixed:
        context.log.info(f"merged with what people changed: {', '.join(merged.mixed)}")
    if merged.left:
        context.log.warning(f"left as people changed them: {', '.join(merged.left)}")
        context.log.info(f"what the template changed in them: {_SHOW} -- {' '.join(merged.left)}")


_SHOW = "git fetch origin refs/devstream/rendered && git diff FETCH_HEAD~1 FETCH_HEAD"


def _still_open(
    forge: Forge, found: Repository, branch: str, recorded: ToolState | None
) -> dict[str, str | None]:
    """Give the recorded conflicts of files that nobody has touched since."""
    known = recorded.info.get("conflicts") if recorded else None
    head = found.branches.get(branch)
    if not isinstance(known, dict) or not known or head is None:
        return {}
    listed = forge.listing(found.location, head, tuple(known))
    now = {path: listed[path].blob if path in listed else None for path in known}
    return {path: blob for path, blob in now.items() if blob == known[path]}


def _with_info(status: ResourceStatus, **more: Any) -> ResourceStatus:
    return ResourceStatus(status.properties, status.outputs, {**status.info, **more})


def _status(
    found: Repository, tool: Tool, recorded: ToolState | None, context: Context, *, pin: Pin
) -> ResourceStatus:
    repo: TargetRepo = tool.options.destination_repo
    branch = _branch(tool)
    return ResourceStatus(
        properties={
            "repo": found.location,
            "id": found.mark.id if found.mark and _is_ours(found, recorded, context) else None,
            "branch": branch if branch in found.branches else None,
            "template": pin._asdict(),
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
