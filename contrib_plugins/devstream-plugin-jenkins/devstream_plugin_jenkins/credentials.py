"""`JobCredentials`: credentials that Jenkins keeps for one tool instance, with ids that nobody else has.

They are in the store of the job's folder; those of a job without a folder in the one of Jenkins itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream_plugin_jenkins.client import JenkinsError
from devstream_plugin_jenkins.xml_text import element, write

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from devstream.api import Address, Secret
    from devstream_plugin_jenkins.client import JenkinsClient

__all__ = ["JobCredentials", "SCM", "credential_id"]

SCM = "scm"
"""Name of what Jenkins clones with."""
_USER = "com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl"
_KEY = "com.cloudbees.jenkins.plugins.sshcredentials.impl.BasicSSHUserPrivateKey"
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
        try:
            found = self._domain.api_json(tree="credentials[id]")
        except JenkinsError as error:
            if error.status == 404:
                return frozenset()
            raise
        return frozenset(item["id"] for item in found["credentials"])

    def secret_names(self, location: str) -> frozenset[str]:  # noqa: ARG002 - one place is all there is
        """List the names of ours."""
        prefix = credential_id(self._address, "")
        return frozenset(known.removeprefix(prefix) for known in self.ids() if known.startswith(prefix))

    def put_login(self, user: str, password: Secret) -> None:
        """Set what Jenkins clones with over https."""
        self._put(SCM, _USER, [element("username", user), element("password", password.reveal())])

    def put_key(self, user: str, key: Secret) -> None:
        """Set what Jenkins clones with over ssh."""
        source = element(
            "privateKeySource",
            [element("privateKey", key.reveal())],
            of=f"{_KEY}$DirectEntryPrivateKeySource",
        )
        self._put(SCM, _KEY, [element("username", user), source])

    def put_secret(self, location: str, name: str, value: Secret) -> None:  # noqa: ARG002 - one place is all there is
        """Set a text that pipelines ask for by its id."""
        self._put(name, _TEXT, [element("secret", value.reveal())])

    def _put(self, name: str, kind: str, parts: list[ET.Element]) -> None:
        wanted = credential_id(self._address, name)
        known = {"scope": "GLOBAL", "id": wanted, "description": self._about}
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
