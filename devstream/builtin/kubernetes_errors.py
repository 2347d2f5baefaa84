"""What the API server, or the way to it, says when it refuses: read once, told in our words, with the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.api import CredentialsError, Refusal, StateUnreachableError, SwapRefused, SwapUnsettled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.builtin.kubernetes_options import Target

__all__ = [
    "Trouble",
    "Where",
    "http_code",
    "is_absent",
    "is_transient",
    "reason_of",
    "retry_after",
    "trouble",
]

_TRANSIENT = (408, 429, 500, 502, 503, 504)
_LONGEST_QUOTE = 400
_SERVICE_ACCOUNT = "system:serviceaccount:"


class Where(NamedTuple):
    """What was tried.

    Attributes:
        verb: the RBAC verb.
        command: the program that gives credentials; empty where none does.
    """

    target: Target
    verb: str
    server: str
    context: str
    command: str


class Trouble(NamedTuple):
    """Why a call failed.

    Attributes:
        refusal: why it was refused for good; None where that is not certain.
        what: what is wrong.
        hint: the way out.
    """

    refusal: Refusal | None
    what: str
    hint: str = ""

    def as_call(self) -> CredentialsError | StateUnreachableError:
        """Give the error of a call that is no swap."""
        is_about_rights = self.refusal in (Refusal.CREDENTIALS, Refusal.FORBIDDEN)
        kind = CredentialsError if is_about_rights else StateUnreachableError
        return kind(self.what, suggestion=self.hint)

    def as_swap(self) -> SwapRefused | SwapUnsettled:
        """Give the error of a swap."""
        if self.refusal is None:
            return SwapUnsettled(self.what, suggestion=self.hint)
        return SwapRefused(self.what, self.refusal, suggestion=self.hint)


def trouble(error: BaseException, where: Where) -> Trouble:
    """Find out what an error of the client means."""
    code = http_code(error)
    if code == 0:
        return _on_the_way(error, where)
    said = _message_of(error)
    if code == 401:
        return _not_known(where)
    if code == 403:
        return _forbidden(error, said, where)
    if code == 413 or (code == 422 and "Too long" in said):
        what = f"the ConfigMap {where.target.name} would be larger than Kubernetes lets it be: {said}"
        return Trouble(
            Refusal.TOO_LARGE, what, "take other people's keys out of that ConfigMap, or name another"
        )
    if code == 404:
        return _missing(error, said, where)
    if code == 422 and "is immutable" in said:
        what = f"the ConfigMap {where.target.name} is marked as immutable: nobody can change it"
        hint = "name another ConfigMap; or put its content into a new one, delete it, and name the new one so"
        return Trouble(Refusal.CONTAINER_MISSING, what, hint)
    if code in (400, 405, 406, 415, 422) and reason_of(error):
        what = f"the API server does not take what is sent to {where.target.name}: {said}"
        return Trouble(Refusal.CONTAINER_MISSING, what)
    what = f"the API server at {where.server} answers {code} for {where.target.name}: {said}"
    return Trouble(None, what, "try again in a moment")


def _not_known(where: Where) -> Trouble:
    what = (
        f'the API server at {where.server} does not accept the credentials of the context "{where.context}"'
    )
    hint = "log in again, or name another context (`kubectl config get-contexts` lists them)"
    return Trouble(Refusal.CREDENTIALS, what, hint)


def _forbidden(error: BaseException, said: str, where: Where) -> Trouble:
    """Tell apart what all mean by 403: a missing right, a namespace that goes, a quota, a webhook."""
    target = where.target
    if _has_cause(error, "NamespaceTerminating"):
        what = f'the namespace "{target.namespace}" is being deleted: nothing new can be stored there'
        return Trouble(
            Refusal.CONTAINER_MISSING, what, "wait until it is gone and make it anew, or name another"
        )
    if "exceeded quota" in said:
        what = f'the quota of the namespace "{target.namespace}" is used up: {said}'
        return Trouble(
            Refusal.TOO_LARGE, what, "ask for a larger quota, or clear up with `devstream state gc`"
        )
    if "cannot " in said and " resource " in said:
        what = (
            f'the right to {where.verb} ConfigMaps in the namespace "{target.namespace}" is missing: {said}'
        )
        return Trouble(
            Refusal.FORBIDDEN,
            what,
            f"an administrator can give it: devstream state rbac --state k8s://{target.name}{_subject(said)} | kubectl apply -f -",
        )
    what = f"the API server does not allow to {where.verb} the ConfigMap {target.name}: {said}"
    return Trouble(Refusal.FORBIDDEN, what, "ask whoever runs the cluster")


def _subject(said: str) -> str:
    """Name whom a right is missing for, as `devstream state rbac` takes it."""
    import shlex

    user = said.partition('User "')[2].partition('"')[0]
    if user.startswith(_SERVICE_ACCOUNT):
        return f" --service-account {user.removeprefix(_SERVICE_ACCOUNT).replace(':', '/')}"
    return f" --user {shlex.quote(user)}" if user else ""


def _missing(error: BaseException, said: str, where: Where) -> Trouble:
    namespace = where.target.namespace
    if is_absent(error, "namespaces"):
        what = f'there is no namespace "{namespace}" at {where.server}'
        hint = f"make it: kubectl create namespace {namespace}; or name another context, if that is another cluster"
        return Trouble(Refusal.CONTAINER_MISSING, what, hint)
    what = f"{where.server} is no API server of Kubernetes: it answers 404 ({said})"
    return Trouble(Refusal.CONTAINER_MISSING, what, "look at the server in the kubeconfig")


def _on_the_way(error: BaseException, where: Where) -> Trouble:
    """Say why there is no answer at all."""
    if _is_configuration(error) or (where.command and not _is_transport(error)):
        why = (
            f"{where.command} printed no token"
            if isinstance(error, (KeyError, ValueError))
            else _quoted(error)
        )
        what = f'no credentials for the context "{where.context}": {why}'
        hint = f"run {where.command} by hand and see what it says" if where.command else ""
        return Trouble(Refusal.CREDENTIALS, what, hint)
    untrusted = _untrusted(error)
    if untrusted:
        what = f"{where.server} shows a certificate that is not trusted: {untrusted}"
        hint = "certificate-authority in the kubeconfig has to be the cluster's; look at this machine's clock too"
        return Trouble(None, what, hint)
    what = f"cannot reach the API server at {where.server}: {_innermost(error)}"
    return Trouble(None, what, "look at the network, and at the server in the kubeconfig")


def http_code(error: BaseException) -> int:
    """Give the status of the answer behind an error; 0 where there was no answer."""
    response = _response(error)
    return int(response.status_code) if response is not None else 0


def reason_of(error: BaseException) -> str:
    """Give the word of the API server for what is wrong; empty where it was not the API server that spoke."""
    return str(getattr(_status(error), "reason", None) or "")


def is_absent(error: BaseException, resource: str) -> bool:
    """Tell whether the API server says that an object of a resource is missing; other servers say 404 as well."""
    details = getattr(_status(error), "details", None)
    return (
        http_code(error) == 404
        and reason_of(error) == "NotFound"
        and getattr(details, "kind", None) == resource
    )


def is_transient(error: BaseException) -> bool:
    """Tell whether a call may work in a moment."""
    code = http_code(error)
    if code:
        return code in _TRANSIENT or (code == 410 and reason_of(error) == "Expired")
    return _is_transport(error) and not _untrusted(error)


def retry_after(error: BaseException) -> float:
    """Give the seconds that the server asks to wait; 0 where it does not."""
    response = _response(error)
    value = response.headers.get("Retry-After", "") if response is not None else ""
    return float(value) if value.isdecimal() else 0.0


def _message_of(error: BaseException) -> str:
    message = getattr(_status(error), "message", None)
    response = _response(error)
    text = message or (response.text if response is not None else "")
    return " ".join(text.split())[:_LONGEST_QUOTE]


def _has_cause(error: BaseException, reason: str) -> bool:
    causes = getattr(getattr(_status(error), "details", None), "causes", None) or ()
    return any(cause.reason == reason for cause in causes)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Go through an error and what it came from: the client wraps errors several times."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def _response(error: BaseException) -> Any:
    return next((found for at in _chain(error) if (found := getattr(at, "response", None)) is not None), None)


def _status(error: BaseException) -> Any:
    """Find the object ``Status`` that the API server sent; None where it sent none."""
    return next((found for at in _chain(error) if (found := getattr(at, "status", None)) is not None), None)


def _is_configuration(error: BaseException) -> bool:
    from lightkube.core.exceptions import ConfigError

    return isinstance(error, ConfigError)


def _is_transport(error: BaseException) -> bool:
    """Tell whether an error comes from the connection: those of the client's HTTP library have a request."""
    return any("httpx" in type(at).__module__ for at in _chain(error))


def _untrusted(error: BaseException) -> str:
    """Say why a certificate was not trusted; empty where that is not the trouble."""
    return next((str(text) for at in _chain(error) if (text := getattr(at, "verify_message", ""))), "")


def _quoted(error: BaseException) -> str:
    return " ".join(str(error).split())[:_LONGEST_QUOTE] or type(error).__name__


def _innermost(error: BaseException) -> str:
    """Take the words of the operating system where there are some, else those of the client."""
    texts = [at.strerror for at in _chain(error) if isinstance(at, OSError) and at.strerror]
    return texts[-1].lower() if texts else _quoted(error)
