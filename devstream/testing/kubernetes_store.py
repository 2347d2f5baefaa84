"""What the API server of the stand-in keeps: objects with versions, as etcd and the registry above it do."""

from __future__ import annotations

import copy
import os
import threading
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.testing.kubernetes_rules import check, check_change
from devstream.testing.kubernetes_selectors import field_selector, label_selector
from devstream.testing.kubernetes_status import (
    Cause,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    gone,
    internal,
    invalid,
    not_found,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Change", "Place", "Store"]

_REMEMBERED = 100
"""Changes that a watch can still be told of."""

_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_OLD_LIST = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
_KINDS = {"configmaps": "ConfigMap", "namespaces": "Namespace"}


class Place(NamedTuple):
    """Where an object is. A namespace is in none."""

    resource: str
    namespace: str
    name: str

    @property
    def kind(self) -> str:
        """The kind of the objects of its resource."""
        return _KINDS[self.resource]


class Change(NamedTuple):
    """What a watch tells: ADDED, MODIFIED or DELETED, and the object."""

    revision: int
    kind: str
    place: Place
    content: dict[str, Any]


class Store:
    """Objects by place. Every method may be called from several threads; contents are never changed in place.

    Args:
        authority: the certificate (PEM) that every new namespace is given in a ConfigMap, as in a real cluster.

    Attributes:
        changed: notified after each change.
        quotas: how many ConfigMaps a namespace may have, where that is limited.
    """

    def __init__(self, authority: str) -> None:
        self._authority = authority
        self.changed = threading.Condition(threading.RLock())
        self.quotas: dict[str, int] = {}
        self._revision = 1
        self._oldest = 0
        self._objects: dict[Place, dict[str, Any]] = {}
        self._changes: list[Change] = []
        self._pages: dict[str, tuple[int, list[Place], list[dict[str, Any]]]] = {}

    # -- one object

    def read(self, place: Place) -> dict[str, Any]:
        """Give an object.

        Raises:
            ApiStatus: there is none (404).
        """
        with self.changed:
            found = self._objects.get(place)
        if found is None:
            raise not_found(place.resource, place.name)
        return found

    def create(self, place: Place, content: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Add an object; the name may come from ``generateName``.

        Raises:
            ApiStatus: the namespace is missing or on its way out, a field is wrong, the quota is used up, it exists.
        """
        with self.changed:
            metadata = dict(content["metadata"])
            if place.namespace and metadata.setdefault("namespace", place.namespace) != place.namespace:
                message = (
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
                raise bad_request(message)
            if not metadata.get("name") and metadata.get("generateName"):
                metadata["name"] = metadata["generateName"] + os.urandom(3).hex()[:5]
            place = place._replace(name=metadata.get("name", ""))
            self._admit(place)
            wanted_version = metadata.pop("resourceVersion", "")
            metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": _now()}
            new = {**content, "metadata": metadata, "apiVersion": "v1", "kind": place.kind}
            if place.resource == "namespaces":
                new["status"] = {"phase": "Active"}
            _refuse(place, check(place.kind, new))
            self._check_quota(place)
            if wanted_version.isdecimal() and int(wanted_version):
                message = "resourceVersion should not be set on objects to be created"
                raise internal(message)
            if place in self._objects:
                raise already_exists(place.resource, place.name)
            made = self._put(place, new, "ADDED", dry_run=dry_run)
            if place.resource == "namespaces" and not dry_run:
                content = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": self._authority}}
                self.create(Place("configmaps", place.name, ""), content)
            return made

    def replace(self, place: Place, content: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Replace an object. Without ``resourceVersion``, or with "0", whatever is there is overwritten.

        Raises:
            ApiStatus: it is missing, another one, or no longer the one that was meant; a field is wrong.
        """
        with self.changed:
            _check_names(place, content["metadata"])
            old, metadata = self._objects.get(place), dict(content["metadata"])
            metadata.setdefault("namespace", place.namespace)
            uid = old["metadata"]["uid"] if old else ""
            if metadata.get("uid") and metadata["uid"] != uid:
                raise conflict(place.resource, place.name, _other_uid(place, metadata["uid"], uid))
            if old is None:
                raise not_found(place.resource, place.name)
            if _version_of(metadata) not in (0, int(old["metadata"]["resourceVersion"])):
                raise conflict(place.resource, place.name, _MODIFIED)
            new = {**content, "metadata": metadata, "apiVersion": "v1", "kind": place.kind}
            _refuse(place, check_change(place.kind, old, new))
            metadata |= {name: old["metadata"][name] for name in _KEPT if name in old["metadata"]}
            metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
            if _comparable(new) == _comparable(old):
                return old
            if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
                return self._remove(place, dry_run=dry_run)
            return self._put(place, new, "MODIFIED", dry_run=dry_run)

    def delete(
        self, place: Place, preconditions: Mapping[str, str], *, dry_run: bool = False
    ) -> tuple[dict[str, Any], bool]:
        """Delete an object; one with finalizers is only marked.

        Returns:
            The object, and whether it is gone.

        Raises:
            ApiStatus: it is missing, or not the one that was meant.
        """
        with self.changed:
            old = self.read(place)
            for name, word, what in (
                ("uid", "UID", "deleted and then recreated"),
                ("resourceVersion", "ResourceVersion", "modified"),
            ):
                wanted, found = preconditions.get(name), old["metadata"][name]
                if wanted is not None and wanted != found:
                    why = f"the {word} in the precondition ({wanted}) does not match the {word} in record ({found}). The object might have been {what}"
                    raise conflict(place.resource, place.name, why)
            if place.resource == "namespaces":
                return self._terminate(place, old, dry_run=dry_run), False
            if old["metadata"].get("finalizers"):
                return self._mark(place, old, dry_run=dry_run), False
            return self._remove(place, dry_run=dry_run), True

    def _mark(self, place: Place, old: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
        if "deletionTimestamp" in old["metadata"]:
            return old
        metadata = {**old["metadata"], "deletionTimestamp": _now(), "deletionGracePeriodSeconds": 0}
        return self._put(place, {**old, "metadata": metadata}, "MODIFIED", dry_run=dry_run)

    def _terminate(self, place: Place, old: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
        """Begin to delete a namespace; it stays in that state until `finish_namespace`."""
        metadata = {**old["metadata"], "deletionTimestamp": _now()}
        new = {**old, "metadata": metadata, "status": {"phase": "Terminating"}}
        return self._put(place, new, "MODIFIED", dry_run=dry_run)

    def finish_namespace(self, name: str) -> None:
        """Remove a namespace with all that is in it."""
        with self.changed:
            for place in [*self._objects]:
                if place.namespace == name or (place.resource, place.name) == ("namespaces", name):
                    self._remove(place, dry_run=False)

    def _admit(self, place: Place) -> None:
        """Refuse what is to be made in a namespace that is missing or being deleted."""
        if not place.namespace:
            return
        namespace = self._objects.get(Place("namespaces", "", place.namespace))
        if namespace is None:
            raise not_found("namespaces", place.namespace)
        if namespace["status"]["phase"] == "Terminating":
            why = (
                f"unable to create new content in namespace {place.namespace} because it is being terminated"
            )
            told = f"namespace {place.namespace} is being terminated"
            cause = Cause("metadata.namespace", "NamespaceTerminating", told)
            raise forbidden(place.resource, place.name, why, [cause])

    def _check_quota(self, place: Place) -> None:
        limit = self.quotas.get(place.namespace)
        used = sum(other[:2] == place[:2] for other in self._objects)
        if limit is not None and used >= limit:
            counted = f"count/{place.resource}"
            why = f"exceeded quota: objects, requested: {counted}=1, used: {counted}={used}, limited: {counted}={limit}"
            raise forbidden(place.resource, place.name, why)

    def _put(self, place: Place, content: dict[str, Any], kind: str, *, dry_run: bool) -> dict[str, Any]:
        if dry_run:
            return content
        self._revision += 1
        metadata = {**content["metadata"], "resourceVersion": str(self._revision)}
        new = copy.deepcopy({**content, "metadata": metadata})
        self._objects[place] = new
        self._tell(Change(self._revision, kind, place, new))
        return new

    def _remove(self, place: Place, *, dry_run: bool) -> dict[str, Any]:
        if dry_run:
            return self._objects[place]
        self._revision += 1
        old = self._objects.pop(place)
        gone_now = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self._revision)}}
        self._tell(Change(self._revision, "DELETED", place, gone_now))
        return old

    def _tell(self, change: Change) -> None:
        if len(self._changes) == _REMEMBERED:
            self._oldest = self._changes.pop(0).revision
        self._changes.append(change)
        self.changed.notify_all()

    # -- many objects

    def find(self, place: Place, query: Mapping[str, str]) -> dict[str, Any]:
        """List objects, a page at a time where ``limit`` is given.

        Args:
            place: its resource and namespace; no namespace means all.
            query: limit, continue, labelSelector, fieldSelector.

        Raises:
            ApiStatus: a selector or token cannot be read (400); the page has been compacted away (410).
        """
        with self.changed:
            if query.get("continue"):
                revision, places, items = self._next_page(query["continue"])
            else:
                revision, (places, items) = self._revision, self._matching(place, query)
            limit = int(query.get("limit") or 0) or len(items)
            metadata: dict[str, Any] = {"resourceVersion": str(revision)}
            if len(items) > limit:
                token = f"page-{len(self._pages)}-{uuid.uuid4().hex}"
                self._pages[token] = (revision, places[limit:], items[limit:])
                metadata["continue"] = token
                if not query.get("labelSelector") and not query.get("fieldSelector"):
                    metadata["remainingItemCount"] = len(items) - limit
        bare = [
            {name: part for name, part in item.items() if name not in ("kind", "apiVersion")}
            for item in items[:limit]
        ]
        return {"kind": f"{place.kind}List", "apiVersion": "v1", "metadata": metadata, "items": bare}

    def _matching(self, place: Place, query: Mapping[str, str]) -> tuple[list[Place], list[dict[str, Any]]]:
        labelled = label_selector(query.get("labelSelector", ""))
        named = field_selector(query.get("fieldSelector", ""))
        found = [
            (where, item)
            for where, item in sorted(self._objects.items(), key=lambda entry: entry[0])
            if where.resource == place.resource
            and place.namespace in ("", where.namespace)
            and labelled(item["metadata"].get("labels", {}))
            and named(item["metadata"])
        ]
        return [where for where, _ in found], [item for _, item in found]

    def _next_page(self, token: str) -> tuple[int, list[Place], list[dict[str, Any]]]:
        if token in self._pages:
            return self._pages[token]
        if not token.startswith("page-"):
            message = "continue key is not valid: illegal base64 data at input byte 0"
            raise bad_request(message)
        raise gone(_OLD_LIST)

    def compact(self) -> None:
        """Forget everything but the newest versions, as etcd does every few minutes."""
        with self.changed:
            self._pages.clear()
            self._changes.clear()
            self._oldest = self._revision

    def changes_since(self, revision: int) -> list[Change]:
        """Give what has changed after a revision.

        Raises:
            ApiStatus: that has been compacted away (410).
        """
        with self.changed:
            if revision < self._oldest:
                raise gone(f"too old resource version: {revision} ({self._oldest})")
            return [change for change in self._changes if change.revision > revision]

    @property
    def revision(self) -> int:
        """The number of the last change."""
        return self._revision


def _refuse(place: Place, causes: list[Cause]) -> None:
    if causes:
        raise invalid(place.kind, place.name, causes)


def _check_names(place: Place, metadata: Mapping[str, Any]) -> None:
    name, namespace = metadata.get("name", ""), metadata.get("namespace", "")
    if not name:
        message = (
            f"the name of the object ({place.name} based on URL) was undeterminable: name must be provided"
        )
        raise bad_request(message)
    if name != place.name:
        message = f"the name of the object ({name}) does not match the name on the URL ({place.name})"
        raise bad_request(message)
    if namespace and namespace != place.namespace:
        message = f"the namespace of the object ({namespace}) does not match the namespace on the request ({place.namespace})"
        raise bad_request(message)


def _other_uid(place: Place, wanted: str, found: str) -> str:
    return (
        f"StorageError: invalid object, Code: 4, Key: /registry/{place.resource}/{place.namespace}/{place.name}, "
        f"ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    )


def _version_of(metadata: Mapping[str, Any]) -> int:
    version = metadata.get("resourceVersion") or "0"
    if not version.isdecimal():
        raise internal(f'strconv.ParseUint: parsing "{version}": invalid syntax')
    return int(version)


def _comparable(content: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {name: value for name, value in content["metadata"].items() if name != "managedFields"}
    return {**content, "metadata": metadata}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
