"""Bitbucket Cloud and Data Center: the contract, against stand-ins or the servers that the environment names; faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError, Secret
from devstream.testing.bitbucket import BitbucketCloudStandIn
from devstream.testing.bitbucket_server import BitbucketServerStandIn
from devstream.testing.public_keys import made_up_key
from devstream_plugin_scm.forge import Delivery, File, Mark, open_forge, proposal_branch
from devstream_plugin_scm.hosting import DeployKey, ProposalState, Webhook, is_our_webhook, webhook_url
from devstream_plugin_scm.repository import TargetRepo
from devstream_plugin_scm.testing import Bench, HostingContract, Server, server_from_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from devstream.testing.service import Service
    from devstream_plugin_scm.hosting import Hosting


def on(cloud: BitbucketCloudStandIn) -> Server:
    """Name a stand-in of bitbucket.org: it is told by the root of its API."""
    return Server(cloud.url, cloud.token, cloud.user, api=cloud.api)


class TestCloud(HostingContract):
    scm_type = "bitbucket"
    events = ("repo:push",)
    keys_may_push = False

    def server(self, tmp_path: Path) -> Iterator[Server]:
        """``DEVSTREAM_TEST_BITBUCKET_URL`` is the root of the API: https://api.bitbucket.org/2.0."""
        named = server_from_environment("bitbucket")
        if named:
            yield named._replace(url="", api=named.url)
            return
        with BitbucketCloudStandIn(tmp_path / "served", page=3) as standin:
            yield on(standin)

    def keys(self, bench: Bench) -> Hosting:
        """With an access token nobody gets to them."""
        if server_from_environment("bitbucket"):
            return super().keys(bench)
        hosting = bench.forge(user="someone", token=Secret.plain("bitbucket-api-token")).hosting
        assert hosting is not None
        return hosting

    def test_an_access_token_gets_to_no_keys(self, bench: Bench) -> None:
        location = bench.make()
        with pytest.raises(OperationError, match="403") as caught:
            bench.hosting.put_deploy_key(location, DeployKey("ci", made_up_key()))
        assert "an API token, with its user" in (caught.value.diagnostic.suggestion or "")

    def test_topics_are_replaced(self, bench: Bench) -> None:
        bench.make()
        bench.hosting.set_topics(bench.location, ["devstream", "python"])
        assert "Bitbucket has no topics; left out: devstream, python" in bench.opened[-2].log.text


class TestDataCenter(HostingContract):
    scm_type = "bitbucket"
    events = ("repo:refs_changed",)
    keeps_secrets = False

    def server(self, tmp_path: Path) -> Iterator[Server]:
        named = server_from_environment("bitbucket_server")
        if named:
            yield named
            return
        with BitbucketServerStandIn(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, standin.user)


@pytest.mark.slow
class TestDataCenterProject(TestDataCenter):
    """A project's repositories, with a token of the project's: it has no user, and goes to git as a bearer's."""

    def server(self, tmp_path: Path) -> Iterator[Server]:
        with BitbucketServerStandIn(tmp_path / "served") as standin:
            yield Server(standin.url, standin.project_token, "", "ACME")

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        class ProjectBench(Bench):
            def repo(self, **fields: object) -> TargetRepo:
                return super().repo(**{"org": "ACME", **fields})

        server = self.server(tmp_path)
        yield (bench := ProjectBench(self.scm_type, next(server), tmp_path))
        bench.close()
        next(server, None)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[BitbucketCloudStandIn]:
    with BitbucketCloudStandIn(tmp_path / "cloud") as standin:
        yield standin


@pytest.fixture
def center(tmp_path: Path) -> Iterator[BitbucketServerStandIn]:
    with BitbucketServerStandIn(tmp_path / "center") as standin:
        yield standin


@pytest.fixture
def on_cloud(cloud: BitbucketCloudStandIn, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench("bitbucket", on(cloud), tmp_path, name="shop")
    yield bench
    bench.close()


@pytest.fixture
def on_center(center: BitbucketServerStandIn, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench("bitbucket", Server(center.url, center.token, center.user), tmp_path, name="shop")
    yield bench
    bench.close()


@pytest.fixture
def bench_of(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Give benches for servers that a test names itself."""
    made: list[Bench] = []

    def give(*server: str) -> Bench:
        made.append(Bench("bitbucket", Server(*server), tmp_path, name="shop"))
        return made[-1]

    yield give
    for bench in made:
        bench.close()


class Side:
    """One of the two services, with what its API calls things: so that one test holds both to a rule."""

    def __init__(self, bench: Bench, service: Service, root: str, make: str) -> None:
        self.bench = bench
        self.service = service
        self.root = root
        self.make = make

    def count(self) -> int:
        repositories: dict[Any, Any] = vars(self.service)["repositories"]
        return len(repositories)


@pytest.fixture(params=["cloud", "center"])
def side(request: pytest.FixtureRequest) -> Side:
    kind = request.param
    bench, service = request.getfixturevalue(f"on_{kind}"), request.getfixturevalue(kind)
    if kind == "cloud":
        root = "/2.0/repositories/someone/shop"
        return Side(bench, service, root, root)
    return Side(
        bench, service, "/rest/api/1.0/projects/~someone/repos/shop", "/rest/api/1.0/projects/~someone"
    )


# ---- faults, on both


@pytest.mark.parametrize("status", [500, 502, 0])
def test_a_repository_that_was_made_though_the_answer_was_lost_is_found(side: Side, status: int) -> None:
    side.service.fail("POST", side.make, status=status, after=True)
    side.bench.make()
    assert side.count() == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_what_is_refused_is_said_once_and_changes_nothing(side: Side, status: int) -> None:
    said = {"type": "error", "error": {"message": "because\nof \x1b[31mthis"}}
    side.service.fail("POST", side.make, status=status, body=said)
    with pytest.raises(OperationError, match=rf"refuses POST \S+ \({status}: because of"):
        side.bench.make()
    assert not side.count()
    side.bench.make()
    assert side.count() == 1


def test_a_rate_limit_is_waited_for(side: Side) -> None:
    side.service.fail("POST", side.make, status=429, headers={"Retry-After": "0"}, times=2)
    side.bench.make()
    assert len(side.service.asked("POST", side.make)) == 3


def test_a_rate_limit_of_an_hour_is_left_to_a_later_run(side: Side) -> None:
    side.service.fail("POST", side.make, status=429, headers={"Retry-After": "3600"})
    with pytest.raises(OperationError, match="try again in 3600 s"):
        side.bench.make()
    assert not side.count()


@pytest.mark.parametrize("status", [500, 0])
def test_a_proposal_and_a_merge_whose_answers_were_lost_are_done_once(side: Side, status: int) -> None:
    bench = side.bench
    bench.make()
    bench.push({"a": b"1"})
    side.service.fail("POST", f"{side.root}/pull", status=status, after=True)
    bench.push({"a": b"2"}, delivery=Delivery.PULL_REQUEST)
    proposal = bench.hosting.proposal(bench.location, proposal_branch(bench.address))
    assert proposal is not None
    assert (proposal.number, proposal.state) == (1, ProposalState.OPEN)
    side.service.fail("POST", f"{side.root}/pull", status=status, after=True)
    bench.hosting.merge(bench.location, proposal)
    assert bench.hosting.proposal(bench.location, proposal.branch) == proposal._replace(
        state=ProposalState.MERGED
    )


def test_a_declined_proposal_is_closed_and_a_new_one_can_be_made(side: Side) -> None:
    bench = side.bench
    bench.make()
    bench.push({"a": b"1"})
    bench.push({"a": b"2"}, delivery=Delivery.PULL_REQUEST)
    found = next(iter(vars(side.service)["repositories"].values()))
    found.pulls[0].update(state="DECLINED", open=False)
    branch = proposal_branch(bench.address)
    declined = bench.hosting.proposal(bench.location, branch)
    assert declined is not None
    assert declined.state is ProposalState.CLOSED
    again = bench.hosting.propose(bench.location, branch=branch, base="main", title="Again", body="")
    assert (again.number, again.state) == (2, ProposalState.OPEN)


def test_a_merge_that_conflicts_says_so(side: Side) -> None:
    bench = side.bench
    bench.make()
    bench.push({"a": b"1"})
    bench.push({"a": b"2"}, delivery=Delivery.PULL_REQUEST)
    bench.forge().publish(bench.location, "main", "By hand", lambda _, __: {"a": File(b"3")})
    proposal = bench.hosting.proposal(bench.location, proposal_branch(bench.address))
    assert proposal is not None
    with pytest.raises(OperationError, match=r"\(409: .*conflicts"):
        bench.hosting.merge(bench.location, proposal)


def test_a_protected_branch_gets_a_pull_request(side: Side) -> None:
    bench = side.bench
    bench.make()
    bench.push({"a": b"1"})
    assert isinstance(side.service, BitbucketCloudStandIn | BitbucketServerStandIn)
    whose = "someone" if isinstance(side.service, BitbucketCloudStandIn) else "~someone"
    side.service.protect(f"{whose}/shop", "main")
    for _ in range(2):
        bench.push({"a": b"2"})
    proposal = bench.hosting.proposal(bench.location, "devstream/repo-scaffolding.shop")
    assert proposal is not None
    assert (proposal.number, proposal.base, proposal.state) == (1, "main", ProposalState.OPEN)


def test_a_webhook_edited_by_hand_is_found_and_put_right(side: Side) -> None:
    bench = side.bench
    bench.make()
    event = "repo:push" if isinstance(side.service, BitbucketCloudStandIn) else "repo:refs_changed"
    ours = Webhook(webhook_url("https://ci.example.org/hook", str(bench.address)), (event,))
    made = bench.hosting.put_webhook(bench.location, ours, Secret.plain("s3cret"))
    found = next(iter(vars(side.service)["repositories"].values()))
    next(iter(found.hooks.values())).update(active=False, events=["repo:forked"])
    (edited,) = bench.hosting.webhooks(bench.location)
    assert is_our_webhook(edited, str(bench.address))
    assert (edited.active, edited.events) == (False, ("repo:forked",))
    bench.hosting.put_webhook(bench.location, ours._replace(id=edited.id), Secret.plain("s3cret"))
    assert bench.hosting.webhooks(bench.location) == [made]


def test_an_internal_repository_is_refused(side: Side) -> None:
    with pytest.raises(OperationError, match="no internal repositories"):
        side.bench.hosting.create(side.bench.location, mark=Mark("1", "a.b"), visibility="internal")


def test_capitals_in_a_name_lead_to_the_same_repository(side: Side) -> None:
    side.bench.make()
    side.bench.name = "Shop"
    side.bench.make()
    assert side.count() == 1


def test_the_token_is_in_no_message_and_no_git_url(side: Side) -> None:
    bench, canary = side.bench, "canary-5c1e77"
    forge = bench.forge(token=Secret.plain(canary))
    side.service.fail("*", side.root, status=400, body={"errors": [{"message": "no"}]}, times=9)
    with pytest.raises(OperationError, match=r"\(400: no\)") as caught:
        forge.describe(bench.location)
    assert canary not in str(caught.value)


def test_plain_http_to_another_machine_is_refused(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of("http://git.example.org", "x", "someone")
    with pytest.raises(OperationError, match="in clear"):
        bench.forge(allow_http=False, token=None)
    with pytest.raises(OperationError, match="in clear"):
        bench.forge(allow_http=False, token=None, base_url="", api_url="http://api.example.org/2.0")


# ---- which service, and where on it


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({"owner": "Acme", "name": "Shop"}, "bitbucket.org/acme/shop"),
        ({"org": "acme", "name": "shop", "name_space": "PROJ"}, "bitbucket.org/acme/shop"),
        ({"url": "git@bitbucket.org:acme/shop.git"}, "bitbucket.org/acme/shop"),
        ({"url": "https://bitbucket.org/acme/shop", "name_space": "PROJ"}, "bitbucket.org/acme/shop"),
        ({"url": "ssh://git@altssh.bitbucket.org:443/acme/shop.git"}, "bitbucket.org/acme/shop"),
        ({"base_url": "https://bitbucket.org/", "owner": "acme", "name": "shop"}, "bitbucket.org/acme/shop"),
        ({"base_url": "https://git.acme.org", "owner": "Jo", "name": "Shop"}, "git.acme.org/~jo/shop"),
        (
            {"base_url": "https://git.acme.org:8443/bb", "org": "prj", "name": "shop"},
            "git.acme.org:8443/PRJ/shop",
        ),
        (
            {"base_url": "https://git.acme.org", "owner": "jo", "name_space": "PRJ", "name": "shop"},
            "git.acme.org/PRJ/shop",
        ),
        ({"url": "https://git.acme.org/scm/prj/shop.git"}, "git.acme.org/PRJ/shop"),
        ({"url": "https://git.acme.org/bitbucket/scm/~jo/shop.git"}, "git.acme.org/~jo/shop"),
        ({"url": "https://git.acme.org/projects/PRJ/repos/shop"}, "git.acme.org/PRJ/shop"),
        ({"url": "https://git.acme.org/users/jo/repos/shop"}, "git.acme.org/~jo/shop"),
        ({"url": "ssh://git@git.acme.org:7999/prj/shop.git"}, "git.acme.org/PRJ/shop"),
    ],
)
def test_the_location_of_a_repository(
    fields: dict[str, str], location: str, bench_of: Callable[..., Bench]
) -> None:
    repo = TargetRepo(scm_type="bitbucket", **fields)  # type: ignore[arg-type]  # the fields of a test
    assert open_forge(repo, bench_of("", "", "").context()).locate(repo) == location


def test_a_project_alone_names_no_workspace(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of("", "x", "", "", "https://api.example.org/2.0")
    with pytest.raises(OperationError, match="its workspace"):
        bench.forge(name_space="PROJ").locate(bench.repo(name_space="PROJ"))


def test_data_center_behind_a_path_of_its_host_is_asked_there(
    center: BitbucketServerStandIn, bench_of: Callable[..., Bench]
) -> None:
    bench = bench_of(f"{center.url}/bitbucket", center.token, center.user)
    center.fail("GET", "/bitbucket/rest/api/1.0/projects/~someone/repos/shop", status=403)
    with pytest.raises(OperationError, match="403"):
        bench.forge().describe(bench.location)


# ---- Cloud


def test_a_project_that_is_named_gets_the_repository(on_cloud: Bench, cloud: BitbucketCloudStandIn) -> None:
    on_cloud.forge(name_space="PROJ").create(on_cloud.location, branch="main", mark=Mark("1", "a.b"))
    asked = cloud.asked("POST")[0].json
    assert asked["project"] == {"type": "project", "key": "PROJ"}
    assert (asked["is_private"], asked["fork_policy"]) == (True, "no_public_forks")


def test_a_workspace_or_project_that_is_not_there_is_named(
    on_cloud: Bench, cloud: BitbucketCloudStandIn
) -> None:
    mark = Mark("1", "a.b")
    with pytest.raises(OperationError, match="No workspace with identifier 'nobody'"):
        on_cloud.forge().create(f"{cloud.host}/nobody/shop", branch="main", mark=mark)
    with pytest.raises(OperationError, match="'NONE' not found"):
        on_cloud.forge(name_space="NONE").create(on_cloud.location, branch="main", mark=mark)


@pytest.mark.parametrize(
    ("user", "git_user"),
    [
        ("", "x-token-auth"),
        ("someone", "someone"),
        ("someone@example.org", "x-bitbucket-api-token-auth"),
    ],
)
def test_each_kind_of_token_logs_in_as_bitbucket_wants_it(
    on_cloud: Bench, cloud: BitbucketCloudStandIn, user: str, git_user: str
) -> None:
    on_cloud.server = on_cloud.server._replace(token=cloud.password if user else cloud.token)
    plain = on_cloud.repo

    def with_user(**fields: object) -> TargetRepo:
        return plain(**{"user": user, **fields})

    object.__setattr__(on_cloud, "repo", with_user)
    on_cloud.make()
    assert on_cloud.push({"a": b"1"})
    pushed = cloud.asked("POST", "/someone/shop.git/git-receive-pack")
    assert [request.basic and request.basic[0] for request in pushed] == [git_user]


def test_lists_are_read_to_their_end(on_cloud: Bench, cloud: BitbucketCloudStandIn) -> None:
    on_cloud.make()
    cloud.page = 2
    for number in range(5):
        hook = Webhook(f"https://ci.example.org/{number}", ("repo:push",))
        on_cloud.hosting.put_webhook(on_cloud.location, hook, None)
    assert len(on_cloud.hosting.webhooks(on_cloud.location)) == 5


def test_a_list_that_goes_on_elsewhere_is_not_followed(on_cloud: Bench, cloud: BitbucketCloudStandIn) -> None:
    on_cloud.make()
    for elsewhere in (
        "https://evil.example.org/2.0/x",
        f"{cloud.api}.evil.example.org/x",
        f"{cloud.url}/other",
    ):
        cloud.fail(
            "GET", "/2.0/repositories/someone/shop/hooks", status=200, body={"values": [], "next": elsewhere}
        )
        with pytest.raises(OperationError, match="on another server; it was not followed"):
            on_cloud.hosting.webhooks(on_cloud.location)


def test_a_repository_renamed_by_hand_is_followed_and_pushed_to(
    on_cloud: Bench, cloud: BitbucketCloudStandIn
) -> None:
    on_cloud.make()
    on_cloud.push({"a": b"1"})
    old = on_cloud.location
    new = f"{cloud.host}/someone/store"
    on_cloud.hosting.move(old, new)
    found = on_cloud.forge(reading=True).describe(old)
    assert found is not None
    assert found.location == new
    assert on_cloud.push({"a": b"2"})
    assert list(cloud.repositories) == ["someone/store"]


def test_changing_a_repository_that_was_deleted_meanwhile_makes_none(
    on_cloud: Bench, cloud: BitbucketCloudStandIn
) -> None:
    on_cloud.make()
    shown = cloud.repositories["someone/shop"]
    stale = {"full_name": "someone/shop", "uuid": shown.uuid, "is_private": True}
    on_cloud.hosting.delete(on_cloud.location)
    cloud.fail("GET", "/2.0/repositories/someone/shop", status=200, body=stale)
    with pytest.raises(OperationError, match="404"):
        on_cloud.hosting.set_default_branch(on_cloud.location, "main")
    assert not cloud.repositories


def test_another_workspace_is_left_to_people(on_cloud: Bench, cloud: BitbucketCloudStandIn) -> None:
    on_cloud.make()
    with pytest.raises(OperationError, match="between workspaces"):
        on_cloud.forge().move(on_cloud.location, f"{cloud.host}/acme/shop")


def test_pipelines_are_enabled_once_and_variables_are_not_doubled(
    on_cloud: Bench, cloud: BitbucketCloudStandIn
) -> None:
    on_cloud.make()
    hosting, location = on_cloud.hosting, on_cloud.location
    assert not hosting.secret_names(location)
    assert not hosting.variables(location)
    path = "/2.0/repositories/someone/shop/pipelines_config"
    cloud.fail("POST", f"{path}/variables", status=500, after=True)
    with pytest.raises(OperationError, match="500"):
        hosting.put_secret(location, "TOKEN", Secret.plain("one"))
    hosting.put_secret(location, "TOKEN", Secret.plain("two"))
    kept = cloud.repositories["someone/shop"].variables.values()
    assert [(item["key"], item["value"], item["secured"]) for item in kept] == [("TOKEN", "two", True)]
    assert len([request for request in cloud.asked("PUT", path) if request.path == path]) == 1


def test_a_variable_that_becomes_secret_is_no_longer_shown(on_cloud: Bench) -> None:
    on_cloud.make()
    hosting, location = on_cloud.hosting, on_cloud.location
    hosting.put_variable(location, "TOKEN", "plain")
    hosting.put_secret(location, "TOKEN", Secret.plain("secret"))
    assert hosting.secret_names(location) == {"TOKEN"}
    assert not hosting.variables(location)
    hosting.delete_variable(location, "TOKEN")
    assert hosting.secret_names(location) == {"TOKEN"}


# ---- Data Center


def test_a_server_that_takes_only_the_name_gets_the_rest_afterwards(
    on_center: Bench, center: BitbucketServerStandIn
) -> None:
    center.terse = True
    on_center.make()
    assert center.repositories["~SOMEONE", "shop"].description.startswith("made by devstream for")


def test_a_project_that_is_not_there_is_named(on_center: Bench, center: BitbucketServerStandIn) -> None:
    with pytest.raises(OperationError, match=r"\(404: Project NONE does not exist"):
        on_center.forge().create(f"{center.host}/NONE/shop", branch="main", mark=Mark("1", "a.b"))


def test_a_repository_moves_to_another_project(on_center: Bench, center: BitbucketServerStandIn) -> None:
    on_center.make()
    on_center.push({"a": b"1"})
    on_center.forge().move(on_center.location, f"{center.host}/ACME/store")
    assert list(center.repositories) == [("ACME", "store")]


def test_a_pull_request_that_was_changed_meanwhile_is_merged_in_its_new_version(
    on_center: Bench, center: BitbucketServerStandIn
) -> None:
    on_center.make()
    on_center.push({"a": b"1"})
    on_center.push({"a": b"2"}, delivery=Delivery.PULL_REQUEST)
    proposal = on_center.hosting.proposal(on_center.location, proposal_branch(on_center.address))
    assert proposal is not None
    pull = center.repositories["~SOMEONE", "shop"].pulls[0]
    stale = {**pull, "version": 0}
    pull["version"] = 3
    path = f"/rest/api/1.0/projects/~someone/repos/shop/pull-requests/{proposal.number}"
    center.fail("GET", path, status=200, body=stale)
    on_center.hosting.merge(on_center.location, proposal)
    asked = center.asked("POST", f"{path}/merge")
    assert [request.query["version"] for request in asked] == ["0", "3"]


def test_labels_are_data_centers_topics(on_center: Bench, center: BitbucketServerStandIn) -> None:
    on_center.make()
    center.page = 1
    for topics in (["a", "b", "c"], ["c", "d"]):
        on_center.hosting.set_topics(on_center.location, topics)
    assert center.repositories["~SOMEONE", "shop"].labels == ["c", "d"]


def test_a_server_without_http_gives_its_ssh_url(on_center: Bench, center: BitbucketServerStandIn) -> None:
    on_center.make()
    answer = center.shown(center.repositories["~SOMEONE", "shop"])
    answer["links"]["clone"] = answer["links"]["clone"][:1]
    center.fail("GET", "/rest/api/1.0/projects/~someone/repos/shop", status=200, body=answer)
    found = on_center.hosting.find(on_center.location)
    assert found is not None
    assert found.clone_url == "ssh://git@127.0.0.1:7999/~someone/shop.git"


def test_a_bearers_token_is_in_no_file_afterwards(
    center: BitbucketServerStandIn, bench_of: Callable[..., Bench], tmp_path: Path
) -> None:
    bench = bench_of(center.url, center.project_token, "someone")
    bench.make()
    bench.push({"a": b"1"})
    pushed = center.asked("POST", "/scm/~someone/shop.git/git-receive-pack")
    assert [request.headers["authorization"] for request in pushed] == [f"Bearer {center.project_token}"]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if center.project_token.encode() in path.read_bytes()]


def test_a_projects_repository_renamed_by_hand_is_found_by_its_old_name(
    on_center: Bench, center: BitbucketServerStandIn
) -> None:
    hosting, old = on_center.hosting, f"{center.host}/ACME/shop"
    made = hosting.create(old, mark=Mark("1", "a.b"), visibility="")
    hosting.move(old, f"{center.host}/ACME/store")
    found = hosting.find(old)
    assert found is not None
    assert (found.id, found.location) == (made.id, f"{center.host}/ACME/store")


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({"api_url": "https://api.example.org/2.0"}, "bitbucket.org/acme/shop"),
        (
            {"base_url": "https://git.example.org", "api_url": "https://git.example.org/2.0/"},
            "git.example.org/acme/shop",
        ),
        (
            {"base_url": "https://git.example.org", "api_url": "https://git.example.org/rest/api/1.0"},
            "git.example.org/ACME/shop",
        ),
    ],
)
def test_cloud_is_told_by_the_root_of_its_api(
    fields: dict[str, str], location: str, bench_of: Callable[..., Bench]
) -> None:
    repo = TargetRepo(scm_type="bitbucket", org="acme", name="shop", **fields)  # type: ignore[arg-type]  # of a test
    assert open_forge(repo, bench_of("", "", "").context()).locate(repo) == location
