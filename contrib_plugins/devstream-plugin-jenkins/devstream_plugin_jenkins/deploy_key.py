"""`JobDeployKey`: the key by which a job clones over ssh, half of it in Jenkins and half of it in the repository.

A pair is made here, and its private half goes nowhere but into Jenkins, which does not show it again. So the credential's
description says which public key it belongs to: where the repository has just this key, there is nothing to do; anything
else (one half is missing, or a run was killed between the two) is replaced by a new pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.api import Secret
from devstream_plugin_jenkins.credentials import KEY
from devstream_plugin_scm.deploy_keys import fingerprint
from devstream_plugin_scm.hosting import DeployKey, deploy_key_title

if TYPE_CHECKING:
    from devstream.api import Address
    from devstream_plugin_jenkins.credentials import JobCredentials
    from devstream_plugin_scm.hosting import Hosting

__all__ = ["JobDeployKey", "KeyPair"]


class KeyPair(NamedTuple):
    """An ed25519 key: ``public`` as deploy keys are written, ``private`` as ssh reads it."""

    public: str
    private: Secret

    @classmethod
    def new(cls) -> KeyPair:
        """Make a pair; nothing is written anywhere."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
            PublicFormat,
        )

        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        return cls(public.decode(), Secret.plain(private.decode()))


class JobDeployKey:
    """The deploy key of one tool instance.

    Args:
        address: the tool's, by which the key is marked in the repository.
    """

    def __init__(self, hosting: Hosting, address: Address) -> None:
        self._hosting = hosting
        self._title = deploy_key_title(str(address))

    def look(self, location: str, kept: JobCredentials) -> dict[str, Any]:
        """Give what is compared: which keys the repository has of ours, and which one Jenkins has.

        Args:
            location: the repository's; empty where it has gone.
        """
        keys = self._ours(location) if location else []
        return {"repository": sorted(_shown(key) for key in keys), "jenkins": self._in_jenkins(kept)}

    def put(self, location: str, kept: JobCredentials, user: str) -> None:
        """See to it that the repository has the key whose private half Jenkins has, and no other one of ours.

        A new pair is only made where no pair works, so that taking the old key away first interrupts nobody.
        """
        ours, known = self._ours(location), self._in_jenkins(kept)
        works = next((key for key in ours if _shown(key) == known), None)
        for key in ours:
            if key is not works:
                self._hosting.delete_deploy_key(location, key.id)
        if works is None:
            pair = KeyPair.new()
            self._hosting.put_deploy_key(location, DeployKey(self._title, pair.public))
            kept.put_key(user, pair.private, detail=fingerprint(pair.public))

    def remove(self, location: str) -> None:
        """Take it from the repository; that it is gone already is fine."""
        for key in self._ours(location):
            self._hosting.delete_deploy_key(location, key.id)

    def _ours(self, location: str) -> list[DeployKey]:
        return [key for key in self._hosting.deploy_keys(location) if key.title == self._title]

    @staticmethod
    def _in_jenkins(kept: JobCredentials) -> str | None:
        return kept.details().get(KEY) or None


def _shown(key: DeployKey) -> str:
    return fingerprint(key.key) if key.read_only else f"{fingerprint(key.key)} (may push)"
