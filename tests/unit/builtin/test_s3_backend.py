"""What the s3 backend does on the wire, and how it ends where something is wrong."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from devstream.builtin.s3 import S3Backend, make_s3
from devstream.builtin.s3_options import place_of
from devstream.errors import (
    CredentialsError,
    DevstreamError,
    PluginError,
    StateConflictError,
    StateDamagedError,
    StateForeignError,
    StateUnreachableError,
    SwapRefused,
    SwapUnsettled,
)
from devstream.state.manager import StateManager
from devstream.testing.fault_proxy import BEFORE_503, CUT_ANSWER, CUT_REQUEST, DROP, Fault, hang, on
from devstream.testing.s3 import ACCESS_KEY, SECRET_KEY, bucket_at, s3, s3_error, s3_server

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.testing.s3 import Bucket

__all__ = ["s3", "s3_server"]


def refused(status: int, name: str = "", extra: str = "") -> Fault:
    return Fault(
        f"{status} {name}", reaches=False, status=status, body=s3_error(status, name, extra) if name else b""
    )


def quick(bucket: Bucket, **more: Any) -> S3Backend:
    """A client that does not wait between attempts."""
    return S3Backend(bucket.place(**more), timeout=5, sleep=lambda _: None)


# what the store answers; then, of reading: exception, exit code; of swapping: exception, exit code; words of both; hint
ANSWERS: list[tuple[Fault, type[DevstreamError], int, type[DevstreamError], int, str, str]] = [
    (refused(404, "NoSuchBucket"), StateUnreachableError, 6, SwapRefused, 6, "there is no bucket", "make it"),
    (refused(403, "AccessDenied"), CredentialsError, 7, SwapRefused, 7, "does not allow it", "allow s3:GetObject"),
    (refused(403), CredentialsError, 7, SwapRefused, 7, "(403)", "allow s3:GetObject"),
    (refused(403, "InvalidAccessKeyId"), CredentialsError, 7, SwapRefused, 7, "does not accept", "AWS_ACCESS_KEY_ID"),
    (refused(403, "SignatureDoesNotMatch"), CredentialsError, 7, SwapRefused, 7, "does not accept", "AWS_ACCESS_KEY_ID"),
    (refused(400, "ExpiredToken"), CredentialsError, 7, SwapRefused, 7, "does not accept", "AWS_ACCESS_KEY_ID"),
    (refused(401), CredentialsError, 7, SwapRefused, 7, "does not accept", "AWS_ACCESS_KEY_ID"),
    (refused(403, "RequestTimeTooSkewed"), CredentialsError, 7, SwapRefused, 7, "the clock of this machine", "timedatectl"),
    (refused(400, "EntityTooLarge"), StateUnreachableError, 6, SwapRefused, 6, "no object that large", "raise"),
    (refused(413), StateUnreachableError, 6, SwapRefused, 6, "no object that large", "raise"),
    (
        refused(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
        StateUnreachableError, 6, SwapUnsettled, 6, "in another region", "region: eu-west-1",
    ),
    (refused(301, "PermanentRedirect"), StateUnreachableError, 6, SwapUnsettled, 6, "in another region", "correct `region`"),
    (refused(503, "SlowDown"), StateUnreachableError, 6, SwapUnsettled, 6, "(SlowDown)", "try again later"),
    (refused(500), StateUnreachableError, 6, SwapUnsettled, 6, "(500)", "try again later"),
    (refused(501, "NotImplemented"), StateUnreachableError, 6, SwapUnsettled, 6, "not answer like an S3", "correct `endpoint`"),
    (refused(405), StateUnreachableError, 6, SwapUnsettled, 6, "not answer like an S3", "correct `endpoint`"),
    (refused(404), StateUnreachableError, 6, SwapUnsettled, 6, "not answer like an S3", "correct `endpoint`"),
    (DROP, StateUnreachableError, 6, SwapUnsettled, 6, "the connection broke", "try again later"),
]  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer[0].name)
def test_answers(s3: Bucket, answer: tuple[Any, ...]) -> None:
    fault, read_kind, read_code, swap_kind, swap_code, words, hint = answer
    backend = quick(s3)
    s3.proxy.choose = lambda _: fault
    with pytest.raises(read_kind) as caught:
        backend.read_head()
    with pytest.raises(swap_kind) as swapped:
        backend.swap_head(b"x", None)
    assert (caught.value.exit_code, swapped.value.exit_code) == (read_code, swap_code)
    assert words in caught.value.diagnostic.summary
    assert words in swapped.value.diagnostic.summary
    assert hint in caught.value.diagnostic.suggestion
    assert s3.name in caught.value.diagnostic.summary
    for call in (backend.list_blobs, lambda: backend.get_blob("a"), lambda: backend.put_blob("a", b"")):
        with pytest.raises(read_kind):
            call()
    again = 4 if hint == "try again later" else 0
    assert len(s3.proxy.log) == 5 + 4 * again  # all but the swap are sent again, where that may help


@pytest.mark.parametrize("status", [409, 412])
def test_a_refused_precondition_is_a_conflict_to_look_at(s3: Bucket, status: int) -> None:
    backend = quick(s3)
    version = backend.swap_head(b"x", None)
    s3.proxy.choose = lambda _: refused(status)
    for expected in (None, version):
        with pytest.raises(StateConflictError):
            backend.swap_head(b"y", expected)


def test_a_swap_is_sent_once_and_a_read_again(s3: Bucket) -> None:
    backend = quick(s3)
    s3.proxy.next(DROP, on("PUT"))
    with pytest.raises(SwapUnsettled):
        backend.swap_head(b"x", None)
    for fault in (BEFORE_503, DROP, CUT_ANSWER):
        s3.proxy.next(fault, on("GET"))
    head = backend.read_head()
    assert head is not None
    assert head.data == b"x"
    assert [asked.method for asked, _, _ in s3.proxy.log] == ["PUT", "GET", "GET", "GET", "GET"]


def test_a_write_that_is_cut_leaves_what_was_there(s3: Bucket) -> None:
    backend = quick(s3)
    version = backend.swap_head(b"old" * 1000, None)
    s3.proxy.next(CUT_REQUEST, on("PUT"))
    with pytest.raises(SwapUnsettled):
        backend.swap_head(b"new" * 1000, version)
    head = backend.read_head()
    assert head is not None
    assert head.data == b"old" * 1000


def test_a_store_that_hangs_is_not_waited_for(s3: Bucket) -> None:
    backend = S3Backend(s3.place(), timeout=0.2, sleep=lambda _: None)
    s3.proxy.next(hang(30), on("PUT"))
    with pytest.raises(SwapUnsettled, match="no answer in time"):
        backend.swap_head(b"x", None)


@pytest.mark.parametrize("version", ["*", '"*"', "", '""', " ", "a\nb"])
def test_no_version_that_would_match_anything_is_sent(s3: Bucket, version: str) -> None:
    backend = quick(s3)
    backend.swap_head(b"x", None)
    with pytest.raises(StateConflictError):
        backend.swap_head(b"y", version)
    assert len(s3.proxy.log) == 1


KEYS = [
    "a b",
    "ünï/ç",
    "a%20b",
    "a+b",
    "a?b",
    "a#b",
    "a&b=c",
    "~x",
    "[x]",
    "a\\b",
    "a%zz",
    "..a/b..",
    "a:b@c",
    "a*b",
]


@pytest.mark.parametrize("key", KEYS)
def test_odd_keys_are_kept_as_they_are(s3: Bucket, key: str) -> None:
    backend = quick(s3, key=key)
    backend.swap_head(b"x", None)
    backend.put_blob("segment-1", b"y")
    assert s3.objects() == sorted([key, f"{key}.d/segment-1"])
    assert backend.list_blobs() == ["segment-1"]


def test_a_versioned_bucket(s3: Bucket) -> None:
    s3.client.put_bucket_versioning(Bucket=s3.name, VersioningConfiguration={"Status": "Enabled"})
    backend = quick(s3)
    version = backend.swap_head(b"one", None)
    second = backend.swap_head(b"two", version)
    with pytest.raises(StateConflictError):
        backend.swap_head(b"three", version)
    s3.client.delete_object(Bucket=s3.name, Key="devstream.state")
    assert backend.read_head() is None
    backend.swap_head(b"four", None)
    assert second != version


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"", StateDamagedError, "is empty (0 bytes)"),
        (
            b"argocd_default:\n  name: argocd\n  instanceID: default\n",
            StateForeignError,
            "written by the original DevStream",
        ),
        (b"\x89PNG\r\n\x1a\n", StateForeignError, "is not a state of devstream"),
        (b'{"terraform_version": "1.9"}', StateForeignError, "although it is JSON"),
    ],
    ids=["zero bytes", "the original DevStream", "a picture", "somebody else's JSON"],
)
def test_other_objects_are_recognised(
    s3: Bucket, content: bytes, kind: type[DevstreamError], words: str
) -> None:
    s3.client.put_object(Bucket=s3.name, Key="devstream.state", Body=content)
    with pytest.raises(kind) as caught:
        StateManager(quick(s3)).read()
    assert words in caught.value.diagnostic.summary
    assert caught.value.exit_code == 6
    assert s3.client.get_object(Bucket=s3.name, Key="devstream.state")["Body"].read() == content


def test_nothing_listens(s3: Bucket) -> None:
    place = place_of({"bucket": "b", "key": "k", "endpoint": "http://127.0.0.1:1", "allowHttp": True}, {})
    with pytest.raises(StateUnreachableError, match="connection refused") as caught:
        S3Backend(place, sleep=lambda _: None).read_head()
    assert caught.value.diagnostic.suggestion == "correct `endpoint`"
    host = place_of({"bucket": "b", "key": "k", "endpoint": "https://no.such.host.invalid"}, {})
    with pytest.raises(StateUnreachableError, match="there is no such host"):
        S3Backend(host, sleep=lambda _: None).read_head()
    assert s3.objects() == []


def tls_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def test_certificates_are_verified(
    s3: Bucket, s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with bucket_at(s3_server, tls=tls_context(authority.issue_cert("127.0.0.1"))) as bucket:
        with pytest.raises(StateUnreachableError, match=r"127\.0\.0\.1 is not trusted \(UnknownIssuer\)"):
            quick(bucket).read_head()
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
        quick(bucket).swap_head(b"x", None)
        monkeypatch.delenv("AWS_CA_BUNDLE")
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        assert quick(bucket).read_head() is not None
    with bucket_at(s3_server, tls=tls_context(authority.issue_cert("other.example"))) as bucket:
        with pytest.raises(StateUnreachableError, match="is not trusted"):
            quick(bucket).read_head()
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "missing.pem"))
        with pytest.raises(StateUnreachableError, match="AWS_CA_BUNDLE names"):
            quick(bucket).read_head()
    assert s3.objects() == []


def test_what_a_store_sends_back_is_not_printed(s3: Bucket) -> None:
    """S3 answers a wrong signature with what was signed; a gateway may answer with headers."""
    extra = f"<AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId><StringToSign>secret-words</StringToSign>"
    s3.proxy.choose = lambda _: refused(403, "SignatureDoesNotMatch", extra)
    backend = quick(s3)
    for call in (backend.read_head, lambda: backend.swap_head(b"secret-body", None), backend.list_blobs):
        with pytest.raises(DevstreamError) as caught:
            call()
        error: BaseException | None = caught.value
        while error is not None:
            told = f"{error!r} {error}"
            assert not any(word in told for word in (ACCESS_KEY, SECRET_KEY, "secret-words", "secret-body"))
            error = error.__cause__ or error.__context__


def test_a_profile_comes_from_boto3(s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(f"[ops]\naws_access_key_id = OPS\naws_secret_access_key = {SECRET_KEY}\n[empty]\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    quick(s3, profile="ops").swap_head(b"x", None)
    with pytest.raises(CredentialsError, match="could not be found") as caught:
        quick(s3, profile="opps").read_head()
    assert "aws configure list-profiles" in caught.value.diagnostic.suggestion
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(CredentialsError, match='"empty" has no credentials') as caught:
        quick(s3, profile="empty").read_head()
    assert "aws sso login --profile empty" in caught.value.diagnostic.suggestion
    monkeypatch.setenv("AWS_PROFILE", "ops")
    assert quick(s3).read_head() is not None


def test_without_obstore_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(PluginError, match="needs obstore") as caught:
        make_s3({"bucket": "b", "key": "k", "region": "eu-1"}, None)  # type: ignore[arg-type]  # not used
    assert caught.value.diagnostic.suggestion == "pip install 'devstream[s3]'"
    assert caught.value.exit_code == 3


FORKED = """
import os, sys
from devstream.builtin.s3 import S3Backend
from devstream.builtin.s3_options import place_of
backend = S3Backend(place_of({"bucket": "b", "key": "k", "endpoint": sys.argv[1], "allowHttp": True}, {}), timeout=1)
try:
    backend.read_head()
except Exception:
    pass
pid = os.fork()
if pid == 0:
    try:
        backend.read_head()
    except Exception as error:
        os._exit(7 if "was forked" in str(error) else 8)
    os._exit(9)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_forked_process_is_told_so(s3: Bucket) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED, s3.proxy.url],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        check=False,
        timeout=60,
    )
    assert done.returncode == 7


def test_nothing_is_imported_before_it_is_needed() -> None:
    code = "import sys, devstream.builtin.s3; print([n for n in ('obstore', 'boto3', 'botocore') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
