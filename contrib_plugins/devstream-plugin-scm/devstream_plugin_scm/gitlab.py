"""`GitLab`: projects on gitlab.com and on GitLabs of one's own, by python-gitlab."""

from __future__ import annotations

import re
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from devstream.api import OperationError, RetryableError, nearest
from devstream_plugin_scm.gitlab_api import API, GitLabAPI
from devstream_plugin_scm.hosting import Hosted, Login, description_of, marked_address
from devstream_plugin_scm.places import place_of, split_location
from devstream_plugin_scm.rest import RestError, check_clear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gitlab import Gitlab
    from gitlab.v4.objects import Project

    from devstream.api import Context, Secret
    from devstream_plugin_scm.forge import Mark
    from devstream_plugin_scm.hosting import DeployKey, Proposal, Webhook
    from devstream_plugin_scm.repository import RepoInfo

__all__ = ["GitLab"]

DEFAULT_URL = "https://gitlab.com"
_LOGIN = "oauth2"
_SCHEDULED = re.compile(r"-deletion_scheduled-\d+(?:/|$)")
"""How GitLab renames what it deletes later, and groups with everything in them."""
_TAKEN = "has already been taken"
_STILL_DELETED = "still being deleted"


class GitLab:
    """Projects on one GitLab, in the namespaces of users and in groups of any depth.

    Changes go to a project's id, which is looked up first: so they reach it after a rename by hand too.

    Args:
        repo: says where it is and with which token.

    Attributes:
        patience: seconds that something GitLab does later is waited for.
    """

    patience: float = 30.0

    def __init__(self, repo: RepoInfo, context: Context) -> None:
        self._place = place_of(repo, DEFAULT_URL)
        service = repo.api_url.rstrip("/").removesuffix(API) or self._place.url
        for url in (self._place.url, service):
            check_clear(url, allow_http=repo.allow_http)
        self._repo = repo
        self._context = context
        ca_file = context.folder / repo.ca_file if repo.ca_file else None
        self._api = GitLabAPI(context, service, token=repo.token, ca_file=ca_file)

    @cached_property
    def _gitlab(self) -> Gitlab:
        from devstream_plugin_scm.gitlab_client import client

        return client(self._api)

    # ---- projects

    def locate(self, repo: RepoInfo) -> str:
        """Give ``host/group/subgroup/name``, however many groups there are."""
        namespace = repo.name_space or repo.namespace
        below = urlsplit(self._place.url).path.strip("/")
        if below and not repo.name_space and not (repo.owner or repo.org):
            namespace = namespace.removeprefix(f"{below}/")
        return f"{self._place.host}/{namespace}/{repo.short_name}"

    def find(self, location: str) -> Hosted | None:
        """Look a project up; GitLab sends old names on to new ones. One that waits to be deleted is gone."""
        found = self._look(location)
        return None if found is None or _is_leaving(found.attributes) else self._hosted(found.attributes)

    def _look(self, location: str) -> Project | None:
        namespace, name = split_location(location, self._place.host)
        try:
            return self._gitlab.projects.get(f"{namespace}/{name}")
        except RestError as error:
            if error.status == 404:
                return None
            raise

    def _project(self, location: str) -> Project:
        found = self._look(location)
        if found is None or _is_leaving(found.attributes):
            message = f"there is no project {location}, or the token may not see it"
            raise OperationError(message)
        return found

    def _hosted(self, found: Mapping[str, Any]) -> Hosted:
        """Describe a project. Git shows the token to the address that users named, whatever GitLab calls itself."""
        path = found["path_with_namespace"]
        return Hosted(
            id=str(found["id"]),
            location=f"{self._place.host}/{path}",
            clone_url=f"{self._place.url}/{path}.git",
            web_url=found["web_url"],
            default_branch=found.get("default_branch") or "",
            address=marked_address(found.get("description")),
            visibility=found.get("visibility") or "",
            archived=bool(found.get("archived")),
            ssh_url=found.get("ssh_url_to_repo") or "",
        )

    def create(self, location: str, *, mark: Mark, visibility: str) -> Hosted:
        """Make an empty project in a namespace that is there: groups are not made."""
        namespace, name = split_location(location, self._place.host)
        wanted = {
            "name": name,
            "path": name,
            "namespace_id": self._namespace(namespace),
            "description": description_of(mark),
            "visibility": visibility or "private",
            "initialize_with_readme": False,
        }
        try:
            return self._hosted(self._gitlab.projects.create(wanted).attributes)
        except RestError as error:
            return self._made_before(location, error)

    def _made_before(self, location: str, error: RestError) -> Hosted:
        """Give the project that is there though it could not be made, or say why there is none."""
        taken = _TAKEN in str(error)
        there = self._look(location) if taken or error.unsettled else None
        if there is not None and not _is_leaving(there.attributes):
            return self._hosted(there.attributes)
        if _STILL_DELETED in str(error):
            message = f"GitLab is still deleting the project that was at {location}"
            raise RetryableError(message, suggestion="run again in a minute") from None
        if there is not None:
            message = (
                f"{location} waits to be deleted ({_deletion_date(there)}) and keeps its path until then"
            )
            raise OperationError(
                message,
                suggestion="restore it, or delete it at once (Settings > General > Advanced), or take another name",
            ) from None
        if taken:
            message = f"{error.diagnostic.summary}: another project there, which the token may not see, has this path or name"
            raise RestError(message, status=error.status, suggestion="take another name") from None
        raise error

    def _namespace(self, path: str) -> int:
        """Give the id of a user's namespace or of a group.

        Raises:
            OperationError: there is none that the token can see; the nearest parent is named.
        """
        found = self._known_namespace(path)
        if found is not None:
            return found
        steps = path.split("/")
        parents = ("/".join(steps[:depth]) for depth in range(len(steps) - 1, 0, -1))
        parent = next((parent for parent in parents if self._known_namespace(parent) is not None), "")
        message = f"{self._place.host} has no group {path} that the token can see"
        if parent:
            message += f"; the nearest one that is there is {parent}"
        near = nearest(path, [one.full_path for one in self._gitlab.namespaces.list(get_all=False)])
        raise OperationError(message, suggestion=near or "make it there first: groups are not made from here")

    def _known_namespace(self, path: str) -> int | None:
        try:
            found = self._gitlab.namespaces.get(path)
        except RestError as error:
            if error.status == 404:
                return None
            raise
        # A path of digits alone would be taken for the id of somebody's namespace.
        return int(found.id) if found.full_path.casefold() == path.casefold() else None

    def move(self, location: str, target: str) -> Hosted:
        """Rename, transfer, or both; what an earlier attempt did is not done again."""
        project = self._project(location)
        namespace, name = split_location(target, self._place.host)
        here, _, old = project.path_with_namespace.rpartition("/")
        if old != name:
            shown = {"name": name} if project.name == old else {}  # people may have called it something nicer
            self._gitlab.projects.update(project.id, {"path": name, **shown})
        if here != namespace:
            project.transfer(self._namespace(namespace))
        return self._moved(project, target)

    def _moved(self, project: Project, target: str) -> Hosted:
        found = self._hosted(self._gitlab.projects.get(project.id).attributes)
        if found.location.casefold() != target.casefold():
            message = f"{found.location} did not become {target}"
            raise OperationError(message)
        return found

    def delete(self, location: str) -> None:
        """Remove a project; where GitLab keeps deleted projects for a while, it can be restored there."""
        found = self._look(location)
        if found is None or _is_leaving(found.attributes):
            return
        try:
            self._gitlab.projects.delete(found.id)
        except RestError as error:
            if error.status != 404 and self.find(location) is not None:
                raise

    def set_default_branch(self, location: str, branch: str) -> None:
        """Make a branch the default one; GitLab hears of pushed branches a little later than git."""
        project = self._project(location)
        until = time.monotonic() + self.patience
        while True:
            try:
                self._gitlab.projects.update(project.id, {"default_branch": branch})
            except RestError as error:
                if error.status != 400 or time.monotonic() > until or not _has_branch(project, branch):
                    raise
                self._api.pause()
            else:
                return

    def set_topics(self, location: str, topics: Sequence[str]) -> None:
        """Replace the topics."""
        self._gitlab.projects.update(self._project(location).id, {"topics": list(topics)})

    def login(self) -> Login | None:
        """Give the token: as a password it goes with any user."""
        token = self._repo.token
        return Login(self._repo.user or _LOGIN, token) if token else None

    # ---- merge requests

    def proposal(self, location: str, branch: str) -> Proposal | None:
        """Find the newest merge request from a branch."""
        from devstream_plugin_scm import gitlab_merge_requests

        return gitlab_merge_requests.newest(self._project(location), branch)

    def propose(self, location: str, *, branch: str, base: str, title: str, body: str) -> Proposal:
        """Open a merge request."""
        from devstream_plugin_scm import gitlab_merge_requests

        project = self._project(location)
        return gitlab_merge_requests.propose(project, branch=branch, base=base, title=title, body=body)

    def merge(self, location: str, proposal: Proposal) -> None:
        """Merge a merge request, in the way that the project is set to."""
        from devstream_plugin_scm import gitlab_merge_requests

        gitlab_merge_requests.merge(self._project(location), proposal, self._api, self.patience)

    def decline(self, location: str, proposal: Proposal) -> None:
        """Close a merge request."""
        self._project(location).mergerequests.update(proposal.number, {"state_event": "close"})

    # ---- webhooks

    def webhooks(self, location: str) -> Sequence[Webhook]:
        """List the webhooks."""
        from devstream_plugin_scm import gitlab_webhooks

        return gitlab_webhooks.listed(self._project(location))

    def put_webhook(self, location: str, hook: Webhook, secret: Secret | None) -> Webhook:
        """Make or change a webhook."""
        from devstream_plugin_scm import gitlab_webhooks

        return gitlab_webhooks.put(self._project(location), hook, secret)

    def delete_webhook(self, location: str, hook_id: str) -> None:
        """Remove a webhook."""
        from devstream_plugin_scm import gitlab_webhooks

        gitlab_webhooks.delete(self._project(location), hook_id)

    # ---- deploy keys

    def deploy_keys(self, location: str) -> Sequence[DeployKey]:
        """List the deploy keys."""
        from devstream_plugin_scm import gitlab_deploy_keys

        return gitlab_deploy_keys.listed(self._project(location))

    def put_deploy_key(self, location: str, key: DeployKey) -> DeployKey:
        """Make a deploy key; one that another project of the user's has is shared, under the title it has there."""
        from devstream_plugin_scm import gitlab_deploy_keys

        return gitlab_deploy_keys.put(self._project(location), location, key)

    def delete_deploy_key(self, location: str, key_id: str) -> None:
        """Remove a deploy key from the project."""
        from devstream_plugin_scm import gitlab_deploy_keys

        gitlab_deploy_keys.delete(self._project(location), key_id)

    # ---- CI/CD variables

    def secret_names(self, location: str) -> frozenset[str]:
        """List the names of the secret CI/CD variables."""
        from devstream_plugin_scm import gitlab_variables

        return gitlab_variables.secret_names(self._project(location))

    def put_secret(self, location: str, name: str, value: Secret) -> None:
        """Set a protected CI/CD variable, masked where GitLab can mask it."""
        from devstream_plugin_scm import gitlab_variables

        gitlab_variables.put_secret(self._project(location), name, value.reveal(), self._context.log)

    def delete_secret(self, location: str, name: str) -> None:
        """Remove a secret CI/CD variable."""
        from devstream_plugin_scm import gitlab_variables

        gitlab_variables.delete(self._project(location), name, secret=True)

    def variables(self, location: str) -> dict[str, str]:
        """Give the CI/CD variables that are not secret."""
        from devstream_plugin_scm import gitlab_variables

        return gitlab_variables.plain_values(self._project(location))

    def put_variable(self, location: str, name: str, value: str) -> None:
        """Set a CI/CD variable that is not secret."""
        from devstream_plugin_scm import gitlab_variables

        gitlab_variables.put_plain(self._project(location), name, value)

    def delete_variable(self, location: str, name: str) -> None:
        """Remove a CI/CD variable that is not secret."""
        from devstream_plugin_scm import gitlab_variables

        gitlab_variables.delete(self._project(location), name, secret=False)


def _is_leaving(found: Mapping[str, Any]) -> bool:
    """Tell whether a project, or a group that it is in, waits to be deleted."""
    marked = any(
        found.get(sign) for sign in ("marked_for_deletion_on", "marked_for_deletion_at", "pending_delete")
    )
    return marked or _SCHEDULED.search(found["path_with_namespace"]) is not None


def _has_branch(project: Project, branch: str) -> bool:
    try:
        project.branches.get(branch)
    except RestError as error:
        if error.status == 404:
            return False
        raise
    return True


def _deletion_date(found: Project) -> str:
    return f"marked on {found.attributes.get('marked_for_deletion_on') or 'an unknown day'}"
