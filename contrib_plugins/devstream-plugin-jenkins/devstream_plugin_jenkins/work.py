"""`Work`: one call of a hook of ``jenkins-pipeline``."""

from __future__ import annotations

import secrets
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from devstream.api import OperationError, ResourceStatus, Secret
from devstream_plugin_jenkins.checkout import Checkout
from devstream_plugin_jenkins.client import JenkinsClient
from devstream_plugin_jenkins.credentials import JobCredentials, credential_id
from devstream_plugin_jenkins.jenkinsfile import jenkinsfile, template_of, wanted_secrets
from devstream_plugin_jenkins.job_config import JobPlan, job_config, paths_of, values_at
from devstream_plugin_jenkins.jobs import Jobs
from devstream_plugin_jenkins.needed_plugins import ensure_plugins
from devstream_plugin_jenkins.options import PIPELINE, script_name
from devstream_plugin_jenkins.registry_login import RegistryLogin
from devstream_plugin_jenkins.webhook import JobWebhook, takes_webhooks
from devstream_plugin_scm.ci_claims import pipeline_name
from devstream_plugin_scm.ci_secrets import CiSecrets
from devstream_plugin_scm.scm_files import KeptFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Context, Outputs, Tool, ToolState
    from devstream_plugin_jenkins.jobs import FoundJob
    from devstream_plugin_jenkins.options import JenkinsOptions
    from devstream_plugin_scm.ci_secrets import Wanted
    from devstream_plugin_scm.forge import Repository
    from devstream_plugin_scm.scm_files import FilesThere

__all__ = ["Work"]


class Work:
    """What a tool instance wants, and what there is of it.

    Args:
        recorded: what was recorded of it; None where nothing was.
    """

    def __init__(self, tool: Tool, recorded: ToolState | None, context: Context) -> None:
        self._options = _named(tool)
        self._context = context
        self._recorded: Mapping[str, Any] = recorded.properties if recorded else {}
        self._client = JenkinsClient(self._options.jenkins, context)
        self._jobs = Jobs(self._client, context, recorded)
        self._files = KeptFiles(self._options.scm, context, recorded)
        self._checkout = Checkout(self._options, self._files.forge, context.address)
        self._registry = RegistryLogin(self._options)
        self._template = template_of(self._options, context, self._recorded)
        self._wanted: Wanted = wanted_secrets(self._options)
        self._script = script_name(self._options.pipeline.name)
        self._hook_token = secrets.token_urlsafe(32)

    # ---- hooks

    def look(self) -> ResourceStatus | None:
        """Say what there is, changing nothing."""
        found = self._find()
        if found is None:
            return None
        files = self._files.look((self._script,))
        known, config = self._recorded.get("credentials"), self._recorded.get("config")
        names = list(known) if isinstance(known, dict) else self._credential_ids
        there = self._credentials(found.path).ids()
        paths = list(config) if isinstance(config, dict) else self._paths(files.repository) if files else []
        kept = {name: True if name in there else None for name in names}
        parts = _Parts(values_at(found.config, paths), kept, self._template.look())
        return self._status(found, self._kept(files), parts)

    def _kept(self, files: FilesThere | None) -> _Kept:
        location, branch = self._files.place
        if files is not None:
            return _Kept(files.repository.location, files.properties(branch), files.head)
        known = self._recorded.get("files")
        gone = dict.fromkeys(known if isinstance(known, dict) else [self._script])
        return _Kept("", {"repo": location, "branch": branch, "files": gone}, None)

    def bring_in_line(self) -> ResourceStatus:
        """Make or change what differs. Credentials come before the job, the job before the push that starts it."""
        path = self._options.job
        template = self._template.get()
        rendered = jenkinsfile(self._options, template.tree, self._context.address)
        found = self._find()
        if found is not None:
            self._jobs.check_ours(found)
        target = self._files.target()
        ensure_plugins(self._client, self._options, self._context)
        self._jobs.ensure_folders(path)
        if found is not None and found.path != path:
            self._client.move(found.path, path)
            found = self._existing(path)
        self._put_credentials(path, target)
        self._jobs.put(found, path, self._plan(target), self._values_left(target))
        self._put_webhook(target)
        self._leave_deploy_key(target)
        _, files = self._files.write(rendered)
        self._leave_behind(path)
        made = self._existing(path)
        kept = _Kept(files.repository.location, files.properties(self._files.branch), files.head)
        values = values_at(made.config, self._paths(target))
        return self._status(
            made, kept, _Parts(values, dict.fromkeys(self._credential_ids, True), template.pin)
        )

    def connect(self, upstream: Mapping[str, Outputs]) -> None:
        """Set what an upstream offers for the registry; empty it where none does any more."""
        self._registry.put(self._credentials(self._options.job), upstream, self._context.log)

    def start(self) -> None:
        """Let Jenkins look at the branches or build once: only then it knows what a push is about."""
        self._client.start(self._options.job)

    def remove(self) -> None:
        """Remove everything that is ours."""
        found = self._find()
        if found is not None:
            self._jobs.check_ours(found, leaving=True)
        repository = self._files.forge.describe(self._files.place[0])
        if repository is not None:
            self._files.remove((self._script,))
            if self._webhook is not None and self._recorded.get("webhook"):
                self._webhook.remove(repository.location)
            self._remove_deploy_key(repository.location)
        if found is not None:
            self._client.delete(found.path)
        for path in dict.fromkeys((self._place, found.path if found else self._place)):
            self._leave(path, self._known_credentials)

    # ---- the job

    def _find(self) -> FoundJob | None:
        """Find the job where it was made, or where a run that was killed has moved it."""
        found = self._jobs.find(self._place)
        if found is not None or self._options.job == self._place:
            return found
        moved = self._jobs.find(self._options.job)
        return moved if moved is not None and self._jobs.owned_id(moved) else None

    def _existing(self, path: str) -> FoundJob:
        found = self._jobs.find(path)
        if found is None:
            message = f"{self._client.page(path)} has vanished while it was being worked on"
            raise OperationError(message)
        return found

    def _paths(self, target: Repository) -> list[str]:
        """List the paths of the values that we write."""
        return paths_of(job_config(self._plan(target)))

    @property
    def _place(self) -> str:
        """Where the job was made; where it is to be, if it was not yet."""
        recorded = self._recorded.get("job")
        return recorded if isinstance(recorded, str) else self._options.job

    def _plan(self, target: Repository) -> JobPlan:
        options, repo = self._options, self._options.scm
        host, _, path = target.location.partition("/")
        owner, _, name = path.rpartition("/")
        web = urlsplit(target.web_url or "")
        return JobPlan(
            kind=options.kind,
            scm_type=repo.scm_type,
            server=repo.base_url.rstrip("/") or f"{web.scheme or 'https'}://{host}",
            owner=owner,
            name=name,
            clone_url=self._checkout.clone_url(target),
            branch=self._files.branch,
            credentials=self._checkout.credentials,
            key=self._checkout.key,
            script=self._script,
            source_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"devstream:{self._context.address}")),
            has_webhook=takes_webhooks(options) and self._webhook is not None,
            hook_token=self._hook_token,
            gitlab_server=options.jenkins.gitlab_server,
        )

    def _values_left(self, target: Repository) -> list[str]:
        """List the paths of values that were ours and that are not wanted any more."""
        known = self._recorded.get("config")
        return sorted(set(known) - set(self._paths(target))) if isinstance(known, dict) else []

    # ---- credentials

    def _credentials(self, path: str) -> JobCredentials:
        return JobCredentials(self._client, path.rpartition("/")[0], self._context.address)

    @property
    def _credential_ids(self) -> list[str]:
        names = [*self._checkout.names, *self._registry.names, *self._wanted.secrets]
        return [credential_id(self._context.address, name) for name in names]

    @property
    def _known_credentials(self) -> list[str]:
        known = self._recorded.get("credentials")
        return sorted({*self._credential_ids, *(known if isinstance(known, dict) else ())})

    def _put_credentials(self, path: str, target: Repository) -> None:
        """Set them all again: what Jenkins has cannot be read back."""
        kept = self._credentials(path)
        self._checkout.put(kept, target)
        self._registry.put(kept, self._context.upstream, self._context.log)
        CiSecrets(kept, "").put(self._wanted)

    def _leave_deploy_key(self, target: Repository) -> None:
        """Take the deploy key from a repository that is not built any more, or is cloned in another way now."""
        left = self._files.left_behind(target)
        if left is not None:
            self._remove_deploy_key(left)
        if not self._checkout.has_deploy_key:
            self._remove_deploy_key(target.location)

    def _remove_deploy_key(self, location: str) -> None:
        if self._checkout.deploy_key is not None and self._recorded.get("deployKey"):
            self._checkout.deploy_key.remove(location)

    def _forget(self, kept: JobCredentials, ids: list[str]) -> None:
        prefix = credential_id(self._context.address, "")
        for known in ids:
            if known.startswith(prefix):
                kept.delete_secret("", known.removeprefix(prefix))

    def _leave_behind(self, path: str) -> None:
        """Remove credentials that are not wanted any more, and what is left where the job was before."""
        wanted = set(self._credential_ids)
        if self._place.rpartition("/")[0] == path.rpartition("/")[0]:
            left = [known for known in self._known_credentials if known not in wanted]
            self._forget(self._credentials(path), left)
        else:
            self._leave(self._place, self._known_credentials)

    def _leave(self, path: str, ids: list[str]) -> None:
        kept = self._credentials(path)
        self._forget(kept, ids)
        self._jobs.leave_folders(path, is_empty=not kept.ids())

    # ---- the webhook

    @cached_property
    def _webhook(self) -> JobWebhook | None:
        hosting = self._files.forge.hosting
        if hosting is None or self._options.scm.token is None:
            return None
        return JobWebhook(hosting, self._options, self._context)

    def _put_webhook(self, target: Repository) -> None:
        webhook = self._webhook
        if webhook is None:
            if takes_webhooks(self._options):
                self._context.log.warning("without scm.token there is no webhook: Jenkins looks by itself")
            return
        left = self._files.left_behind(target)
        if left is not None:
            webhook.remove(left)
        if takes_webhooks(self._options):
            webhook.put(target.location, self._hook_secret)
        elif self._recorded.get("webhook"):
            webhook.remove(target.location)

    @property
    def _hook_secret(self) -> Secret | None:
        """A job of GitLab's has a secret of its own, a new one with each update; others share what Jenkins has."""
        options = self._options
        if options.scm.scm_type == "gitlab" and options.kind == PIPELINE:
            return Secret.plain(self._hook_token)
        return options.jenkins.webhook_secret

    # ---- what there is

    def _status(self, found: FoundJob, kept: _Kept, parts: _Parts) -> ResourceStatus:
        webhook = self._webhook if takes_webhooks(self._options) and kept.location else None
        key = self._checkout.deploy_key if self._checkout.has_deploy_key else None
        newest = {"template": self._template.latest()} if self._context.thorough else {}
        return ResourceStatus(
            properties={
                "job": found.path,
                "id": self._jobs.owned_id(found),
                "kind": found.kind,
                "config": dict(parts.values),
                "credentials": dict(parts.credentials),
                "webhook": webhook.look(kept.location) if webhook else None,
                "deployKey": key.look(kept.location, self._credentials(found.path)) if key else None,
                "template": dict(parts.template),
                **kept.properties,
            },
            outputs={
                "jobURL": self._client.page(found.path),
                "jobName": found.path,
                "pipelineFile": self._script,
            },
            info={"head": kept.head, **newest},
        )


def _named(tool: Tool) -> JenkinsOptions:
    """Give the options; a pipeline without a name has that of its app's ci item."""
    from msgspec.structs import replace

    options: JenkinsOptions = tool.options
    name = pipeline_name(tool.address, tool.app, options.pipeline.name)
    return replace(options, pipeline=replace(options.pipeline, name=name))


class _Parts(NamedTuple):
    """What is compared of the job, of its credentials by their ids, and of the Jenkinsfile's template."""

    values: Mapping[str, str | None]
    credentials: Mapping[str, bool | None]
    template: Mapping[str, Any]


class _Kept(NamedTuple):
    """What the repository has of ours.

    Attributes:
        location: where it is; empty where it, or the branch, has gone.
        head: the branch's commit.
    """

    location: str
    properties: Mapping[str, Any]
    head: str | None
