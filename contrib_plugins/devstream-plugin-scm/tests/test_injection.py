"""What people write never becomes an option, a command or another protocol: 87 payloads; and a hostile home changes nothing."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import Address, OperationError, Secret
from devstream.testing.context import PlainContext
from devstream.testing.git_servers import GitOverSsh, make_key, missing_programs
from devstream.testing.service import Service
from devstream_plugin_scm.forge import File, open_forge
from devstream_plugin_scm.git_sources import GitSource
from devstream_plugin_scm.repository import RepoInfo, TargetRepo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OPTIONS = (
    "--upload-pack=touch {canary}", "--receive-pack=touch${IFS}{canary}", "--exec=touch {canary}", "--output={canary}",
    "-c", "-ccore.sshCommand=touch {canary}", "--config=core.hooksPath={canary}", "--template={canary}", "-u{canary}",
    "--git-dir={canary}", "--", "-", "-oProxyCommand=touch {canary}", "-oProxyCommand=touch{canary}:x.git",
)  # fmt: skip
URLS = (
    "ext::sh -c touch% {canary}", "EXT::sh -c touch% {canary}", "ext::sh${IFS}-c${IFS}touch{canary}", "fd::17/{canary}",
    "file:///etc", "file://{canary}", "File:///etc/passwd.git", "git://127.0.0.1/{canary}", "ftp://127.0.0.1/x",
    "gopher://127.0.0.1/x", "https::ext::sh -c touch", "transport::{canary}", "ssh://-oProxyCommand=touch%20{canary}/x",
    "ssh://-oProxyCommand=touch${IFS}{canary}@h/x.git", "ssh://u@-oProxyCommand=touch {canary}/x.git",
    "git@-oProxyCommand=x:y.git", "ssh://git@h:22;touch {canary}/x.git", "ssh://git@h/-oProxyCommand.git",
    "ssh://h/~/../../x.git", "https://h/a/../../../etc/x.git", "https://h/a/%2e%2e/x.git",
    "https://h/a/%2d-upload-pack=x.git", "https://h/a/%0aHost:evil/x.git", "https://u:p@h/x.git", "https://tok@h/x.git",
    "https://h\\@evil/x.git", "https://h#@evil/x.git", "https://h?x=y/x.git",
)  # fmt: skip
SHELL = (
    "$(touch {canary})", "`touch {canary}`", "x;touch {canary}", "x|touch {canary}", "x&&touch {canary}",
    "x&touch {canary}&", "x>{canary}", "x\ntouch {canary}", "x\r\nProxyCommand touch {canary}", "x\0{canary}",
    "'\"; touch {canary}; \"'", 'x"\n\tProxyCommand touch {canary}\n#', 'x"\n\tsshCommand = touch {canary}\n#',
    "${IFS}touch", "%0atouch {canary}", "GIT_SSH_COMMAND=touch {canary}", "env GIT_DIR=x", "\x1b]0;x\x07",
)  # fmt: skip
NAMES = (
    "x\u202egnp.sh", "\uff0d\uff0dupload-pack=x", "x\u2028touch", "\u0430cme", "x\u200b", "..", "../../../{canary}",
    "refs/heads/../../x", "refs/heads/main:refs/heads/x", "+main", "@{u}", "@", "HEAD@{1}", "main^{/x}", "main~1",
    "main..evil", "*", "[a-z]", "?", "x.lock", ".git", "a/.git/hooks/post-checkout", "\\\\evil\\x", "a b", "~root/x",
)  # fmt: skip
PAYLOADS = (*OPTIONS, *URLS, *SHELL, *NAMES)

WHERE: dict[str, dict[str, str]] = {
    "git": {"url": "https://git.example.org/acme/shop.git"},
    "gitea": {"owner": "acme", "name": "shop"},
    "bitbucket": {"org": "acme", "name": "shop"},
    "local": {"name": "shop"},
}
HARMLESS = {
    ("local", "url", ".git"): "a folder of this name",
    ("local", "url", "git@-oProxyCommand=x:y.git"): "a folder of this name",
    ("bitbucket", "name_space", "~root/x"): "a project's key, quoted in the path of a request",
}
"""What is taken as it is written, though it looks odd, and why nothing comes of it."""


def test_there_are_enough_payloads() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 60


@pytest.mark.parametrize(
    "field", ["owner", "org", "name", "branch", "url", "base_url", "api_url", "name_space"]
)
@pytest.mark.parametrize("kind", WHERE)
def test_what_could_be_taken_for_something_else_is_refused(kind: str, field: str) -> None:
    if kind == "local" and field in {"base_url", "api_url", "name_space"}:
        pytest.skip("a folder's path, or not looked at")
    taken = []
    for payload in PAYLOADS:
        named = {**WHERE[kind], field: payload.replace("{canary}", "/tmp/canary")}
        if field == "owner":
            named.pop("org", None)
        if field == "org":
            named.pop("owner", None)
        said = _refusal(scm_type=kind, **named)
        if said is None:
            taken.append(payload)
        else:
            assert len(said) > 20
            assert said.isprintable()
    assert [payload for payload in taken if (kind, field, payload) not in HARMLESS] == []


def _refusal(**fields: Any) -> str | None:
    try:
        TargetRepo(**fields)
    except ValueError as error:
        return str(error)
    return None


class Watching(PlainContext):
    """Keeps every command line and its environment."""

    def run(self, argv: Any, **asked: Any) -> Any:
        self.__dict__.setdefault("commands", []).append((tuple(argv), dict(asked.get("env") or {})))
        return super().run(argv, **asked)

    @property
    def commands(self) -> list[tuple[tuple[str, ...], dict[str, str]]]:
        commands: list[tuple[tuple[str, ...], dict[str, str]]] = vars(self).get("commands", [])
        return commands


@pytest.fixture
def context_of(tmp_path: Path) -> Iterator[Callable[..., Watching]]:
    opened: list[Watching] = []

    def give(**environ: str) -> Watching:
        known = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ}
        opened.append(Watching(tmp_path, Address("ci-generic", "shop"), environ=known))
        return opened[-1]

    yield give
    for context in opened:
        context.close()


def bare(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
    return path


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Service]:
    bare(tmp_path / "served" / "acme" / "shop.git")
    with Service(git_root=tmp_path / "served") as service:
        yield service


def option_like(commands: list[tuple[tuple[str, ...], dict[str, str]]], payload: str) -> list[str]:
    """Give the arguments that begin with a dash, stand where git looks for options, and hold the payload."""
    found = []
    for argv, _ in commands:
        own = argv[6:]  # git itself, its folder, and two settings that are always the same
        options = own[: own.index("--")] if "--" in own else own
        found += [
            argument
            for argument in options
            if argument.startswith("-") and argument != "-" and payload in argument
        ]
    return [] if payload in {"-", "--", "-c"} else found


def test_a_payload_does_something_where_git_is_called_carelessly(tmp_path: Path) -> None:
    """Show that the canary would be seen: the same payload, without what this program does."""
    canary = tmp_path / "canary"
    environment = {**os.environ, "GIT_ALLOW_PROTOCOL": "ext"}
    url = f"ext::sh -c touch% {canary}"
    subprocess.run(["git", "ls-remote", url], env=environment, capture_output=True, check=False)
    assert canary.exists()


@pytest.mark.parametrize(
    "payload", [pytest.param(text, marks=() if number % 8 == 0 else pytest.mark.slow) for number, text in enumerate(PAYLOADS)]
)  # fmt: skip
def test_what_is_not_looked_at_beforehand_reaches_no_shell(
    payload: str, host: Service, tmp_path: Path, context_of: Callable[..., Watching]
) -> None:
    """Templates' repositories, paths of files, users, and commit messages: each with the payload in it, for real."""
    canary = tmp_path / "canary"
    text = payload.replace("{canary}", str(canary))
    context = context_of()
    sources = [
        RepoInfo(scm_type="git", url=text),
        RepoInfo(scm_type="gitea", base_url=host.url, owner=text, name="shop"),
        RepoInfo(scm_type="gitea", base_url=host.url, owner="acme", name=text),
        RepoInfo(scm_type="git", url="ssh://git@127.0.0.1:1/x.git", known_hosts=text),
        RepoInfo(
            scm_type="git", url=f"{host.url}/acme/shop.git", ca_file=text, user=text, token=Secret.plain(text)
        ),
    ]
    for source in sources:
        _try(lambda source=source: _resolve(source, context, text, ""))  # type: ignore[misc]  # mypy cannot infer a lambda's default
    plain = RepoInfo(scm_type="git", url=f"{host.url}/acme/shop.git")
    _try(lambda: _resolve(plain, context, text, ""))
    _try(lambda: _resolve(plain, context, "", text))
    forge = open_forge(TargetRepo(scm_type="git", url=plain.url), context)
    _try(lambda: forge.publish(plain.url, "main", text, lambda _, __: {"a": File(text.encode())}))
    assert not canary.exists()
    assert not option_like(context.commands, text)


def _resolve(source: RepoInfo, context: Watching, branch: str, version: str) -> None:
    from devstream_plugin_scm.git_sources import remote_of

    GitSource(context, remote_of(source, context)).resolve(branch=branch, version=version)


def _try(attempt: Callable[[], object]) -> None:
    """Attempt something that may be refused, but only as a user's mistake is."""
    with suppress(OperationError, ValueError):
        attempt()


@pytest.mark.parametrize(
    ("kind", "url", "protocol"),
    [
        ("git", "https://127.0.0.1:1/acme/shop.git", "https"),
        ("git", "http://127.0.0.1:1/acme/shop.git", "http"),
        ("git", "ssh://git@127.0.0.1:1/acme/shop.git", "ssh"),
        ("git", "git@127.0.0.1:acme/shop.git", "ssh"),
        ("local", "shop.git", "file"),
    ],
)
def test_each_kind_allows_one_protocol_and_nothing_of_the_user(
    kind: str, url: str, protocol: str, context_of: Callable[..., Watching], tmp_path: Path
) -> None:
    if kind == "local":
        bare(tmp_path / "shop.git")
    context = context_of(GIT_ALLOW_PROTOCOL="ext:file", GIT_SSH_COMMAND="false", GIT_CONFIG_COUNT="1")
    repo = TargetRepo(scm_type=kind, url=url, known_hosts="none")
    forge = open_forge(repo, context)
    _try(lambda: forge.describe(forge.locate(repo)))
    assert context.commands
    for argv, environment in context.commands:
        assert argv[0] == "git"
        assert environment["GIT_CONFIG_NOSYSTEM"] == "1"
        assert environment["GIT_TERMINAL_PROMPT"] == "0"
        assert not environment["GIT_CONFIG_GLOBAL"].startswith(str(tmp_path))
    assert {environment["GIT_ALLOW_PROTOCOL"] for _, environment in context.commands} <= {protocol, "file"}
    wire = [environment for argv, environment in context.commands if "ls-remote" in argv]
    assert all(environment["GIT_ALLOW_PROTOCOL"] == protocol for environment in wire)


# ---- a home and an environment that want to be asked


HOSTILE = """
[core]
	hooksPath = {hooks}
	sshCommand = touch {canary};
	fsmonitor = touch {canary};
	askPass = {hooks}/run
	pager = touch {canary};
	gitProxy = {hooks}/run
	alternateRefsCommand = touch {canary};
[credential]
	helper = "!touch {canary}; echo username=x; echo password=y;"
[url "{evil}"]
	insteadOf = http://
	insteadOf = ssh://
	insteadOf = /
	pushInsteadOf = http://
[protocol]
	allow = always
[protocol "ext"]
	allow = always
[init]
	templateDir = {hooks}/template
	defaultObjectFormat = sha256
[commit]
	gpgSign = true
[gpg]
	program = {hooks}/run
[push]
	gpgSign = if-asked
	recurseSubmodules = on-demand
[submodule]
	recurse = true
[uploadpack]
	packObjectsHook = {hooks}/run
[http]
	proxy = http://127.0.0.1:1
	sslVerify = false
	extraHeader = X-Canary: yes
[transfer]
	fsckObjects = true
"""
HOOKS = (
    "pre-push",
    "reference-transaction",
    "post-checkout",
    "pre-receive",
    "pre-commit",
    "commit-msg",
    "run",
)


@pytest.fixture
def hostile(tmp_path: Path) -> dict[str, str]:
    """Give the environment of somebody whose every setting runs a command; it leaves a canary."""
    home, hooks = tmp_path / "home", tmp_path / "hooks"
    for folder in (home / ".config" / "git", home / ".ssh", hooks / "template" / "hooks"):
        folder.mkdir(parents=True)
    for hook in (hooks, hooks / "template" / "hooks"):
        for name in HOOKS:
            (hook / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/canary\n")
            (hook / name).chmod(0o755)
    evil = bare(tmp_path / "evil" / "acme" / "shop.git").parent.parent
    config = HOSTILE.format(hooks=hooks, canary=tmp_path / "canary", evil=f"file://{evil}/")
    for place in (home / ".gitconfig", home / ".config" / "git" / "config"):
        place.write_text(config)
    (home / ".config" / "git" / "attributes").write_text("* filter=evil export-ignore\n")
    (home / ".ssh" / "config").write_text(f"Host *\n\tProxyCommand touch {tmp_path}/canary\n")
    names = (
        "GIT_SSH_COMMAND",
        "GIT_SSH",
        "GIT_ASKPASS",
        "SSH_ASKPASS",
        "GIT_PROXY_COMMAND",
        "GIT_EXTERNAL_DIFF",
        "GIT_EDITOR",
    )
    return {
        "HOME": str(home),
        **dict.fromkeys(names, str(hooks / "run")),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": str(hooks),
        "GIT_CONFIG_PARAMETERS": f"'core.hooksPath={hooks}'",
        "GIT_TEMPLATE_DIR": str(hooks / "template"),
        "GIT_EXEC_PATH": str(hooks),
        "GIT_DIR": str(evil),
        "GIT_TRACE": str(tmp_path / "canary"),
        "SSH_ASKPASS_REQUIRE": "force",
    }


def _publishes(repo: TargetRepo, context: PlainContext) -> None:
    forge = open_forge(repo, context)
    location = forge.locate(repo)
    for content in (b"1", b"2"):
        commit = forge.publish(location, "main", "Write", lambda _, __, new=content: {"a": File(new)})  # type: ignore[misc]  # mypy cannot infer a lambda's default
    found = forge.describe(location)
    assert found is not None
    assert found.branches == {"main": commit}
    assert len(commit or "") == 40


def _is_untouched(tmp_path: Path) -> bool:
    evil = tmp_path / "evil" / "acme" / "shop.git"
    listed = subprocess.run(
        ["git", "for-each-ref"], cwd=evil, capture_output=True, text=True, check=True
    ).stdout
    return not (tmp_path / "canary").exists() and not listed


def test_a_hostile_home_changes_nothing_over_http(
    hostile: dict[str, str], host: Service, context_of: Callable[..., Watching], tmp_path: Path
) -> None:
    _publishes(TargetRepo(scm_type="git", url=f"{host.url}/acme/shop.git"), context_of(**hostile))
    assert _is_untouched(tmp_path)
    assert not [request for request in host.requests if "x-canary" in request.headers]


def test_a_hostile_home_changes_nothing_in_a_folder(
    hostile: dict[str, str], context_of: Callable[..., Watching], tmp_path: Path
) -> None:
    bare(tmp_path / "shop.git")
    _publishes(TargetRepo(scm_type="local", url="shop.git"), context_of(**hostile))
    assert _is_untouched(tmp_path)


@pytest.mark.skipif(
    bool(missing_programs("sshd", "ssh-keygen")), reason="Debian's openssh-server is not installed"
)
def test_a_hostile_home_changes_nothing_over_ssh(
    hostile: dict[str, str], context_of: Callable[..., Watching], tmp_path: Path
) -> None:
    root, folder = bare(tmp_path / "served" / "shop.git").parent, tmp_path / "sshd"
    folder.mkdir()
    key = make_key(tmp_path)
    with GitOverSsh(root, folder, authorized=(key.public,)) as server:
        (tmp_path / "hosts").write_text(server.known_host())
        repo = TargetRepo(
            scm_type="git",
            url=f"{server.url}{root}/shop.git",
            known_hosts="hosts",
            ssh_private_key=Secret.plain(key.private),
        )
        _publishes(repo, context_of(**hostile))
    assert _is_untouched(tmp_path)


def test_submodules_are_not_looked_at(
    host: Service, context_of: Callable[..., Watching], tmp_path: Path
) -> None:
    """A repository with a submodule whose URL is a command is pushed to, and refused as a template."""
    work, served = tmp_path / "work", tmp_path / "served" / "acme" / "shop.git"
    modules = f'[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% {tmp_path}/canary\n\tupdate = !touch {tmp_path}/canary\n'
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", "init", "-q", "-b", "main", work], check=True)
    (work / ".gitmodules").write_text(modules)
    subprocess.run(["git", "add", ".gitmodules"], cwd=work, check=True)
    subprocess.run(
        ["git", "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x"], cwd=work, check=True
    )
    subprocess.run(["git", *who, "commit", "-q", "-m", "x"], cwd=work, check=True)
    subprocess.run(["git", "push", "-q", served, "main"], cwd=work, check=True)
    context = context_of()
    repo = TargetRepo(scm_type="git", url=f"{host.url}/acme/shop.git")
    _publishes(repo, context)
    from devstream_plugin_scm.git_sources import remote_of

    source = GitSource(context, remote_of(repo, context))
    with pytest.raises(OperationError, match="'x' is a submodule, which a template cannot have"):
        source.tree(source.resolve(branch="main", version=""), "")
    assert not (tmp_path / "canary").exists()


def test_variables_of_templates_are_data(place: Any) -> None:
    """Every payload as a variable's value, in a file: it is there, letter for letter."""
    texts = [text.replace("{canary}", str(place.folder / "canary")) for text in PAYLOADS]
    texts += [
        "[[ .v0 ]]",
        "{{ ''.__class__ }}",
        "[% for %]",
        "{% include '/etc/passwd' %}",
        "[[ cycler.__init__ ]]",
    ]
    template = "".join(f"{number}=[[ .v{number} ]]\n" for number in range(len(texts)))
    place.scaffold(
        url=place.template({"values.tpl": template}),
        **{f"v{number}": text for number, text in enumerate(texts)},
    )
    shown = place.show("values").replace("\r\n", "\n")
    for number, text in enumerate(texts):
        assert f"{number}={text}\n".replace("\r\n", "\n") in shown
    assert not (place.folder / "canary").exists()
