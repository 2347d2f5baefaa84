"""`JobCredentials`: credentials that Jenkins keeps for one tool instance, with ids that nobody else has.

They are in the store of the job's folder; those of a job without a folder in the one of Jenkins itself. Requests and answers
are those of `CredentialsStoreAction` in the credentials plugin: XML that is taken is answered with 200, an id that is there
with 409, `doDelete` with a redirect; what is secret is redacted from what is shown. Keys are written as
`BasicSSHUserPrivateKey` of the ssh-credentials plugin reads them, with the key itself in `DirectEntryPrivateKeySource`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream_plugin_jenkins.client import JenkinsError
from devstream_plugin_jenkins.xml_text import element, write

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from devstream.api import Address, Secret
    from devstream_plugin_jenkins.client import JenkinsClient

__all__ = ["JobCredentials", "KEY", "SCM", "credential_id"]

SCM = "scm"
"""Name of what Jenkins clones with over https, and asks the forge's API with."""
KEY = "ssh"
"""Name of what Jenkins clones with over ssh."""
_USER = "com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl"
_SSH_KEY = "com.cloudbees.jenkins.plugins.sshcredentials.impl.BasicSSHUserPrivateKey"
_TEXT = "org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl"


def credential_id(address: Address, name: str) -> str:
    """Name a credential: no two tool instances of one configuration have the same.

    >>> from devstream.api import Address
    >>> credential_id(Address("jenkins-pipeline", "shop"), "scm")
    'devstream-jenkins-pipeline.shop-scm'
    """
    return f"devstream-{address}-{name}"


class JobCredentials:
    """The credentials of one tool instance in one folder; what keeps secrets for `CiSecrets`.

    Args:
        folder: its path; empty for Jenkins itself.
        address: whose they are.
    """

    def __init__(self, client: JenkinsClient, folder: str, address: Address) -> None:
        from api4jenkins.credential import Domain  # type: ignore[import-untyped]  # it has no types

        store = f"{client.page(folder)}credentials/store/{'folder' if folder else 'system'}/domain/_/"
        self._domain: Any = Domain(client.folder(folder).jenkins, store)
        self._address = address
        self._about = f"made by devstream for {address}"

    def ids(self) -> frozenset[str]:
        """List the ids of everything in the folder's store, ours and others'; nothing where it is gone."""
        return frozenset(self._descriptions())

    def _descriptions(self) -> dict[str, str]:
        try:
            found = self._domain.api_json(tree="credentials[id,description]")
        except JenkinsError as error:
            if error.status == 404:
                return {}
            raise
        return {item["id"]: item.get("description") or "" for item in found["credentials"]}

    def details(self) -> dict[str, str]:
        """Give ours by name, each with what its description says beside whose it is; empty for nothing."""
        prefix, found = credential_id(self._address, ""), self._descriptions()
        return {
            known.removeprefix(prefix): self._detail_in(text)
            for known, text in found.items()
            if known.startswith(prefix)
        }

    def _detail_in(self, description: str) -> str:
        ours, found, rest = description.partition(self._about)
        return rest.strip(" ()") if found and not ours else ""

    def secret_names(self, location: str) -> frozenset[str]:  # noqa: ARG002 - one place is all there is
        """List the names of ours."""
        return frozenset(self.details())

    def put_login(self, user: str, password: Secret) -> None:
        """Set what Jenkins clones with over https."""
        self._put(SCM, _USER, [element("username", user), element("password", password.reveal())])

    def put_key(self, user: str, key: Secret, *, detail: str = "") -> None:
        """Set what Jenkins clones with over ssh; ``detail`` is said in its description."""
        source = element(
            "privateKeySource",
            [element("privateKey", key.reveal())],
            of=f"{_SSH_KEY}$DirectEntryPrivateKeySource",
        )
        self._put(KEY, _SSH_KEY, [element("username", user), source], detail)

    def put_secret(self, location: str, name: str, value: Secret, *, detail: str = "") -> None:  # noqa: ARG002 - one place is all there is
        """Set a text that pipelines ask for by its id; ``detail`` is said in its description."""
        self._put(name, _TEXT, [element("secret", value.reveal())], detail)

    def _put(self, name: str, kind: str, parts: list[ET.Element], detail: str = "") -> None:
        wanted = credential_id(self._address, name)
        about = f"{self._about} ({detail})" if detail else self._about
        known = {"scope": "GLOBAL", "id": wanted, "description": about}
        document = write(element(kind, [*(element(tag, text) for tag, text in known.items()), *parts]))
        if wanted in self.ids():
            self._one(wanted).configure(document)
        else:
            self._domain.create(document)

    def _one(self, known: str) -> Any:
        from api4jenkins.credential import Credential

        return Credential(self._domain.jenkins, f"{self._domain.url}credential/{known}/")

    def delete_secret(self, location: str, name: str) -> None:  # noqa: ARG002 - one place is all there is
        """Remove one of ours; that it is gone already is fine."""
        try:
            self._one(credential_id(self._address, name)).delete()
        except JenkinsError as error:
            if error.status != 404:
                raise

    def variables(self, location: str) -> dict[str, str]:  # noqa: ARG002 - there are none
        """Give nothing: what is no secret is written into the Jenkinsfile."""
        return {}

    def put_variable(self, location: str, name: str, value: str) -> None:
        """Do nothing: what is no secret is written into the Jenkinsfile."""

    def delete_variable(self, location: str, name: str) -> None:
        """Do nothing, as there are none."""
