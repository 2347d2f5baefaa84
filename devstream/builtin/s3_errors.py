"""What a store answered, read from the only place where obstore says it: the text of its exceptions.

That text can hold anything the store or a gateway sent back, signed URLs and headers among it. So nothing of it is
passed on but a status, the name of an error in a narrow alphabet, and words of our own.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.builtin.s3_options import Place

__all__ = ["Kind", "Trouble", "explain", "understand"]


class Kind(Enum):
    """What kind of answer it was; ``passes`` says that asking again may help."""

    MISSING = "there is no such object"
    CONFLICT = "a precondition failed"
    NO_CONTAINER = "there is no such bucket"
    NO_CREDENTIALS = "no credentials were found"
    CREDENTIALS = "the credentials are refused"
    FORBIDDEN = "the credentials are good, and not for this"
    CLOCK = "the clocks differ too much"
    TOO_LARGE = "the object is too large"
    REGION = "the bucket is in another region"
    CERTIFICATE = "the certificate is not trusted"
    NO_TLS = "it does not speak TLS"
    NO_CONNECTION = "nobody answers"
    BUSY = "the store has trouble of its own"
    BROKEN = "the connection broke, or the answer came too late"
    ODD = "no answer of an S3-like store"

    @property
    def passes(self) -> bool:
        """True where asking again may help."""
        return self in (Kind.NO_CONNECTION, Kind.BUSY, Kind.BROKEN, Kind.CONFLICT)


class Trouble(NamedTuple):
    """An answer that is no success.

    Attributes:
        name: how the store calls it, or how the connection failed.
        region: where the bucket is, if the store says so.
    """

    kind: Kind
    status: int = 0
    name: str = ""
    region: str = ""


_STATUS = re.compile(r"status code: (\d{3})")
_OF_MANY = re.compile(r"Bulk delete request failed .*\(code: (\d{3})\)\s*$")
_NAME = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")
_REGION = re.compile(r"<Region>([a-z0-9-]{1,40})</Region>|expecting '([a-z0-9-]{1,40})'")
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*([A-Za-z]{1,40})")
_LOOKED_FOR_CREDENTIALS = re.compile(
    r"//169\.254\.|/latest/(api/token|meta-data)|Missing (AccessKeyId|SecretAccessKey)"
)
_DEBUG = "Debug source"

_BY_NAME = {
    "NoSuchKey": Kind.MISSING,
    "BlobNotFound": Kind.MISSING,
    "NoSuchBucket": Kind.NO_CONTAINER,
    "ContainerNotFound": Kind.NO_CONTAINER,
    "InvalidBucketName": Kind.NO_CONTAINER,
    "RequestTimeTooSkewed": Kind.CLOCK,
    "AuthorizationHeaderMalformed": Kind.REGION,
    "IllegalLocationConstraintException": Kind.REGION,
    "EntityTooLarge": Kind.TOO_LARGE,
    "RequestBodyTooLarge": Kind.TOO_LARGE,
    "QuotaExceeded": Kind.TOO_LARGE,
    "InvalidAccessKeyId": Kind.CREDENTIALS,
    "SignatureDoesNotMatch": Kind.CREDENTIALS,
    "ExpiredToken": Kind.CREDENTIALS,
    "InvalidToken": Kind.CREDENTIALS,
    "TokenRefreshRequired": Kind.CREDENTIALS,
    "AuthenticationFailed": Kind.CREDENTIALS,
    "AccessDenied": Kind.FORBIDDEN,
    "AllAccessDisabled": Kind.FORBIDDEN,
    "AccountProblem": Kind.FORBIDDEN,
    "RequestTimeout": Kind.BROKEN,
    "SlowDown": Kind.BUSY,
}
_BY_STATUS = {
    304: Kind.CONFLICT,
    401: Kind.CREDENTIALS,
    403: Kind.FORBIDDEN,
    408: Kind.BROKEN,
    409: Kind.CONFLICT,
    412: Kind.CONFLICT,
    413: Kind.TOO_LARGE,
    425: Kind.BUSY,
    429: Kind.BUSY,
}


def understand(error: BaseException) -> Trouble:
    """Say what an exception of obstore means. The class of the exception is not asked: it is wrong too often."""
    text = str(error)
    head, _, debug = text.partition(_DEBUG)
    status = _STATUS.search(head)
    if _LOOKED_FOR_CREDENTIALS.search(head):
        return Trouble(Kind.NO_CREDENTIALS)
    if status is not None:
        return _answered(int(status[1]), head)
    one = _OF_MANY.search(head)
    if one is not None:
        return Trouble(Kind.MISSING, 404) if one[1] == "404" else _answered(int(one[1]), "")
    if "redirect" in head:
        return Trouble(Kind.REGION, 301)
    return _unanswered(head, debug)


def _answered(status: int, text: str) -> Trouble:
    found = _NAME.search(text)
    name = found[1] if found else ""
    kind = _BY_NAME.get(name) or _BY_STATUS.get(status)
    if kind is None:
        kind = Kind.BUSY if status >= 500 and status != 501 else Kind.ODD
    region = _REGION.search(text) if kind is Kind.REGION else None
    return Trouble(kind, status, name, (region[1] or region[2]) if region else "")


def _unanswered(head: str, debug: str) -> Trouble:
    certificate = _CERTIFICATE.search(debug)
    if certificate:
        return Trouble(Kind.CERTIFICATE, name=certificate[1])
    if "credential provider" in head:
        return Trouble(Kind.CREDENTIALS)
    if "kind: Connect" in debug:
        return _not_connected(debug)
    if "kind: Timeout" in debug or "TimedOut" in debug:
        return Trouble(Kind.BROKEN, name="no answer in time")
    if "error sending request" in head or "body error" in head or "kind: Interrupted" in debug:
        return Trouble(Kind.BROKEN, name="the connection broke")
    return Trouble(Kind.ODD)


def _not_connected(debug: str) -> Trouble:
    if "dns error" in debug:
        return Trouble(Kind.NO_CONNECTION, name="there is no such host")
    if "ConnectionRefused" in debug:
        return Trouble(Kind.NO_CONNECTION, name="connection refused")
    if "InvalidContentType" in debug or "InvalidMessage" in debug:
        return Trouble(Kind.NO_TLS)
    return Trouble(Kind.NO_CONNECTION, name="no connection")


_WORDS: Mapping[Kind, tuple[str, str]] = {
    Kind.NO_CONTAINER: ('there is no bucket "{bucket}" at {where}', "make it, or correct `bucket`"),
    Kind.NO_CREDENTIALS: ("there are no credentials for it", "{credentials}"),
    Kind.CREDENTIALS: ("{where} does not accept these credentials", "{credentials}"),
    Kind.FORBIDDEN: ("{where} does not allow it with these credentials", "{permissions}"),
    Kind.CLOCK: (
        "the clock of this machine is not that of {where}",
        "set the clock of this machine (`timedatectl` tells whether it is synchronised)",
    ),
    Kind.REGION: ('the bucket "{bucket}" is in another region{asked}', "{region}"),
    Kind.CERTIFICATE: (
        "the certificate of {host} is not trusted",
        "SSL_CERT_FILE or AWS_CA_BUNDLE names a file with the certificates you trust",
    ),
    Kind.NO_TLS: (
        "{where} does not speak TLS",
        "correct the port in `endpoint`; a store without TLS is http://..., with allowHttp: true",
    ),
    Kind.TOO_LARGE: ("{where} takes no object that large", "raise its limit"),
    Kind.NO_CONNECTION: ("{where} cannot be reached", "{network}"),
    Kind.BUSY: ("{where} does not answer as it should", "try again later"),
    Kind.BROKEN: ("{where} does not answer as it should", "try again later"),
    Kind.CONFLICT: ("{where} does not answer as it should", "try again later"),
    Kind.MISSING: ("it is not there", "correct `key`"),
    Kind.ODD: ("{where} does not answer like an S3-like store", "correct `endpoint`"),
}


def explain(trouble: Trouble, place: Place) -> tuple[str, str]:
    """Say in words what is the matter, and what would be right."""
    said = f" ({trouble.name or trouble.status})" if trouble.name or trouble.status else ""
    words = {
        "bucket": place.bucket,
        "where": place.where,
        "host": urlsplit(place.endpoint).hostname or place.where,
        "asked": f', not in "{place.region}"' if place.region else "",
        "region": f"region: {trouble.region}" if trouble.region else "correct `region`",
        "network": "correct `endpoint`" if place.endpoint else "is there a network?",
        "credentials": _credentials_hint(place),
        "permissions": _permissions(place),
    }
    what, hint = _WORDS[trouble.kind]
    return what.format_map(words) + said, hint.format_map(words)


def _credentials_hint(place: Place) -> str:
    if place.profile:
        return f"`aws sts get-caller-identity --profile {place.profile}` shows whether the profile works"
    if place.scheme == "gs":
        return "set GOOGLE_APPLICATION_CREDENTIALS"
    if place.scheme == "az":
        return "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
    return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a `profile`"


def _permissions(place: Place) -> str:
    if place.scheme != "s3":
        return "allow reading, writing, deleting and listing there"
    return (
        f"allow s3:GetObject, s3:PutObject, s3:DeleteObject on {place.bucket}/{place.key}* and s3:ListBucket"
    )
