"""`repo-scaffolding`: made once, never lost, kept in line with its template."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError, Secret, ToolState
from devstream.model.values import SecretRef
from devstream.record import replace
from devstream.testing.gitea import GiteaStandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Bench, Workplace

RENDERED = "refs/devstream/rendered"
LOCAL = {"scmType": "local", "name": "hello"}


def unmade(place: Workplace, template: str = "builtin:python-http", **repo: str) -> Bench:
    return place.bench("repo-scaffolding", destinationRepo={**LOCAL, **repo}, sourceRepo={"url": template})


# being made


def test_one_commit_by_devstream_on_the_branch_asked_for(place: Workplace) -> None:
    bench = unmade(place, owner="team", branch="trunk")
    bench.options["vars"] = {"greeting": 'Grüß "Gott"', "port": 9000}
    status = bench.create()
    repository = place.repository("team/hello")
    log = place.git("--git-dir", str(repository), "log", "--format=%an <%ae> %s", "trunk").stdout
    assert log == "DevStream <devstream@localhost> Begin from builtin:python-http\n"
    assert (repository / "HEAD").read_text() == "ref: refs/heads/trunk\n"
    assert status.outputs == {
        "repo": "hello",
        "owner": "team",
        "org": "",
        "repoURL": str(repository),
        "repoType": "local",
        "defaultBranch": "trunk",
        "webURL": None,
    }
    assert place.git("--git-dir", str(repository), "config", "receive.autogc").stdout == "false\n"
    assert place.git("--git-dir", str(repository), "fsck", "--strict").returncode == 0
    assert [path.name for path in repository.parent.iterdir()] == ["hello.git"]


def test_the_shipped_template_passes_its_own_tests(place: Workplace) -> None:
    place.scaffold(greeting='Grüß "Gott" \\ </script> [[ \' ]]', contact="someone", port="9999")
    clone = place.clone()
    done = place.git("-c", "alias.t=!python3 -m unittest discover", "t", cwd=clone)
    assert "Ran 3 tests" in done.stderr
    assert "DEFAULT_PORT = 9999" in (clone / "service.py").read_text()
    assert "\n\n\n" not in (clone / "README.md").read_text()


def test_read_is_none_for_nothing_and_again_once_it_is_gone(place: Workplace) -> None:
    bench = place.scaffold()
    shutil.rmtree(place.repository())
    assert bench.read() is None
    bench.recorded = None
    assert bench.read() is None
    place.repository().mkdir()
    assert bench.read() is None, "an empty folder is nothing"
    bench.create()


def test_people_who_push_make_no_drift(place: Workplace) -> None:
    bench = place.scaffold()
    before = bench.there()
    place.push(place.clone(), {"service.py": "print()\n"}, "HEAD", "HEAD:feature/x")
    assert bench.drift() == {}
    assert bench.there().info != before.info


def test_a_file_keeps_its_mode_and_bytes(place: Workplace) -> None:
    url = place.template({"run.sh.tpl": "#!/bin/sh\necho [[ AppName ]]\n", "plain.txt": "[[ as it is ]]\n"})
    (place.folder / url / "run.sh.tpl").chmod(0o755)
    (place.folder / url / "image.bin").write_bytes(bytes(range(256)))
    place.scaffold(url=url)
    clone = place.clone()
    assert (clone / "run.sh").read_text() == "#!/bin/sh\necho hello\n"
    assert (clone / "run.sh").stat().st_mode & 0o100
    assert (clone / "plain.txt").read_text() == "[[ as it is ]]\n"
    assert (clone / "image.bin").read_bytes() == bytes(range(256))


def test_names_in_paths_and_the_git_folder_of_a_template(place: Workplace) -> None:
    main = "package [[ .Repo.Name ]] // [[ .AppName ]]\n"
    url = place.template({"cmd/_app_name_/main.go.tpl": main, ".git/config": "not ours to copy", "ü.txt": ""})
    place.scaffold(url=url)
    clone = place.clone()
    assert (clone / "cmd/hello/main.go").read_text() == "package hello // hello\n"
    assert {path.name for path in clone.iterdir()} == {".git", "cmd", "ü.txt"}
    assert not (clone / ".git/config").read_text().startswith("not ours")


@pytest.mark.parametrize(
    ("repo", "path"),
    [
        ({"url": "repos/x/named.git", "scmType": "", "name": ""}, "repos/x/named.git"),
        ({"url": "../elsewhere/named.git", "name": ""}, "../elsewhere/named.git"),
        ({"baseURL": "deep/er"}, "deep/er/hello.git"),
        ({"org": "people"}, "repos/people/hello.git"),
    ],
)
def test_where_a_repository_is_made(place: Workplace, repo: dict[str, str], path: str) -> None:
    unmade(place, **repo).create()
    assert (place.folder / path / "HEAD").is_file()


def test_a_file_url_is_decoded(place: Workplace) -> None:
    folder = str(place.folder).replace(" ", "%20")
    status = unmade(place, url=f"file://{folder}/named.git").create()
    assert status.outputs is not None
    assert status.outputs["repoURL"] == f"{place.folder}/named.git"


def test_a_secret_never_reaches_a_repository(place: Workplace) -> None:
    bench = unmade(place)
    bench.options["vars"] = {"deep": [{"token": Secret((SecretRef("env", "TOKEN"),), "s3cr3t-text")}]}
    with pytest.raises(OperationError, match=r"vars\.deep\[0\]\.token is a secret") as caught:
        bench.create()
    assert "s3cr3t-text" not in str(caught.value)
    assert bench.read() is None


# being interrupted


@pytest.mark.parametrize(
    ("moment", "step"),
    [
        ("die_before", 3),
        pytest.param("die_before", 1, marks=pytest.mark.slow),
        pytest.param("die_after", 1, marks=pytest.mark.slow),
    ],
)
def test_killed_anywhere_the_next_run_finishes(place: Workplace, moment: str, step: int) -> None:
    """Before or after every command of `create`: the next run ends with one repository and one commit."""
    url = place.template({"a.txt": "a\n", "b.txt": "b\n"})
    bench = unmade(place, url)
    number = 1
    while bench.dies(bench.create, **{moment: number}):
        bench.recorded = None
        bench.apply()
        assert place.log() == [f"Begin from {url}"]
        assert bench.drift() == {}
        assert [path.name for path in (place.folder / "repos").iterdir()] == ["hello.git"]
        shutil.rmtree(place.repository())
        number += step
    assert number > 8


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_anywhere_an_update_is_finished_by_the_next(place: Workplace, step: int) -> None:
    """Before every command of `update`, or before every fourth."""
    url = place.template({"a.txt": "0\n"})
    bench = place.scaffold(url=url)
    number, rounds = 1, 0
    while True:
        place.template({"a.txt": f"{number}\n"})
        if not bench.dies(bench.update, die_before=number):
            break
        bench.update()
        rounds += 1
        assert place.show("a.txt") == f"{number}\n"
        assert len(place.log()) == rounds + 1
        number += step
    assert number > 8


def test_what_was_made_and_never_pushed_is_there_and_finished(place: Workplace) -> None:
    bench = place.scaffold()
    for ref in ("refs/heads/main", "refs/devstream/rendered"):
        place.git("--git-dir", str(place.repository()), "update-ref", "-d", ref)
    assert bench.drift().keys() == {"branch", "rendered"}
    bench.update()
    assert place.log() == ["Begin from builtin:python-http"]


def test_a_removal_killed_half_way_is_seen_and_finished(place: Workplace) -> None:
    bench = place.scaffold()
    repository = place.repository()
    for path in ("refs/heads", "refs/devstream", "objects/pack", "objects/info"):
        shutil.rmtree(repository / path, ignore_errors=True)
    assert bench.there().properties["branch"] is None
    bench.delete()
    assert list(repository.parent.iterdir()) == []


# what is not ours


def foreign_repository(place: Workplace) -> None:
    place.git("init", "--quiet", "--bare", str(place.repository()))


def another_tools_repository(place: Workplace) -> None:
    place.scaffold()
    config = place.repository() / "config"
    config.write_text(config.read_text().replace("repo-scaffolding.hello", "repo-scaffolding.other"))


@pytest.mark.parametrize("prepare", [foreign_repository, another_tools_repository])
def test_a_repository_of_others_is_neither_taken_nor_changed_nor_removed(
    place: Workplace, prepare: Callable[[Workplace], None]
) -> None:
    prepare(place)
    bench = unmade(place)
    with pytest.raises(OperationError, match="exists already and is not ours"):
        bench.create()
    # The engine records it tainted after such a failure: even so nothing may happen to it.
    status = bench.there()
    assert status.properties["id"] is None
    bench.recorded = bench.taint(status)
    for action in (bench.update, bench.delete):
        with pytest.raises(OperationError, match=r"is not the repository that repo-scaffolding\.hello made"):
            action()
    assert place.repository().is_dir()


def test_one_that_took_the_place_of_ours_is_left_alone(place: Workplace) -> None:
    bench = place.scaffold()
    shutil.rmtree(place.repository())
    foreign_repository(place)
    assert bench.drift()["id"][1] is None
    for action in (bench.update, bench.delete):
        with pytest.raises(OperationError, match="is left as it is"):
            action()


def test_an_address_that_was_moved_in_the_state_still_owns_its_repository(place: Workplace) -> None:
    old = place.scaffold()
    new = place.bench("repo-scaffolding", "renamed", **old.options)
    assert old.recorded is not None
    new.recorded = ToolState(new.address, properties=old.recorded.properties)
    assert new.drift() == {}
    new.delete()
    assert new.read() is None


def test_an_adopted_repository_keeps_its_content(place: Workplace) -> None:
    foreign_repository(place)
    clone = place.clone()
    place.push(clone, {"README.md": "mine\n"}, "HEAD:main")
    bench = unmade(place)
    bench.recorded = ToolState(bench.address, properties=bench.there().properties, adopted=True)
    bench.update()
    assert place.files() == ["README.md"]
    assert place.log() == ["by hand"]


@pytest.mark.parametrize("content", ["file", "folder"])
def test_something_else_in_the_place_is_an_error_that_names_it(place: Workplace, content: str) -> None:
    path = place.repository()
    path.parent.mkdir()
    if content == "file":
        path.write_text("x")
    else:
        path.mkdir()
        (path / "letters").write_text("x")
    with pytest.raises(OperationError, match=r"hello\.git is there and is not a bare git repository"):
        unmade(place).read()


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(place: Workplace) -> None:
    (place.folder / "repos").write_text("in the way")
    with pytest.raises(OperationError, match="repos"):
        unmade(place).create()


# following the template


def test_files_left_alone_follow_and_files_people_changed_stay(place: Workplace) -> None:
    word = "[[ word ]]\n"
    url = place.template(
        {
            "follows.txt.tpl": word,
            "changed.txt.tpl": word,
            "removed.txt.tpl": word,
            "gone.txt": "old\n",
            "gone-changed.txt": "old\n",
            "same.txt": "same\n",
            "both.txt.tpl": "[[ word ]]\n2\n3\n4\n5\n6\n",
        }
    )
    bench = place.scaffold(url=url, word="one")
    clone = place.clone()
    (clone / "removed.txt").unlink()
    changed = dict.fromkeys(("changed.txt", "gone-changed.txt", "mine.txt", "blocked/here.txt"), "people\n")
    place.push(clone, {**changed, "both.txt": "one\n2\n3\n4\n5\npeople\n"})
    for path in ("gone.txt", "gone-changed.txt"):
        (place.folder / url / path).unlink()
    place.template({"new.txt": "new\n", "mine.txt": "template\n", "blocked": "a file\n"})
    bench.options["vars"] = {"word": "two"}
    assert bench.drift().keys() == {"template"}
    bench.update()
    place.git("pull", "--quiet", cwd=clone)
    texts = {path.name: path.read_text() for path in clone.iterdir() if path.is_file()}
    assert texts == {
        "follows.txt": "two\n",
        "changed.txt": "people\n",
        "gone-changed.txt": "people\n",
        "mine.txt": "people\n",
        "new.txt": "new\n",
        "same.txt": "same\n",
        "both.txt": "two\n2\n3\n4\n5\npeople\n",
    }
    left = "left as people changed them: blocked, changed.txt, gone-changed.txt, mine.txt, removed.txt"
    assert ("warning", left) in bench.said
    assert ("info", "merged with what people changed: both.txt") in bench.said
    bench.update()
    assert place.log() == [f"Follow the template {url}", "by hand", f"Begin from {url}"]
    assert [level for level, _ in bench.said] == [], "what was left once is not said again"


def test_each_rendering_descends_from_the_one_before(place: Workplace) -> None:
    bench = place.scaffold(greeting="one")
    for greeting in ("two", "three"):
        bench.options["vars"] = {"greeting": greeting}
        bench.update()
    log = place.log(branch="refs/devstream/rendered")
    assert log == ["Render the template", "Render the template", "Begin from builtin:python-http"]
    assert 'GREETING = "three"' in place.show("service.py")


def test_without_the_last_rendering_nothing_is_touched(place: Workplace) -> None:
    bench = place.scaffold(greeting="one")
    place.git("--git-dir", str(place.repository()), "update-ref", "-d", "refs/devstream/rendered")
    bench.options["vars"] = {"greeting": "two"}
    bench.update()
    assert 'GREETING = "one"' in place.show("service.py")
    bench.options["vars"] = {"greeting": "three"}
    bench.update()
    assert 'GREETING = "one"' in place.show("service.py"), "it differs from the rendering that is known now"


def test_a_template_that_has_gone_is_no_drift_until_it_is_needed(place: Workplace) -> None:
    url = place.template({"a.txt": "a\n"})
    bench = place.scaffold(url=url)
    shutil.rmtree(place.folder / url)
    assert bench.drift() == {}
    with pytest.raises(OperationError, match="there is no folder"):
        bench.update()
    bench.delete()
    assert bench.read() is None


def test_a_new_name_moves_the_repository_with_its_history(place: Workplace) -> None:
    bench = place.scaffold()
    place.push(place.clone(), {"mine.txt": "mine\n"})
    bench.options["destinationRepo"] = {**LOCAL, "name": "renamed", "owner": "team"}
    bench.update()
    assert place.log("team/renamed")[-2:] == ["by hand", "Begin from builtin:python-http"]
    assert not place.repository().exists()


def test_a_new_name_that_is_taken_moves_nothing(place: Workplace) -> None:
    place.scaffold("other")
    bench = place.scaffold()
    bench.options["destinationRepo"] = {**LOCAL, "name": "other"}
    with pytest.raises(OperationError, match="cannot become"):
        bench.update()
    assert place.log() == ["Begin from builtin:python-http"]


def test_a_new_branch_begins_where_the_old_one_is(place: Workplace) -> None:
    bench = place.scaffold()
    place.push(place.clone(), {"mine.txt": "mine\n"})
    bench.options["destinationRepo"] = {**LOCAL, "branch": "trunk"}
    bench.update()
    assert place.log(branch="trunk") == place.log(branch="main")
    assert (place.repository() / "HEAD").read_text() == "ref: refs/heads/trunk\n"


def test_a_branch_that_was_deleted_begins_again_at_the_rendering(place: Workplace) -> None:
    bench = place.scaffold()
    git_dir = ("--git-dir", str(place.repository()))
    place.git(*git_dir, "branch", "other", "main")
    place.git(*git_dir, "update-ref", "-d", "refs/heads/main")
    assert bench.drift() == {"branch": ("main", None)}
    bench.update()
    assert place.log() == ["Begin from builtin:python-http"]


# how changes are delivered


def changed_by_both(place: Workplace, **source: Any) -> Bench:
    """An app whose template and whose people have gone on."""
    url = place.template({"a.txt.tpl": "[[ word ]]\n", "b.txt.tpl": "[[ word ]]\n"})
    bench = place.scaffold(url=url, word="one")
    place.push(place.clone(), {"b.txt": "people\n"})
    bench.options["sourceRepo"] |= source
    bench.options["vars"] = {"word": "two"}
    return bench


def test_conflicts_are_named_until_people_touch_the_file(place: Workplace) -> None:
    bench = changed_by_both(place)
    status = bench.update()
    blob = place.git("--git-dir", str(place.repository()), "rev-parse", "main:b.txt").stdout.strip()
    assert status.info["conflicts"] == {"b.txt": blob}
    bench.recorded = ToolState(bench.address, properties=status.properties, info=status.info)
    assert bench.there().info["conflicts"] == {"b.txt": blob}
    place.push(place.clone(), {"b.txt": "people and two\n"})
    assert "conflicts" not in bench.there().info
    shown = place.git("--git-dir", str(place.repository()), "diff", f"{RENDERED}~1", RENDERED, "--", "b.txt")
    assert "-one\n+two\n" in shown.stdout, "what the template changed can be seen"


def test_no_markers_are_ever_committed(place: Workplace) -> None:
    changed_by_both(place).update()
    assert place.show("b.txt") == "people\n"
    assert "<<<<" not in place.show("a.txt") + place.show("b.txt")


def test_update_none_changes_no_file_and_is_no_drift(place: Workplace) -> None:
    bench = changed_by_both(place, update="none")
    before = bench.there().properties
    bench.update()
    place.template({"a.txt.tpl": "another\n"})
    assert (place.show("a.txt"), bench.drift(), bench.there().properties) == ("one\n", {}, before)
    bench.options["sourceRepo"]["update"] = "push"
    bench.update()
    assert place.show("a.txt") == "another\n"


def test_a_pull_request_is_a_branch_where_there_is_no_service(place: Workplace) -> None:
    bench = changed_by_both(place, update="pull-request")
    bench.update()
    proposed = "devstream/repo-scaffolding.hello"
    assert (place.show("a.txt"), place.show("a.txt", branch=proposed)) == ("one\n", "two\n")
    assert place.show("b.txt", branch=proposed) == "people\n"
    assert ("warning", f"pushed to the branch {proposed}: merge it into main") in bench.said
    assert bench.there().info["proposal"] == proposed
    bench.options["vars"] = {"word": "three"}
    bench.update()
    assert place.show("a.txt", branch=proposed) == "three\n", "it goes on where it waits"
    assert bench.drift() == {}


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[GiteaStandIn]:
    with GiteaStandIn(tmp_path / "gitea") as service:
        yield service


def on_gitea(place: Workplace, gitea: GiteaStandIn, **source: Any) -> Bench:
    repo = {
        "scmType": "gitea",
        "baseURL": gitea.url,
        "owner": "someone",
        "name": "shop",
        "token": gitea.token,
    }
    url = place.template({"a.txt.tpl": "[[ word ]]\n2\n3\n4\n5\n", "b.txt": "b\n"})
    bench = place.bench(
        "repo-scaffolding",
        "shop",
        destinationRepo=repo,
        sourceRepo={"url": url, **source},
        vars={"word": "one"},
    )
    bench.create()
    return bench


def shown(gitea: GiteaStandIn, path: str, branch: str = "main") -> str:
    bare = f"{gitea.git_root}/someone/shop.git"
    done = subprocess.run(
        ["git", "--git-dir", bare, "show", f"{branch}:{path}"], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("how", ["protected", pytest.param("pull-request", marks=pytest.mark.slow)])
def test_a_service_gets_a_pull_request_where_it_is_asked_for_or_needed(
    place: Workplace, gitea: GiteaStandIn, how: str
) -> None:
    bench = on_gitea(place, gitea, **({"update": how} if how == "pull-request" else {}))
    if how == "protected":
        gitea.protect("someone/shop", "main")
    for word in ("two", "three"):
        bench.options["vars"] = {"word": word}
        bench.update()
        assert any(level == "warning" and "waits for review" in text for level, text in bench.said)
    assert shown(gitea, "a.txt") == "one\n2\n3\n4\n5\n"
    assert shown(gitea, "a.txt", "devstream/repo-scaffolding.shop") == "three\n2\n3\n4\n5\n"
    assert len(gitea.repository("someone/shop").pulls) == 1, "one pull request, that goes on"
    bench.update()
    assert len(gitea.repository("someone/shop").pulls) == 1
    assert bench.drift() == {}
    bench.context.close()


def test_a_pull_request_says_what_people_have_to_look_at(place: Workplace, gitea: GiteaStandIn) -> None:
    bench = on_gitea(place, gitea, update="pull-request")
    place.template({"it's b.txt.tpl": "[[ word ]]\n"})
    bench.update()
    (pull,) = gitea.repository("someone/shop").pulls
    assert pull["body"] == ""
    clone = place.home / "clone"
    place.git("clone", "--quiet", f"{gitea.git_root}/someone/shop.git", str(clone))
    place.git("merge", "--quiet", "origin/devstream/repo-scaffolding.shop", cwd=clone)
    place.push(clone, {"it's b.txt": "people\n", "a.txt": "one\n2\n3\n4\npeople\n"})
    pull.update(state="closed", merged=True)
    bench.options["vars"] = {"word": "two"}
    bench.update()
    assert bench.there().info["proposal"] == f"{gitea.url}/someone/shop/pulls/2"
    body = gitea.repository("someone/shop").pulls[1]["body"]
    assert "both are in:\n\n- `a.txt`" in body
    assert "They are left as people have them:\n\n- `it's b.txt`" in body
    (command,) = (line.strip() for line in body.splitlines() if line.startswith("    git "))
    said = subprocess.run(["sh", "-ec", command], cwd=clone, capture_output=True, text=True, check=True)
    assert "-one\n+two\n" in said.stdout
    assert "a.txt" not in said.stdout
    bare = f"{gitea.git_root}/someone/shop.git"
    proposed = "devstream/repo-scaffolding.shop"
    head = place.git("--git-dir", bare, "log", "-1", "--format=%B", proposed)
    assert body in head.stdout, "who reads the history sees it too"
    bench.context.close()


def test_a_pull_request_that_was_not_opened_is_not_forgotten(place: Workplace, gitea: GiteaStandIn) -> None:
    bench = on_gitea(place, gitea, update="pull-request")
    bench.options["vars"] = {"word": "two"}
    gitea.fail("POST", "/api/v1/repos/someone/shop/pulls", status=403)
    with pytest.raises(OperationError):
        bench.update()
    assert gitea.repository("someone/shop").pulls == []
    bench.update()
    assert len(gitea.repository("someone/shop").pulls) == 1
    assert shown(gitea, "a.txt", "devstream/repo-scaffolding.shop") == "two\n2\n3\n4\n5\n"
    assert bench.drift() == {}
    bench.context.close()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/repos/someone/shop",
        pytest.param("/someone/shop.git/git-receive-pack", marks=pytest.mark.slow),
    ],
)
def test_a_branch_that_was_half_begun_begins_where_people_are(
    place: Workplace, gitea: GiteaStandIn, path: str
) -> None:
    """What is found after a crash is recorded before the update is tried again: the branch before is known by options."""
    bench = on_gitea(place, gitea)
    assert bench.recorded is not None
    bare = f"{gitea.git_root}/someone/shop.git"
    tree = place.git("--git-dir", bare, "rev-parse", "main^{tree}").stdout.strip()
    ours = place.git("--git-dir", bare, "commit-tree", tree, "-p", "main", "-m", "ours").stdout.strip()
    place.git("--git-dir", bare, "update-ref", "refs/heads/main", ours)
    options = {"destinationRepo": {"branch": "main"}}
    bench.options["destinationRepo"]["branch"] = "trunk"
    gitea.fail("PATCH" if "api" in path else "POST", path, status=403)
    with pytest.raises(OperationError):
        bench.update()
    bench.recorded = replace(
        bench.recorded, options=options, properties=bench.there().properties, tainted=True
    )
    bench.update()
    assert gitea.repository("someone/shop").default_branch == "trunk"
    assert place.git("--git-dir", bare, "rev-parse", "trunk").stdout.strip() == ours
    bench.context.close()


def test_another_token_on_a_service_changes_nothing(place: Workplace, gitea: GiteaStandIn) -> None:
    bench = on_gitea(place, gitea)
    pushed = len(gitea.asked("POST", "/someone/shop.git/git-receive-pack"))
    gitea.token = "another"
    bench.options["destinationRepo"]["token"] = "another"
    assert bench.drift() == {}
    bench.update()
    assert len(gitea.asked("POST", "/someone/shop.git/git-receive-pack")) == pushed
    bench.context.close()


# being removed


def test_removing_twice_is_fine(place: Workplace) -> None:
    bench = place.scaffold()
    recorded = bench.recorded
    bench.delete()
    assert not place.repository().exists()
    bench.recorded = recorded
    bench.delete()
