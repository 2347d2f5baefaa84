"""The pipeline tools: files rendered into a repository, and the secrets that they need set beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from devstream.api import ResourceStatus, ToolSchema, Traits, hookimpl
from devstream_plugin_scm.ci_claims import generic_claims, pipeline_claims, pipeline_name
from devstream_plugin_scm.ci_kinds import KINDS
from devstream_plugin_scm.ci_options import (
    BitbucketOptions,
    CircleCiOptions,
    GenericOptions,
    GiteaActionsOptions,
    GithubActionsOptions,
    GitlabCiOptions,
    PipelineOptions,
    TravisCiOptions,
)
from devstream_plugin_scm.ci_rendering import Place, facts_of, render, uses_own_token, variables_of
from devstream_plugin_scm.ci_secrets import CiSecrets, Wanted, names_for, needed_by, wanted_by
from devstream_plugin_scm.ci_services import open_service
from devstream_plugin_scm.ci_templates import PipelineTemplates
from devstream_plugin_scm.ci_webhook import RepositoryWebhook
from devstream_plugin_scm.examples import ci_example
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.neighbours import REGISTRY, offers_of
from devstream_plugin_scm.options import defaults_for
from devstream_plugin_scm.scm_files import KeptFiles
from devstream_plugin_scm.sources import check_path
from devstream_plugin_scm.wiring import NEIGHBOURS, OFFERS, RegistryPlace, Wiring, is_wired, wired_before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from msgspec import Struct

    from devstream.api import Address, Context, Outputs, Tool, ToolState
    from devstream_plugin_scm.ci_secrets import Vault
    from devstream_plugin_scm.ci_services import CiService
    from devstream_plugin_scm.forge import Repository
    from devstream_plugin_scm.scm_files import FilesThere
    from devstream_plugin_scm.sources import Tree

__all__ = [
    "CiFiles",
    "GITHUB_ACTIONS",
    "GITEA_ACTIONS",
    "GITLAB_CI",
    "BITBUCKET_PIPELINES",
    "CIRCLECI",
    "TRAVIS_CI",
    "CI_GENERIC",
]


@dataclass(frozen=True)
class CiFiles:
    """A tool that keeps pipeline files in a repository.

    Attributes:
        doc: one line about it.
        options: its options; they have ``scm``.
        claims: what only one instance may keep.
    """

    doc: str
    options: type[Struct]
    claims: Callable[[Address, str | None, Mapping[str, Any]], Iterator[tuple[str, str]]]

    @hookimpl
    def devstream_tool_schema(self) -> ToolSchema:
        """Describe the options. Writing a file again is harmless, and one that is there is taken over."""
        return ToolSchema(
            self.options,
            doc=self.doc,
            adopts=True,
            traits=_traits_of,
            claims=self.claims,
            example=ci_example(getattr(self.options, "kind_name", "")),
        )

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        """Set the secrets and commit the files; no commit where they are there already."""
        return _Work(tool, None, context).write()

    @hookimpl
    def read(self, tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus | None:
        """Compare what was written with what the branch has now; None where nothing of it is left."""
        return _Work(tool, recorded, context).look()

    @hookimpl
    def update(self, tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:
        """Set all secrets again, commit what differs, and remove what is not wanted any more."""
        return _Work(tool, recorded, context).write()

    @hookimpl
    def delete(self, tool: Tool, recorded: ToolState, context: Context) -> None:
        """Remove the files in one commit, then the secrets; a repository that has gone is fine."""
        _Work(tool, recorded, context).remove()

    @hookimpl
    def integrate(
        self, tool: Tool, status: ResourceStatus, upstream: dict[str, Outputs], context: Context
    ) -> Outputs:
        """Connect with what upstreams offer: a webhook, a deploy key, and a registry where the options name none."""
        return _Work(tool, None, context).connect(upstream, status.outputs or {})


def _traits_of(options: Mapping[str, Any]) -> Traits:
    """Only a pipeline that pushes images without a password of its own has use for an upstream's registry."""
    pipeline = options.get("pipeline")
    registry = pipeline.get("imageRepo") if isinstance(pipeline, dict) else None
    wants = isinstance(registry, dict) and registry.get("password") is None
    return Traits(can_integrate=True, repeatable=True, integrates=(*OFFERS, *((REGISTRY,) if wants else ())))


class _Work:
    """One call of a hook."""

    def __init__(self, tool: Tool, recorded: ToolState | None, context: Context) -> None:
        self._options = tool.options
        self._recorded: Mapping[str, Any] = recorded.properties if recorded else {}
        self._wired = wired_before(recorded.outputs if recorded else {})
        self._was_wired = recorded is not None and is_wired(recorded)
        self._context = context
        self._pipeline = tool.options.pipeline if isinstance(tool.options, PipelineOptions) else None
        generic = tool.options.ci if isinstance(tool.options, GenericOptions) else None
        self._kind = KINDS[generic.type if generic else tool.options.kind_name]
        written = self._pipeline.name if self._pipeline else ""
        name = pipeline_name(tool.address, tool.app, written) if self._pipeline else ""
        self._webhook_wanted = generic.webhook if generic else None
        self._switched_on = bool(self._recorded.get("switchedOn"))
        self._address = str(tool.address)
        self._place = Place(self._kind, tool.options.scm, name)
        shared = {self._kind.place: self._kind.named} if self._kind.named and name else None
        self._files = KeptFiles(tool.options.scm, context, recorded, shared)

    # ---- hooks

    def look(self) -> ResourceStatus | None:
        """Say what is there."""
        known = bool(self._recorded.get("files"))
        if not known and self._wanted and self._vault is None:
            names = ", ".join(self._wanted.names)
            self._context.log.warning(
                f"nothing here keeps secrets: set in {self._kind.title} by hand: {names}"
            )
        there = self._files.look(() if known else tuple(self._rendered()[0]))
        if there is None or not any(there.blobs.values()):
            return None
        template = self._template_now()
        status = self._status(there, self._files.place[1], template)
        if template is None or not self._context.thorough:
            return status
        return ResourceStatus(
            status.properties, status.outputs, {**status.info, "template": self._templates.latest()}
        )

    def write(self) -> ResourceStatus:
        """Bring everything in line: secrets before the push that starts the first pipeline."""
        files, template = self._rendered()
        target = self._files.target()
        self._leave(target)
        if self._service is not None:
            self._switched_on = self._switched_on or not self._service.is_active(target.location)
            self._service.activate(target.location)
        wanted = self._wanted
        if self._vault is not None:
            CiSecrets(self._vault, target.location).put(wanted)
        self._tell_what_is_missing(target)
        commit, there = self._files.write(files, target)
        if self._vault is not None:
            secrets, variables = self._recorded_names
            CiSecrets(self._vault, target.location).remove(
                [name for name in secrets if name not in wanted.secrets],
                [name for name in variables if name not in wanted.variables],
            )
        if self._webhook is not None:
            self._webhook.put(target.location)
        said = f"committed {commit[:10]} to {self._files.location}" if commit else "nothing to commit"
        self._context.log.info(said)
        return self._status(there, self._files.branch, template, wanted)

    def remove(self) -> None:
        """Remove everything."""
        self._files.remove()
        found = self._files.forge.describe(self._files.place[0])
        if found is not None:
            self._forget(found.location)
        elif self._service is not None:  # the repository has gone, but not what the service keeps for it
            self._empty_vault(self._files.place[0])

    def connect(self, upstream: Mapping[str, Outputs], outputs: Outputs) -> Outputs:
        """Put in place what upstreams offer, and take away what they do not offer any more."""
        before = wired_before(outputs)
        return {NEIGHBOURS: self._wiring.put(self._files.target().location, upstream, before)}

    # ---- parts

    def _rendered(self) -> tuple[Tree, Mapping[str, Any] | None]:
        """Give the files, and what is recorded of their template."""
        if self._pipeline is not None:
            template = self._templates.get()
            return render(self._place, template.tree, variables_of(self._pipeline, self._place)), template.pin
        ci = self._options.ci
        variables = {**facts_of(self._place), **ci.vars}
        if ci.config_location:
            template = self._templates.get()
            return render(self._place, template.tree, variables), template.pin
        written = {check_path(name): File(text.encode()) for name, text in ci.config_contents.items()}
        return render(self._place, written, variables), None

    @cached_property
    def _templates(self) -> PipelineTemplates:
        pipeline = self._pipeline
        location = self._options.location if pipeline else self._options.ci.config_location
        defaults = defaults_for(pipeline.language.name) if pipeline else None
        return PipelineTemplates(location, self._context, self._recorded, repr(defaults) if defaults else "")

    def _template_now(self) -> Mapping[str, Any] | None:
        has_one = self._pipeline is not None or bool(self._options.ci.config_location)
        return self._templates.look() if has_one else None

    @cached_property
    def _wanted(self) -> Wanted:
        if self._pipeline is None:
            return Wanted({}, {})
        return wanted_by(self._pipeline, self._place.name, self._kind)

    @cached_property
    def _service(self) -> CiService | None:
        return open_service(self._options, self._context)

    @property
    def _vault(self) -> Vault | None:
        """What keeps the secrets; None where nothing does that we can talk to."""
        return self._files.forge.hosting if self._kind.keeps_secrets else self._service

    @property
    def _webhook(self) -> RepositoryWebhook | None:
        """The repository's webhook, where there is to be one or was one."""
        hosting = self._files.forge.hosting
        if hosting is None or (self._webhook_wanted is None and not self._recorded.get("webhook")):
            return None
        return RepositoryWebhook(hosting, self._webhook_wanted, self._options.scm, self._address)

    @cached_property
    def _wiring(self) -> Wiring:
        hosting, place = self._files.forge.hosting, None
        if self._vault is not None and self._pipeline is not None:
            names, registry = names_for(self._place.name), self._pipeline.image_repo
            place = RegistryPlace(
                self._vault,
                user=names["IMAGE_REPO_USER"],
                password=names["IMAGE_REPO_SECRET"],
                wanted=registry is not None and registry.password is None,
                others=self._wanted.secrets,
            )
        return Wiring(hosting, self._options.scm, self._context, place)

    @property
    def _recorded_names(self) -> tuple[list[str], list[str]]:
        return list(self._recorded.get("secrets") or ()), list(self._recorded.get("variables") or ())

    def _leave(self, target: Repository) -> None:
        """Leave nothing behind when the files move to another repository."""
        before = self._files.left_behind(target)
        if before is not None:
            self._forget(before)
            self._switched_on = False

    def _forget(self, location: str) -> None:
        """Remove what was set beside the files."""
        if self._webhook is not None:
            self._webhook.remove(location)
        self._empty_vault(location)

    def _empty_vault(self, location: str) -> None:
        """Remove the secrets and variables; switch a service off that was switched on for them."""
        if self._was_wired:
            self._wiring.remove(location, self._wired)
        if self._vault is not None:
            CiSecrets(self._vault, location).remove(*self._recorded_names)
        if self._service is not None and self._recorded.get("switchedOn"):
            self._service.deactivate(location)

    def _tell_what_is_missing(self, target: Repository) -> None:
        """Name the secrets that people have to set by hand."""
        if self._pipeline is None:
            return
        own = uses_own_token(self._pipeline, self._place) or self._upstream_has_registry
        needed = needed_by(self._pipeline, self._place.name, own_token=own)
        missing = [name for name in needed if name not in self._given]
        if missing and self._vault is not None:
            there = self._vault.secret_names(target.location)
            missing = [name for name in missing if name not in there]
        if missing:
            self._context.log.warning(f"set in {self._kind.title} by hand: {', '.join(missing)}")

    @property
    def _upstream_has_registry(self) -> bool:
        return bool(offers_of(self._context.upstream, self._context.log).registries)

    @property
    def _given(self) -> list[str]:
        return self._wanted.names if self._vault is not None else []

    def _status(
        self,
        there: FilesThere,
        branch: str,
        template: Mapping[str, Any] | None,
        wanted: Wanted | None = None,
    ) -> ResourceStatus:
        """Say what is there; ``wanted`` is None where what is recorded is looked for."""
        properties = there.properties(branch)
        if template is not None:
            properties["template"] = dict(template)
        location = there.repository.location
        if self._vault is not None:
            properties |= CiSecrets(self._vault, location).look(*self._names(wanted))
        if self._service is not None:
            properties["active"] = self._service.is_active(location)
            properties["switchedOn"] = self._switched_on
        hook = self._webhook.look(location) if self._webhook is not None else None
        if hook is not None or self._webhook_wanted is not None:
            properties["webhook"] = hook
        properties[NEIGHBOURS] = self._wiring.look(location, self._wired) if wanted is None else {}
        outputs: dict[str, Any] = {"repoURL": there.repository.url, "pipelineFile": next(iter(there.blobs))}
        if self._wired:
            outputs[NEIGHBOURS] = dict(self._wired)
        info = {"head": there.head}
        if there.waits:
            info["proposal"] = self._where_it_waits(there)
        return ResourceStatus(properties=properties, outputs=outputs, info=info)

    def _names(self, wanted: Wanted | None) -> tuple[list[str], list[str]]:
        if wanted is None and self._recorded.get("files"):
            return self._recorded_names
        names = wanted or self._wanted
        return list(names.secrets), list(names.variables)

    def _where_it_waits(self, there: FilesThere) -> str:
        hosting = self._files.forge.hosting
        found = hosting.proposal(there.repository.location, there.waits) if hosting else None
        return found.url if found else there.waits


def _tool(doc: str, options: type[PipelineOptions]) -> CiFiles:
    return CiFiles(doc, options, partial(pipeline_claims, options.kind_name))


GITHUB_ACTIONS = _tool("A workflow for GitHub Actions, written into a repository.", GithubActionsOptions)
GITEA_ACTIONS = _tool(
    "A workflow for Gitea (and Forgejo) Actions, written into a repository.", GiteaActionsOptions
)
GITLAB_CI = _tool("A pipeline for GitLab CI, written into a repository.", GitlabCiOptions)
BITBUCKET_PIPELINES = _tool(
    "A pipeline for Bitbucket Pipelines, written into a repository.", BitbucketOptions
)
CIRCLECI = _tool("A pipeline for CircleCI, written into a repository.", CircleCiOptions)
TRAVIS_CI = _tool("A pipeline for Travis CI, written into a repository.", TravisCiOptions)
CI_GENERIC = CiFiles("A pipeline of one's own, written into a repository.", GenericOptions, generic_claims)
