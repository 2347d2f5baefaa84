"""Opening the store behind a place: obstore, and boto3 only where credentials need it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstream.api import CredentialsError, PluginError, StateUnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.builtin.s3_options import Place

__all__ = ["open_store", "require_obstore"]

_INSTALL = "pip install 'devstream[s3]'"
_CREDENTIALS_LAST = timedelta(minutes=30)
_FOR_BOTO3 = ("AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")
_FILES = (("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"), ("AWS_CONFIG_FILE", ".aws/config"))


def require_obstore() -> None:
    """Look whether obstore is installed, without importing it.

    Raises:
        PluginError: it is not; the message says what to install.
    """
    from importlib.util import find_spec

    if find_spec("obstore") is None:
        raise _not_installed("obstore")


def _not_installed(library: str) -> PluginError:
    message = f"state in an S3-like store needs {library}, which is not installed"
    return PluginError(message, code="plugin-missing", suggestion=_INSTALL)


def open_store(place: Place, timeout: float) -> Any:
    """Open the store of a place. It sends every request once: a client that sends again misreads its own success.

    Args:
        timeout: seconds that one request may take.

    Raises:
        CredentialsError: the profile has no credentials.
        PluginError: boto3 is needed and not installed.
        StateUnreachableError: the file of certificates cannot be read.
    """
    from obstore.store import AzureStore, GCSStore, S3Store

    common: dict[str, Any] = {
        "client_options": _client_options(place, timeout),
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=timeout)},
    }
    if place.scheme == "gs":
        base: Any = {"base_url": place.endpoint} if place.endpoint else {}
        return GCSStore(place.bucket, config=base, **common)
    if place.scheme == "az":
        account: Any = {"endpoint": place.endpoint} if place.endpoint else {}
        return AzureStore(place.bucket, config=account, **common)
    session = _boto3_session(place)
    provider = _provider(session, place) if session else None
    region = place.region or (session.region_name if session else "") or "us-east-1"
    settings = _settings(place, region)
    return S3Store(place.bucket, config=settings, credential_provider=provider, **common)


def _client_options(place: Place, timeout: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "allow_http": place.allow_http,
        "timeout": timedelta(seconds=timeout),
        "connect_timeout": timedelta(seconds=min(5.0, timeout)),
    }
    bundle = os.environ.get("AWS_CA_BUNDLE")
    if bundle:
        try:
            options["root_certificate"] = Path(bundle).read_bytes()
        except OSError as error:
            message = f"AWS_CA_BUNDLE names {bundle}, which cannot be read: {error.strerror}"
            raise StateUnreachableError(message, suggestion="correct it, or unset it") from error
    return options


def _settings(place: Place, region: str) -> Any:
    settings: dict[str, Any] = {
        "region": region,
        "conditional_put": "etag",
        "disable_bulk_delete": True,
        "virtual_hosted_style_request": not place.path_style,
    }
    if place.endpoint:
        scheme, _, host = place.endpoint.partition("://")
        settings["endpoint"] = place.endpoint if place.path_style else f"{scheme}://{place.bucket}.{host}"
    if place.sse.startswith("arn:"):
        settings |= {"server_side_encryption": "aws:kms", "sse_kms_key_id": place.sse}
    elif place.sse:
        settings["server_side_encryption"] = place.sse
    return settings


def _boto3_session(place: Place) -> Any:
    """Give a session where boto3 knows credentials that obstore does not: profiles, SSO, web identity."""
    if not place.profile and ("AWS_ACCESS_KEY_ID" in os.environ or not _has_profiles(os.environ)):
        return None
    try:
        import boto3.session  # type: ignore[import-untyped]  # it has no types
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # nor has it
    except ImportError:
        raise _not_installed("boto3") from None
    try:
        return boto3.session.Session(profile_name=place.profile or None)
    except BotoCoreError as error:
        hint = "`aws configure list-profiles` lists them"
        raise CredentialsError(f"cannot use the AWS profile: {error}", suggestion=hint) from None


def _has_profiles(environ: Mapping[str, str]) -> bool:
    if any(environ.get(name) for name in _FOR_BOTO3):
        return True
    return any(Path(environ.get(name) or Path.home() / file).is_file() for name, file in _FILES)


def _provider(session: Any, place: Place) -> Any:
    """Give a source of credentials; None where boto3 has none, so that obstore looks in its own places."""
    from botocore.exceptions import BotoCoreError

    try:
        credentials = session.get_credentials()
    except BotoCoreError as error:
        message = f"the AWS profile gives no credentials: {type(error).__name__}"
        raise CredentialsError(message, suggestion=_log_in(place)) from None
    if credentials is None and not place.profile:
        return None
    if credentials is None:
        message = f'the AWS profile "{place.profile}" has no credentials'
        raise CredentialsError(message, suggestion=_log_in(place))

    def provide() -> dict[str, Any]:
        frozen = credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_LAST,
        }

    return provide


def _log_in(place: Place) -> str:
    profile = f" --profile {place.profile}" if place.profile else ""
    return f"`aws sso login{profile}`, or `aws configure{profile}`"
