"""``repo-scaffolding``: a repository made from a template, and kept in line with it without ever losing work.

The rendering that was pushed last stays in the repository beside its branches (``refs/devstream/rendered``). So an
update knows what people have changed, and merges what the template changed into it (`following`), in one commit.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Struct, field

from devstream.api import OperationError, ResourceStatus, ToolSchema, Traits, hookimpl, option
from devstream_plugin_scm.examples import SCAFFOLDING
from devstream_plugin_scm.following import Following
from devstream_plugin_scm.forge import Mark, open_forge
from devstream_plugin_scm.pinning import Pin, Templates
from devstream_plugin_scm.repository import DEFAULT_BRANCH, TargetRepo
from devstream_plugin_scm.template_repo import Policy, TemplateRepo
from devstream_plugin_scm.wiring import NEIGHBOURS, OFFERS, Wiring, wired_before

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Context, Outputs, Tool, ToolState
    from devstream_plugin_scm.following import Blobs
    from devstream_plugin_scm.forge import Forge, Repository
    from devstream_plugin_scm.pinning import Template
    from devstream_plugin_scm.sources import Tree

__all__ = ["ScaffoldingOptions", "create", "read", "update", "delete", "integrate", "devstream_tool_schema"]


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
    return ToolSchema(
        ScaffoldingOptions,
        doc="A repository made from a template.",
        example=SCAFFOLDING,
        traits=lambda _: Traits(can_integrate=True, integrates=OFFERS),
    )


@hookimpl
def create(tool: Tool, context: Context) -> ResourceStatus:
    """Make the repository and push one commit; go on where a run was killed in between."""
    return _Work(tool, None, context).make()


@hookimpl
def read(tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus | None:
    """Say what the repository is, standing still when people push to it."""
    return _Work(tool, recorded, context).look()


@hookimpl
def update(tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:
    """Move, restore or re-render, whatever is needed; what people have done stays."""
    return _Work(tool, recorded, context).bring_in_line()


@hookimpl
def delete(tool: Tool, recorded: ToolState, context: Context) -> None:
    """Remove the repository, where it is the one that was made."""
    _Work(tool, recorded, context).remove()


@hookimpl
def integrate(tool: Tool, status: ResourceStatus, upstream: dict[str, Outputs], context: Context) -> Outputs:
    """Connect the repository with what upstreams offer: webhooks and deploy keys."""
    return _Work(tool, None, context).connect(upstream, status.outputs or {})


class _Work:
    """One call of a hook."""

    def __init__(self, tool: Tool, recorded: ToolState | None, context: Context) -> None:
        self._repo: TargetRepo = tool.options.destination_repo
        self._source: TemplateRepo = tool.options.source_repo
        self._vars: Mapping[str, Any] = tool.options.vars
        self._recorded = recorded
        self._known: Mapping[str, Any] = recorded.properties if recorded else {}
        self._context = context
        self._branch = self._repo.branch or DEFAULT_BRANCH
        self._forge: Forge = open_forge(self._repo, context)
        self._location = self._forge.locate(self._repo)
        self._wired = wired_before(recorded.outputs if recorded else {})
        self._wiring = Wiring(self._forge.hosting, self._repo, context)
        self._following = Following(self._forge, self._branch, self._source, context)
        self._templates = Templates(self._source, context, Pin.recorded(self._known))

    # ---- hooks

    def make(self) -> ResourceStatus:
        """Make the repository and push its first commit."""
        template = self._templates.get()
        files = self._rendered(template)
        mark = Mark(self._context.op_id, str(self._context.address))
        self._forge.create(self._location, branch=self._branch, mark=mark, visibility=self._repo.visibility)
        self._following.begin(self._location, files)
        self._context.log.info(f"made {self._location} with {len(files)} files on {self._branch}")
        return self._status(self._existing(self._location), template.pin)

    def look(self) -> ResourceStatus | None:
        """Say what is there; with the newest template where that is asked for."""
        found = self._forge.describe(self._place)
        if found is None:
            return None
        pin = self._templates.look()
        newest = {"template": self._templates.latest()} if self._context.thorough else {}
        broken = self._wiring.look(found.location, self._wired)
        return self._status(found, pin, self._still_open(found), broken, **newest)

    def bring_in_line(self) -> ResourceStatus:
        """Put the repository and its branch where they are wanted, and bring in what changed in the template."""
        found = self._existing(self._place)
        self._check_ours(found)
        renamed_by_hand = found.location.casefold() != self._location.casefold()
        if self._place != self._location or renamed_by_hand:
            self._forge.move(found.location, self._location)
        found = self._existing(self._location)
        if found.branches and (self._branch not in found.branches or self._is_half_begun(found)):
            self._begin_branch(found)
            found = self._existing(self._location)
        pin, conflicts = self._follow(found)
        return self._status(self._existing(self._location), pin, conflicts)

    def connect(self, upstream: Mapping[str, Outputs], outputs: Outputs) -> Outputs:
        """Put in place what upstreams offer, and take away what they do not offer any more."""
        location = self._existing(self._location).location
        return {NEIGHBOURS: self._wiring.put(location, upstream, wired_before(outputs))}

    def remove(self) -> None:
        """Remove the repository; that it is gone already is fine."""
        found = self._forge.describe(self._place)
        if found is not None:
            self._check_ours(found)
        self._forge.delete(self._place)

    # ---- parts

    @property
    def _place(self) -> str:
        """Where the repository was when it was recorded; where it is to be, before that."""
        return self._text("repo") or self._location

    def _text(self, name: str) -> str:
        """Give a recorded property that is text, or nothing."""
        value = self._known.get(name)
        return value if isinstance(value, str) else ""

    @property
    def _branch_before(self) -> str:
        """Give the branch of the last run that came to its end, by its options.

        The property says what is there of the branch that is wanted: nothing, after a run that was killed.
        """
        repo = self._recorded.options.get("destinationRepo") if self._recorded else None
        branch = (repo.get("branch") or DEFAULT_BRANCH) if isinstance(repo, dict) else self._text("branch")
        return branch if isinstance(branch, str) else ""

    def _existing(self, location: str) -> Repository:
        found = self._forge.describe(location)
        if found is None:
            message = f"{location} has vanished while it was being worked on"
            raise OperationError(message)
        return found

    def _is_ours(self, found: Repository) -> bool:
        """Tell whether this tool made what is there; its address may have changed since (``state mv``)."""
        known = self._known.get("id")
        if found.mark is None or known not in {None, found.mark.id}:
            return False
        return known is not None or found.mark.address == str(self._context.address)

    def _check_ours(self, found: Repository) -> None:
        """Refuse to touch a repository that is somebody else's, or took the place of ours."""
        adopted = self._recorded is not None and self._recorded.adopted
        if (adopted and self._known.get("id") is None) or self._is_ours(found):
            return
        message = f"{found.url} is not the repository that {self._context.address} made; it is left as it is"
        raise OperationError(message, suggestion="move it away, then run again")

    def _is_half_begun(self, found: Repository) -> bool:
        """Tell whether the branch is there, and the one it was before is the default one still: a run was killed."""
        return found.default_branch == self._branch_before != self._branch

    def _begin_branch(self, found: Repository) -> None:
        """Begin the branch where it is already, at the one it had before, or at what was rendered."""
        places = (found.branches.get(name) for name in (self._branch, self._branch_before))
        start = next(filter(None, places), None) or (found.rendered and found.rendered.commit)
        if not start:
            message = f"{found.url} has no branch {self._branch}"
            raise OperationError(message, suggestion=f"it has: {', '.join(sorted(found.branches))}")
        self._forge.start_branch(found.location, self._branch, start)

    def _follow(self, found: Repository) -> tuple[Pin, Blobs]:
        """Bring the template's changes into the repository, as the options want it; give pin and conflicts."""
        may_not = self._source.policy is Policy.NONE or not self._is_ours(found)
        if found.branches and may_not:
            return self._templates.look(), self._still_open(found)
        template = self._templates.get()
        files = self._rendered(template)
        if not found.branches:
            self._following.begin(found.location, files)
            return template.pin, {}
        conflicts = self._following.go_on(found, files)
        return template.pin, {**self._still_open(found), **conflicts}

    def _still_open(self, found: Repository) -> Blobs:
        return self._following.still_open(
            found, self._recorded.info.get("conflicts") if self._recorded else None
        )

    def _rendered(self, template: Template) -> Tree:
        """Render the template with the tool's variables: one that is not shipped, in a process of its own."""
        from devstream_plugin_scm.render_process import render_apart
        from devstream_plugin_scm.rendering import Renderer

        name = self._repo.short_name
        facts = {"Name": name, "Owner": self._repo.namespace, "Branch": self._branch}
        variables = {"AppName": name, "Repo": facts, **self._vars}
        apart = (
            None if self._templates.is_trusted else partial(render_apart, self._context, variables=variables)
        )
        return Renderer(variables).tree(template.tree, app_name=name, apart=apart)

    def _status(
        self,
        found: Repository,
        pin: Pin,
        conflicts: Blobs | None = None,
        broken: Mapping[str, str] | None = None,
        **info: Any,
    ) -> ResourceStatus:
        """Say what is there; ``broken`` is what of the wiring is not: `integrate`, which follows, mends it."""
        repo, head = self._repo, found.branches.get(self._branch)
        noted = {"proposal": self._following.waits(found), "conflicts": conflicts}
        return ResourceStatus(
            properties={
                "repo": found.location,
                "id": found.mark.id if found.mark and self._is_ours(found) else None,
                "branch": self._branch if head else None,
                "template": pin._asdict(),
                "rendered": found.rendered.content if found.rendered else None,
                NEIGHBOURS: dict(broken or {}),
            },
            outputs={
                "repo": repo.short_name,
                "owner": repo.owner,
                "org": repo.org,
                "repoURL": found.url,
                "repoType": repo.scm_type,
                "defaultBranch": self._branch,
                "webURL": found.web_url,
                **({NEIGHBOURS: self._wired} if self._wired else {}),
            },
            info={"head": head, **info, **{name: value for name, value in noted.items() if value}},
        )
