"""From the options to a client: which kubeconfig, which context, or the credentials that a pod is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from devstream.api import DevstreamError, PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightkube import Client
    from lightkube.config.kubeconfig import KubeConfig, SingleConfig

    from devstream.builtin.kubernetes_options import Target

__all__ = ["Connection", "connect"]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its credentials."""

_TIMEOUT = 20.0
"""Seconds for connecting, and for each read and write; a chunk is sent as one of them."""

_EXEC_V1 = "client.authentication.k8s.io/v1"


class Connection(NamedTuple):
    """A client with what messages say about it.

    Attributes:
        server: the API server's address.
        context: the context's name.
        command: the program that gives credentials; empty where none does.
    """

    client: Client
    server: str
    context: str
    command: str = ""


def connect(target: Target, environ: Mapping[str, str], pod: Path = SERVICE_ACCOUNT) -> Connection:
    """Make a client. Reads files, reaches nothing.

    Args:
        environ: KUBECONFIG and HOME are looked at.
        pod: where the credentials of a pod would be.

    Raises:
        PluginError: lightkube is not installed.
        DevstreamError: there is no usable kubeconfig, or it has no such context.
    """
    try:
        import lightkube
    except ImportError as error:
        message = "state in Kubernetes needs lightkube, which is not installed"
        raise PluginError(message, suggestion="pip install 'devstream[k8s]'") from error
    config = _config(target, environ, pod)
    try:
        client = lightkube.Client(config, timeout=cast("Any", _TIMEOUT), field_manager="devstream")
    except Exception as error:
        message = (
            f"the context {config.context_name} of {config.fname or pod} cannot be used: {_reason(error)}"
        )
        raise _refused(message, "look at its certificates and keys") from error
    command = config.user.exec.command if config.user and config.user.exec else ""
    return Connection(client, _without_path(config.cluster.server), config.context_name, command)


def _config(target: Target, environ: Mapping[str, str], pod: Path) -> SingleConfig:
    files = _files(target, environ)
    there = [file for file in files if file.is_file()]
    if there:
        return _with_user(_chosen(target, _merged(there), there))
    if target.kubeconfig is None and target.context is None and (pod / "token").is_file():
        return _in_pod(pod)
    names = ", ".join(str(file) for file in files)
    message = f"there is no kubeconfig: {names} does not exist"
    raise _refused(message, "name one: the option kubeconfig, or the environment variable KUBECONFIG")


def _files(target: Target, environ: Mapping[str, str]) -> list[Path]:
    if target.kubeconfig is not None:
        return [target.kubeconfig]
    listed = [Path(name).expanduser() for name in environ.get("KUBECONFIG", "").split(":") if name]
    return listed or [Path("~/.kube/config").expanduser()]


def _merged(files: list[Path]) -> KubeConfig:
    """Read kubeconfigs as kubectl does: of two entries with one name the first counts."""
    first, *others = [_read(file) for file in files]
    for other in others:
        first.clusters = {**other.clusters, **first.clusters}
        first.contexts = {**other.contexts, **first.contexts}
        first.users = {**other.users, **first.users}
        first.current_context = first.current_context or other.current_context
    return first


def _read(file: Path) -> KubeConfig:
    from lightkube.config.kubeconfig import KubeConfig

    try:
        config = KubeConfig.from_file(file)
    except Exception as error:
        message = f"{file} is no kubeconfig: {_reason(error)}"
        raise _refused(message, "`kubectl config view` shows a right one") from error
    _make_absolute(config, file.absolute().parent)
    return config


def _make_absolute(config: KubeConfig, folder: Path) -> None:
    """Resolve the files that a kubeconfig names, which are relative to itself."""
    for cluster in config.clusters.values():
        if cluster.certificate_auth:
            cluster.certificate_auth = str(folder / cluster.certificate_auth)
    for user in config.users.values():
        for field in ("client_cert", "client_key", "token_file"):
            if getattr(user, field):
                setattr(user, field, str(folder / getattr(user, field)))
        if user.exec and "/" in user.exec.command:
            user.exec.command = str(folder / user.exec.command)


def _chosen(target: Target, config: KubeConfig, files: list[Path]) -> SingleConfig:
    where = ", ".join(str(file) for file in files)
    context = target.context or config.current_context
    if not context:
        hint = f"name one with the option context: {_listed(config.contexts)}"
        message = f"{where} has no current context"
        raise _refused(message, hint)
    if context not in config.contexts:
        message = f'{where} has no context "{context}"'
        raise _refused(message, f"there are: {_listed(config.contexts)}")
    found = config.contexts[context]
    for kind, name, known in (
        ("cluster", found.cluster, config.clusters),
        ("user", found.user, config.users),
    ):
        if name and name not in known:
            message = f'the context "{context}" of {where} names the {kind} "{name}", which is not there'
            raise _refused(message, f"there are: {_listed(known)}")
    chosen = config.get(context)
    assert chosen is not None  # only without any context
    if chosen.cluster.insecure:
        message = f'the cluster of the context "{context}" in {where} says insecure-skip-tls-verify'
        raise _refused(
            message, "give it certificate-authority: who reads the state has to be who it should be"
        )
    return chosen


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "none"


def _with_user(config: SingleConfig) -> SingleConfig:
    """Let a context without a user pass (a local proxy needs none), and today's protocol of ``exec``.

    lightkube speaks the protocol that came before v1; what it reads of the answer is the same in both.
    """
    from lightkube.config.models import NameValue, User

    user = config.user or User()
    if user.exec and user.exec.apiVersion == _EXEC_V1:
        info = {"apiVersion": _EXEC_V1, "kind": "ExecCredential", "spec": {"interactive": False}}
        told = NameValue("KUBERNETES_EXEC_INFO", json.dumps(info))
        user.exec.env = [*(user.exec.env or []), told]
        user.exec.apiVersion = f"{_EXEC_V1}beta1"
    return config._replace(user=user)


def _in_pod(pod: Path) -> SingleConfig:
    from lightkube.config.kubeconfig import KubeConfig

    try:
        config = KubeConfig.from_service_account(pod).get()
    except Exception as error:
        message = f"the credentials of this pod in {pod} cannot be used: {_reason(error)}"
        raise _refused(message, "look at the pod's service account, or name a kubeconfig") from error
    assert config is not None
    return config


def _refused(message: str, suggestion: str) -> DevstreamError:
    return DevstreamError(message, code="kubeconfig", suggestion=suggestion)


def _reason(error: Exception) -> str:
    """Say in one line what is wrong with a file; its content stays out of it, there are secrets in it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return type(error).__name__


def _without_path(server: str) -> str:
    """Leave out of an address what is nobody's business: names and passwords."""
    scheme, _, rest = server.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"
