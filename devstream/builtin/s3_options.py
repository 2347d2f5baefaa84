"""The options of the s3 backend, checked: which object of which bucket a state is, and how the store is reached."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from devstream.api import OptionError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Place", "place_of"]

_OPTIONS = ("bucket", "region", "key", "endpoint", "profile", "pathStyle", "sse", "allowHttp", "url")
_NOT_WITH_URL = ("bucket", "key")
_SCHEMES = ("s3", "gs", "az")
_LONGEST_KEY = 900
"""Bytes of a key: S3 allows 1024, and blobs and probes have longer names than the head."""

_SSE = ("AES256", "aws:kms", "aws:kms:dsse")


class Place(NamedTuple):
    """An object in a bucket, and how to reach it.

    Attributes:
        scheme: ``s3``, ``gs`` (Google Cloud Storage) or ``az`` (Azure Blob Storage).
        region: empty where it does not matter or the profile says it.
        endpoint: of a store that is not the provider's own; empty for that.
        path_style: the bucket is in the path of the URL, not in the name of the host.
        sse: what encrypts the object in the store; empty for the bucket's default.
    """

    scheme: str
    bucket: str
    key: str
    region: str = ""
    endpoint: str = ""
    profile: str = ""
    path_style: bool = False
    sse: str = ""
    allow_http: bool = False
    given: tuple[tuple[str, str], ...] = ()

    @property
    def location(self) -> str:
        """The URL for people and for ``--state``; it never holds credentials."""
        query = f"?{urlencode(self.given, safe=':/')}" if self.given else ""
        return f"{self.scheme}://{self.bucket}/{quote(self.key)}{query}"

    @property
    def where(self) -> str:
        """What messages call the store's address."""
        return self.endpoint or {"s3": "AWS S3", "gs": "Google Cloud Storage"}.get(self.scheme, "Azure")


def place_of(options: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Place:
    """Check the options as written.

    Args:
        environ: where AWS tools look for what is not written: AWS_REGION, AWS_ENDPOINT_URL_S3 and others.

    Raises:
        OptionError: one is unknown, missing or wrong.
    """
    for name in options:
        if name not in _OPTIONS:
            hint = nearest(str(name), _OPTIONS) or f"its options are {', '.join(_OPTIONS)}"
            message = f'the s3 state backend has no option "{name}"'
            raise OptionError(message, option=str(name), code="unknown-key", suggestion=hint)
    return _Reader(options, environ).place()


class _Reader:
    """Reads options one by one, each with its own complaint."""

    def __init__(self, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self._options = options
        self._environ = environ
        self._scheme = "s3"

    def place(self) -> Place:
        if "url" in self._options:
            self._take_url(self._text("url"))
        allow_http = self._flag("allowHttp")
        endpoint = self._endpoint(allow_http=allow_http)
        profile = self._text("profile") if "profile" in self._options else ""
        return Place(
            scheme=self._scheme,
            bucket=self._bucket(),
            key=self._key(),
            region=self._region(endpoint, profile),
            endpoint=endpoint,
            profile=profile,
            path_style=self._flag("pathStyle", default=bool(endpoint) or "." in self._bucket()),
            sse=self._sse(),
            allow_http=allow_http,
            given=tuple(self._given(endpoint)),
        )

    def _take_url(self, url: str) -> None:
        """Let a URL stand for bucket and key, and its query for other options."""
        for name in _NOT_WITH_URL:
            if name in self._options:
                raise _wrong(name, "stands beside url, which says it already", f"leave out {name} or url")
        parts = urlsplit(url)
        self._scheme = parts.scheme
        if parts.scheme not in _SCHEMES or not parts.netloc or "@" in parts.netloc:
            raise _wrong("url", f"is {url!r}", "gs://BUCKET/KEY, az://CONTAINER/KEY or s3://BUCKET/KEY")
        query = dict(parse_qsl(parts.query))
        given = {name: value for name, value in self._options.items() if name != "url"}
        place = {"bucket": parts.netloc, "key": unquote(parts.path.removeprefix("/"))}
        self._options = {**query, **given, **place}
        for name in query:
            if name not in _OPTIONS:
                raise _wrong("url", f'has a part "{name}" that is no option', nearest(name, _OPTIONS))

    def _given(self, endpoint: str) -> list[tuple[str, str]]:
        """Give what a ``--state`` URL has to say besides bucket and key, in a fixed order."""
        values = {name: self._options.get(name) for name in _OPTIONS if name not in ("bucket", "key", "url")}
        values["endpoint"] = endpoint or None
        return [(name, _as_text(value)) for name, value in values.items() if value not in (None, "")]

    def _text(self, name: str, example: str = "") -> str:
        value = self._options.get(name)
        if value is None:
            message = f'the s3 state backend needs "{name}"'
            raise OptionError(message, code="missing-key", suggestion=f"{name}: {example}" if example else "")
        if not isinstance(value, str) or not value or not value.isprintable():
            raise _wrong(
                name, f"is {value!r}", f"it has to be text, for example {example}" if example else ""
            )
        return value

    def _flag(self, name: str, *, default: bool = False) -> bool:
        value = self._options.get(name, default)
        known = {True: True, False: False, "true": True, "false": False}
        if not isinstance(value, (bool, str)) or value not in known:
            raise _wrong(name, f"is {value!r}", "true or false")
        return known[value]

    def _bucket(self) -> str:
        bucket = self._text("bucket", "my-bucket")
        if set(bucket) & set("/:@?# ") or not bucket.isascii():
            raise _wrong("bucket", f"is {bucket!r}", "it is the bucket's name alone; the rest belongs to key")
        return bucket

    def _key(self) -> str:
        """Read the object's name; some that S3 allows cannot be asked for, and none may end as another."""
        key = self._text("key", "devstream.state")
        segments = key.split("/")
        if "" in segments:
            hint = f"write {'/'.join(filter(None, segments)) or 'devstream.state'}"
            raise _wrong("key", f"is {key!r}: it has an empty part between slashes", hint)
        if "." in segments or ".." in segments:
            raise _wrong("key", f"is {key!r}: in a bucket, . and .. lead nowhere", "write the whole name")
        if len(key.encode()) > _LONGEST_KEY:
            raise _wrong("key", f"has {len(key.encode())} bytes", f"at most {_LONGEST_KEY}")
        return key

    def _region(self, endpoint: str, profile: str) -> str:
        if "region" in self._options:
            return self._text("region", "eu-central-1")
        found = self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION") or ""
        if found or endpoint or profile or self._scheme != "s3":
            return found
        return self._text("region", "eu-central-1")

    def _endpoint(self, *, allow_http: bool) -> str:
        name = "endpoint"
        if name in self._options:
            endpoint = self._text(name, "https://s3.example.com")
        else:
            found = [self._environ.get(each, "") for each in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")]
            endpoint = next(filter(None, found), "") if self._scheme == "s3" else ""
        if not endpoint:
            return ""
        return _checked_url(endpoint.rstrip("/"), allow_http=allow_http)

    def _sse(self) -> str:
        if "sse" not in self._options:
            return ""
        sse = self._text("sse", "AES256")
        if sse not in _SSE and not sse.startswith("arn:"):
            hint = f"one of {', '.join(_SSE)}, or the ARN of a KMS key"
            raise _wrong("sse", f"is {sse!r}", nearest(sse, _SSE) or hint)
        return sse


def _checked_url(endpoint: str, *, allow_http: bool) -> str:
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        raise _wrong("endpoint", "is no URL", "endpoint: https://s3.example.com") from None
    if "@" in parts.netloc:
        hint = "credentials come from the environment or a profile"
        raise _wrong("endpoint", "holds a user or a password", hint)
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or parts.query:
        raise _wrong("endpoint", f"is {endpoint!r}", "endpoint: https://s3.example.com")
    if parts.scheme == "http" and not allow_http:
        hint = "use https; where nobody can listen, set allowHttp: true"
        raise _wrong("endpoint", f"is {endpoint}: plain http, which anybody on the way can read", hint)
    return endpoint


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong(option: str, what: str, hint: str) -> OptionError:
    return OptionError(f"{option} {what}", option=option, code="option", suggestion=hint)
