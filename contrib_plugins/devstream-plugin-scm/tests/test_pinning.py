"""Templates from elsewhere: pinned, kept on this machine, fetched in no way but a safe one."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import ssl
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from devstream.api import Address, OperationError, RetryableError, Secret
from devstream.testing.context import PlainContext
from devstream.testing.gitea import GiteaStandIn
from devstream.testing.service import Request, Response, Service, route
from devstream_plugin_scm import template_cache
from devstream_plugin_scm.downloads import Download, download
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.git_sources import newest_version
from devstream_plugin_scm.sources import digest_of
from devstream_plugin_scm.template_cache import TemplateCache, cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.conftest import Bench, Workplace

TOKEN = "canary-3b9f"


def tar_of(path: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:") as archive:
        member = tarfile.TarInfo(path)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def forget() -> None:
    """Empty the cache."""
    for path in cache_folder().iterdir():
        path.unlink()


class Upstream:
    """A template's repository, and the people who work on it."""

    def __init__(self, place: Workplace, bare: Path) -> None:
        self._place, self.bare = place, bare
        self._clone = place.home / f"upstream-{bare.name}"
        place.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        place.git("init", "--quiet", "--initial-branch=main", str(self._clone))

    def git(self, *arguments: str) -> str:
        return self._place.git(*arguments, cwd=self._clone).stdout.strip()

    def commit(self, files: Mapping[str, str], *more: str, tag: str = "") -> str:
        for name, text in files.items():
            path = self._clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", "work", *more)
        if tag:
            self.git("tag", "--annotate", "--force", "-m", tag, tag)
        self.git("push", "--quiet", "--force", "--tags", str(self.bare), "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def link(self, name: str, target: str) -> None:
        (self._clone / name).symlink_to(target)
        self.commit({})


@pytest.fixture
def upstream(place: Workplace) -> Upstream:
    made = Upstream(place, place.folder / "upstream.git")
    made.commit({"a.txt.tpl": "one [[ AppName ]]\n"}, tag="v1.0.0")
    return made


def scaffold(place: Workplace, **source: Any) -> Bench:
    bench = place.bench(
        "repo-scaffolding",
        destinationRepo={"scmType": "local", "name": "hello"},
        sourceRepo={"url": "upstream.git", **source},
    )
    bench.create()
    return bench


def pin_of(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench.there().properties["template"]
    return found


# ---- what moves a pin


def test_a_pin_names_the_commit_and_the_digest_of_the_files(place: Workplace, upstream: Upstream) -> None:
    bench = scaffold(place, branch="main")
    assert pin_of(bench) == {
        "url": "upstream.git",
        "asked": "branch main",
        "version": upstream.git("rev-parse", "HEAD"),
        "digest": digest_of({"a.txt.tpl": File(b"one [[ AppName ]]\n")}),
    }
    assert place.show("a.txt") == "one hello\n"


@pytest.mark.parametrize("source", [{}, {"branch": "main"}, {"version": "v1.0.0"}])
def test_d16_what_is_pushed_upstream_changes_nothing_until_it_is_asked_for(
    place: Workplace, upstream: Upstream, source: dict[str, str]
) -> None:
    bench = scaffold(place, **source)
    pinned = pin_of(bench)
    upstream.commit({"a.txt.tpl": "two\n"}, tag="v1.0.0")
    assert bench.drift() == {}
    bench.options["vars"] = {"unused": "x"}
    bench.update()
    assert (place.show("a.txt"), pin_of(bench)) == ("one hello\n", pinned)
    later = upstream.commit({"a.txt.tpl": "three\n"}, tag="v1.1.0")
    bench.options["sourceRepo"] = {"url": "upstream.git", "version": later}
    bench.update()
    assert (place.show("a.txt"), pin_of(bench)["version"]) == ("three\n", later)


def test_d16_a_force_push_upstream_breaks_and_changes_nothing(place: Workplace, upstream: Upstream) -> None:
    bench = scaffold(place, branch="main")
    upstream.commit({"a.txt.tpl": "rewritten [[ AppName ]]\n"}, "--amend", "--date=2001-01-01T00:00:00Z")
    place.git("--git-dir", str(upstream.bare), "tag", "-d", "v1.0.0")
    place.git("--git-dir", str(upstream.bare), "gc", "--quiet", "--prune=now")
    bench.options["vars"] = {"unused": "x"}
    bench.update()
    assert place.show("a.txt") == "one hello\n"
    forget()
    bench.options["vars"] = {"unused": "y"}
    with pytest.raises(OperationError, match=r"commit .* cannot be fetched .* history rewritten"):
        bench.update()
    assert place.show("a.txt") == "one hello\n", "an error, and not another template"


def test_d16_a_repository_that_was_renamed_upstream_is_not_missed(
    place: Workplace, upstream: Upstream
) -> None:
    bench = scaffold(place, version="v1.0.0")
    upstream.bare.rename(place.folder / "renamed.git")
    assert bench.drift() == {}
    bench.options["vars"] = {"unused": "x"}
    bench.update()
    forget()
    with pytest.raises(OperationError, match="cannot be fetched"):
        bench.update()
    bench.options["sourceRepo"] = {"url": "renamed.git", "version": "v1.0.0"}
    bench.update()
    assert place.log() == ["Begin from upstream.git"], "the same template from another place changes nothing"


def test_another_branch_or_tag_moves_the_pin(place: Workplace, upstream: Upstream) -> None:
    bench = scaffold(place, version="v1.0.0")
    upstream.commit({"a.txt.tpl": "two\n"}, tag="v2.0.0")
    bench.options["sourceRepo"] = {"url": "upstream.git", "version": "v2.0.0"}
    bench.update()
    assert place.show("a.txt") == "two\n"
    upstream.git("push", "--quiet", str(upstream.bare), "v1.0.0^{}:refs/heads/old")
    bench.options["sourceRepo"] = {"url": "upstream.git", "branch": "old"}
    bench.update()
    assert place.show("a.txt") == "one hello\n"


def test_who_follows_a_branch_sees_it_move_in_the_plan_and_gets_it(
    place: Workplace, upstream: Upstream
) -> None:
    bench = scaffold(place, branch="main", follow=True)
    later = upstream.commit({"a.txt.tpl": "two\n"})
    (drifted,) = bench.drift().values()
    assert (drifted[0]["version"], drifted[1]["version"]) == (upstream.git("rev-parse", "HEAD~"), later)
    bench.update()
    assert (place.show("a.txt"), bench.drift()) == ("two\n", {})


def test_who_follows_goes_on_while_nobody_can_be_asked(place: Workplace, upstream: Upstream) -> None:
    bench = scaffold(place, branch="main", follow=True)
    upstream.bare.rename(place.folder / "away.git")
    assert bench.drift() == {}
    bench.options["vars"] = {"unused": "x"}
    bench.update()
    assert [
        text for level, text in bench.said if level == "warning" and "the template stays as it was" in text
    ]


def test_another_token_changes_nothing(place: Workplace, upstream: Upstream) -> None:
    bench = scaffold(place, branch="main", token="first")
    upstream.commit({"a.txt.tpl": "two\n"})
    bench.options["sourceRepo"]["token"] = "second"
    assert bench.drift() == {}
    bench.update()
    assert place.log() == ["Begin from upstream.git"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"version": "v9"}, "no tag v9"),
        ({"branch": "nowhere"}, "no branch nowhere"),
        ({"version": "f" * 40}, "cannot be fetched"),
        ({"path": "nowhere"}, "no folder 'nowhere'"),
        ({"url": "absent.git"}, "cannot be read"),
    ],
)
def test_what_is_not_there_is_named(
    place: Workplace, upstream: Upstream, source: dict[str, str], said: str
) -> None:
    assert upstream.bare.is_dir()
    with pytest.raises(OperationError, match=said):
        scaffold(place, **source)
    assert not (place.folder / "repos").exists()


def test_a_folder_of_a_repository_is_a_template(place: Workplace, upstream: Upstream) -> None:
    upstream.commit({"web/index.html": "<p>\n", "cli/main.c": "main\n"})
    bench = scaffold(place, path="web")
    assert place.files() == ["index.html"]
    bench.options["sourceRepo"]["path"] = "cli"
    bench.update()
    assert place.files() == ["main.c"]


def test_what_a_repository_says_of_its_files_changes_nothing_of_them(
    place: Workplace, upstream: Upstream
) -> None:
    text = "$Id$ $Format:%H$\r\n"
    upstream.commit({".gitattributes": "* ident text eol=lf export-subst\nb export-ignore\n", "b": text})
    scaffold(place)
    done = subprocess.run(
        ["git", "--git-dir", place.repository(), "show", "main:b"], capture_output=True, check=True
    )
    stored = subprocess.run(
        ["git", "--git-dir", upstream.bare, "show", "main:b"], capture_output=True, check=True
    )
    assert done.stdout == stored.stdout


def test_links_and_submodules_of_a_repository_are_refused(place: Workplace, upstream: Upstream) -> None:
    upstream.link("secret", "/etc/passwd")
    with pytest.raises(OperationError, match="'secret' is a link"):
        scaffold(place)
    upstream.git("rm", "--quiet", "secret")
    upstream.git("update-index", "--add", "--cacheinfo", f"160000,{upstream.git('rev-parse', 'HEAD')},sub")
    upstream.git("commit", "--quiet", "-m", "submodule")
    upstream.git("push", "--quiet", "--force", str(upstream.bare), "HEAD:main")
    with pytest.raises(OperationError, match="'sub' is a submodule"):
        scaffold(place)


def test_a_repository_with_too_much_is_refused(
    place: Workplace, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstream_plugin_scm.git_sources.MAX_FILES", 3)
    upstream.commit({f"{number}": "" for number in range(5)})
    with pytest.raises(OperationError, match="more than 3 files"):
        scaffold(place)


# ---- what is newer


def thorough(bench: Bench) -> dict[str, Any]:
    bench.context = PlainContext(bench.folder, bench.address, reading=True, thorough=True)  # type: ignore[assignment]  # it does not have to die
    status = bench.hooks.read(tool=bench.tool(), recorded=bench.recorded, context=bench.context)
    assert status is not None
    found: dict[str, Any] = status.info["template"]
    return found


@pytest.mark.parametrize("source", [{}, {"branch": "main"}, {"version": "v1.0.0"}, {"version": "COMMIT"}])
def test_what_is_newer_is_found(place: Workplace, upstream: Upstream, source: dict[str, str]) -> None:
    first = upstream.git("rev-parse", "HEAD")
    bench = scaffold(place, **{key: value.replace("COMMIT", first) for key, value in source.items()})
    assert thorough(bench) == {"url": "upstream.git", "pinned": first, "latest": first, "behind": False}
    later = upstream.commit({"a.txt.tpl": "two\n"}, tag="v1.10.0")
    upstream.git("tag", "v2.0.0-rc1")
    found = thorough(bench)
    latest = "v1.10.0" if source.get("version") == "v1.0.0" else later
    assert (found["pinned"], found["latest"], found["behind"]) == (first, latest, True)


def test_a_tag_that_was_moved_is_newer(place: Workplace, upstream: Upstream) -> None:
    bench = scaffold(place, version="v1.0.0")
    moved = upstream.commit({"a.txt.tpl": "two\n"}, tag="v1.0.0")
    assert thorough(bench)["latest"] == moved
    assert thorough(bench)["behind"]


def test_a_folder_is_behind_where_it_changed(place: Workplace) -> None:
    bench = place.scaffold(url=place.template({"a": "1"}))
    assert not thorough(bench)["behind"]
    place.template({"a": "2"})
    assert thorough(bench)["behind"]


@pytest.mark.parametrize(
    ("version", "tags", "newest"),
    [
        ("v1.2.0", "v1.10.0 v1.9.9 v2.0.0-rc1 latest", "v1.10.0"),
        ("1.0", "1.0 1.1", "1.1"),
        ("v3.0.0", "v1.0.0", "v3.0.0"),
        ("stable", "v1.0.0", "stable"),
    ],
)
def test_the_newest_release(version: str, tags: str, newest: str) -> None:
    assert newest_version(version, dict.fromkeys(tags.split(), "")) == newest


# ---- the cache


def test_a_second_app_needs_no_network(place: Workplace, upstream: Upstream) -> None:
    first = scaffold(place, version=upstream.git("rev-parse", "HEAD"))
    upstream.bare.rename(place.folder / "away.git")
    second = place.bench(
        "repo-scaffolding",
        "second",
        destinationRepo={"scmType": "local", "name": "second"},
        sourceRepo=first.options["sourceRepo"],
    )
    second.create()
    assert place.show("a.txt", "second") == "one second\n"


@pytest.mark.parametrize("content", [b"", b"garbage", tar_of("a.txt.tpl", b"evil\n")])
def test_a_damaged_cache_is_fetched_again(place: Workplace, upstream: Upstream, content: bytes) -> None:
    bench = scaffold(place, branch="main")
    (kept,) = cache_folder().glob("*.tar")
    kept.write_bytes(content)
    bench.options["vars"] = {"unused": "x"}
    bench.update()
    assert place.show("a.txt") == "one hello\n"
    assert upstream.bare.is_dir()
    assert hashlib.sha256(content).digest() != hashlib.sha256(kept.read_bytes()).digest()
    assert cache_folder().stat().st_mode & 0o077 == 0


def test_a_cache_that_cannot_be_written_costs_only_time(
    place: Workplace, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(upstream.bare / "HEAD"))
    scaffold(place)
    assert place.show("a.txt") == "one hello\n"


_KEEPER = """
import sys
from pathlib import Path
from devstream.testing.context import RecordingLog
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.template_cache import TemplateCache

cache = TemplateCache(Path(sys.argv[1]), RecordingLog())
tree = {f"f{n}": File(b"x" * 5000) for n in range(50)}
digest = cache.keep(tree)
sys.stdin.readline()
for _ in range(60):
    assert cache.keep(tree) == digest
    assert cache.tree(digest) == tree, cache._log.text
"""


@pytest.mark.parametrize("limit", ["MAX_BYTES", "MAX_FILES"])
def test_a_cache_keeps_what_was_used_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    folder = tmp_path / "c"
    cache = TemplateCache(folder, PlainContext(tmp_path, Address("a", "b")).log)
    trees = [{"a": File(b"%d" % number * 30_000)} for number in range(6)]
    digests = []
    for age, tree in zip(range(6, 0, -1), trees, strict=True):
        digests.append(cache.keep(tree))
        os.utime(folder / f"{digests[-1][7:]}.tar", (0, time.time() - age * 3600))
    for name, age in ((".new-dead", 90_000), (".new-alive", 60)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (0, time.time() - age))
    reader = (folder / f"{digests[1][7:]}.tar").open("rb")
    assert cache.tree(digests[0]) == trees[0]
    monkeypatch.setattr(template_cache, limit, {"MAX_BYTES": 100_000, "MAX_FILES": 4}[limit])
    newest = cache.keep({"new": File(b"")})
    with reader:
        assert reader.read(), "who reads it reads on"
    left = {path.name for path in folder.iterdir()}
    kept = {newest, digests[0], digests[5]}
    assert left == {".new-alive", *(f"{digest[7:]}.tar" for digest in kept)}
    assert cache.tree(digests[1]) is None
    assert digest_of(trees[1]) == cache.keep(trees[1])


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KEEPER, str(tmp_path / "shared")]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert [(process.communicate()[1], process.returncode) for process in running] == [(b"", 0)] * 2
    assert len(list((tmp_path / "shared").iterdir())) == 1


def test_a_tree_comes_back_as_it_was(tmp_path: Path) -> None:
    context = PlainContext(tmp_path)
    cache = TemplateCache(tmp_path / "c", context.log)
    tree = {"a/run.sh": File(b"\0\xff", executable=True), "ü/" + "/".join("d" * 30): File(b"")}
    assert cache.tree(cache.keep(tree)) == tree
    assert cache.tree("sha256:" + "0" * 64) is None
    assert cache.find("nothing", "") is None


# ---- from a server: git


class GitHost(Service):
    """Serves repositories to whoever knows the token."""

    def allows_git(self, request: Request, repository: str, *, write: bool) -> Response | None:
        if request.basic == ("git", TOKEN) and not write:
            return None
        return Response(401, b"who are you\n", {"WWW-Authenticate": 'Basic realm="git"'})


@pytest.fixture
def host(place: Workplace, upstream: Upstream) -> Iterator[GitHost]:
    assert upstream.bare.is_dir()
    with GitHost(git_root=place.folder) as service:
        yield service


def test_a_template_from_a_server_by_its_token(place: Workplace, host: GitHost, upstream: Upstream) -> None:
    url = f"{host.url}/upstream.git"
    bench = scaffold(place, url=url, token=TOKEN, version="v1.0.0")
    assert place.show("a.txt") == "one hello\n"
    asked = len(host.requests)
    bench.drift()
    bench.options["vars"] = {"unused": "x"}
    bench.update()
    assert len(host.requests) == asked, "what is pinned and kept asks nobody"
    upstream.commit({"a.txt.tpl": "two\n"}, tag="v1.1.0")
    assert thorough(bench)["latest"] == "v1.1.0"
    seen = [bench.context.log.text, str(bench.recorded)]
    assert TOKEN not in "".join(seen)
    kept = [path.read_bytes() for path in place.folder.parent.rglob("*") if path.is_file()]
    assert not [data for data in kept if TOKEN.encode() in data]


def test_d14_netrc_is_not_read(
    place: Workplace, host: GitHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither git nor a download logs in with what the user keeps for other programs."""
    home = tmp_path / "netrc-home"
    home.mkdir()
    (home / ".netrc").write_text(f"machine 127.0.0.1 login git password {TOKEN}\n")
    (home / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    with pytest.raises(OperationError, match="cannot be read"):
        scaffold(place, url=f"{host.url}/upstream.git")
    with pytest.raises(OperationError):
        scaffold(place, url=f"{host.url}/upstream.tar.gz")
    assert not [request for request in host.requests if request.headers.get("authorization")]


def test_d14_git_refuses_a_certificate_that_nobody_vouches_for(
    place: Workplace, upstream: Upstream, authority: trustme.CA
) -> None:
    authority.cert_pem.write_to_path(str(place.folder / "ca.pem"))
    with GitHost(git_root=place.folder, tls=tls_of(authority)) as service:
        url = f"{service.url}/{upstream.bare.name}"
        with pytest.raises(OperationError, match=r"cannot be read .*its certificate"):
            scaffold(place, url=url, token=TOKEN)
        assert service.requests == []
        scaffold(place, url=url, token=TOKEN, caFile="ca.pem")
    assert place.show("a.txt") == "one hello\n"


def test_d14_plain_http_goes_to_this_machine_only(place: Workplace) -> None:
    for url in ("http://git.example.org/o/a.git", "http://example.org/a.tar.gz"):
        with pytest.raises(OperationError, match=r"in clear|no https URL"):
            scaffold(place, url=url)


def test_d16_a_service_tells_where_a_renamed_template_is_and_that_is_said(
    place: Workplace, upstream: Upstream, tmp_path: Path
) -> None:
    import httpx

    with GiteaStandIn(tmp_path / "gitea") as gitea:
        asked = {"headers": {"Authorization": f"token {gitea.token}"}, "trust_env": False}
        httpx.post(f"{gitea.url}/api/v1/user/repos", json={"name": "template"}, **asked).raise_for_status()  # type: ignore[arg-type]  # a dict of both
        upstream.git(
            "push", "--quiet", f"http://x:{gitea.token}@{gitea.host}/someone/template.git", "HEAD:main"
        )
        parts = {"scmType": "gitea", "baseURL": gitea.url, "owner": "someone", "name": "template"}
        bench = scaffold(place, url="", branch="main", token=gitea.token, **parts)
        assert place.show("a.txt") == "one hello\n"
        renaming = f"{gitea.url}/api/v1/repos/someone/template"
        httpx.patch(renaming, json={"name": "renamed"}, **asked).raise_for_status()  # type: ignore[arg-type]
        forget()
        bench.options["vars"] = {"unused": "x"}
        bench.update()
        assert place.log() == [f"Begin from gitea/{gitea.url}/someone/template"]
        assert [
            text for level, text in bench.said if level == "warning" and "renamed now: write that url" in text
        ]
        bench.context.close()


# ---- from a server: archives


class Files(Service):
    """Serves files; ``redirects`` sends paths on."""

    def __init__(self, files: dict[str, bytes], **options: Any) -> None:
        super().__init__(**options)
        self.files = files
        self.redirects: dict[str, str] = {}

    @route("GET", "/{path...}")
    def get(self, request: Request) -> Response:
        if request.path in self.redirects:
            return Response(302, None, {"Location": self.redirects[request.path]})
        data = self.files.get(request.path)
        return Response(404, b"no") if data is None else Response(200, data)


ARCHIVE = gzip.compress(tar_of("repo-main/a.txt.tpl", b"one [[ AppName ]]\n"), mtime=0)
DIGEST = f"sha256:{hashlib.sha256(ARCHIVE).hexdigest()}"


@pytest.fixture
def files() -> Iterator[Files]:
    with Files({"/a.tar.gz": ARCHIVE}) as service:
        yield service


def test_an_archive_is_pinned_by_its_digest(place: Workplace, files: Files) -> None:
    url = f"{files.url}/a.tar.gz"
    bench = scaffold(place, url=url)
    assert place.show("a.txt") == "one hello\n"
    assert pin_of(bench)["version"] == DIGEST
    files.files["/a.tar.gz"] = gzip.compress(tar_of("a.txt.tpl", b"two\n"), mtime=0)
    now = hashlib.sha256(files.files["/a.tar.gz"]).hexdigest()
    assert bench.drift() == {}
    bench.options["vars"] = {"unused": "x"}
    bench.update()
    assert place.show("a.txt") == "one hello\n"
    assert thorough(bench)["behind"]
    forget()
    bench.options["vars"] = {"unused": "y"}
    with pytest.raises(OperationError, match=f"has changed: .*take it: sha256: {now}"):
        bench.update()
    bench.options["sourceRepo"]["sha256"] = now
    bench.update()
    assert place.show("a.txt") == "two\n"


def test_another_digest_than_the_one_asked_for_is_refused(place: Workplace, files: Files) -> None:
    scaffold(place, url=f"{files.url}/a.tar.gz", sha256=DIGEST)
    (place.folder / "b.tar.gz").write_bytes(ARCHIVE)
    for url in (f"{files.url}/a.tar.gz", "b.tar.gz"):
        bench = place.bench(
            "repo-scaffolding",
            "other",
            destinationRepo={"scmType": "local", "name": "other"},
            sourceRepo={"url": url, "sha256": "0" * 64},
        )
        with pytest.raises(OperationError, match=r"has changed|has the digest"):
            bench.create()
    assert not place.repository("other").exists()


def fetch(tmp_path: Path, url: str, **fields: Any) -> bytes:
    context = PlainContext(tmp_path, Address("repo-scaffolding", "x"), reading=True)
    return download(context, Download(url, **fields))[0]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def tls_of(authority: trustme.CA) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    return tls


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Files]:
    with Files({"/a.tar.gz": ARCHIVE}, tls=tls_of(authority)) as service:
        yield service


def test_d14_a_certificate_that_nobody_vouches_for_is_refused(
    tmp_path: Path, secure: Files, authority: trustme.CA
) -> None:
    with pytest.raises(OperationError, match=r"(?i)certificate"):
        fetch(tmp_path, f"{secure.url}/a.tar.gz")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert fetch(tmp_path, f"{secure.url}/a.tar.gz", ca_file=tmp_path / "ca.pem") == ARCHIVE


def test_d14_a_redirect_from_https_to_http_is_not_followed(
    tmp_path: Path, secure: Files, files: Files, authority: trustme.CA
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    secure.redirects["/moved.tar.gz"] = f"{files.url}/a.tar.gz"
    with pytest.raises(OperationError, match="is no https URL"):
        fetch(tmp_path, f"{secure.url}/moved.tar.gz", ca_file=tmp_path / "ca.pem")
    assert files.requests == []


def test_d14_a_token_goes_to_no_other_host(tmp_path: Path, files: Files) -> None:
    with Files({"/a.tar.gz": ARCHIVE}) as other:
        files.redirects |= {"/here.tar.gz": "/a.tar.gz", "/there.tar.gz": f"{other.url}/a.tar.gz"}
        token = Secret.plain(TOKEN)
        assert fetch(tmp_path, f"{files.url}/here.tar.gz", token=token) == ARCHIVE
        assert [request.headers.get("authorization") for request in files.requests] == [f"Bearer {TOKEN}"] * 2
        assert fetch(tmp_path, f"{files.url}/there.tar.gz", token=token) == ARCHIVE
        assert [request.headers.get("authorization") for request in other.requests] == [None]


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://user:pw@127.0.0.1/a.zip"]
)
def test_a_redirect_to_something_else_is_not_followed(tmp_path: Path, files: Files, target: str) -> None:
    files.redirects["/a.zip"] = target
    with pytest.raises(OperationError, match=r"is no https URL|must not hold"):
        fetch(tmp_path, f"{files.url}/a.zip")


def test_a_redirect_in_a_circle_ends(tmp_path: Path, files: Files) -> None:
    files.redirects["/a.zip"] = "/a.zip"
    with pytest.raises(OperationError, match="more than 5 times"):
        fetch(tmp_path, f"{files.url}/a.zip")


def test_what_is_too_long_too_slow_or_not_there_is_given_up(tmp_path: Path, files: Files) -> None:
    with pytest.raises(OperationError, match="more than 10 bytes"):
        fetch(tmp_path, f"{files.url}/a.tar.gz", limit=10)
    with pytest.raises(RetryableError, match="did not arrive within 0 s"):
        fetch(tmp_path, f"{files.url}/a.tar.gz", seconds=0)
    with pytest.raises(OperationError, match="status 404") as caught:
        fetch(tmp_path, f"{files.url}/b.tar.gz?signature=s3cr3t")
    assert "s3cr3t" not in str(caught.value)


def test_a_busy_server_is_waited_for(tmp_path: Path, files: Files) -> None:
    files.fail("GET", "/a.tar.gz", status=429, headers={"Retry-After": "0"})
    assert fetch(tmp_path, f"{files.url}/a.tar.gz") == ARCHIVE
    files.fail("GET", "/a.tar.gz", status=0, times=1)
    with pytest.raises(RetryableError, match="cannot be fetched"):
        fetch(tmp_path, f"{files.url}/a.tar.gz")


def test_a_download_is_stopped_with_the_run(tmp_path: Path, files: Files) -> None:
    from devstream.api import OperationCancelled

    context = PlainContext(tmp_path, stop=lambda: True)
    with pytest.raises(OperationCancelled):
        download(context, Download(f"{files.url}/a.tar.gz"))
