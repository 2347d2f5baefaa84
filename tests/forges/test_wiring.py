"""Neighbours: what upstreams offer is put in place, kept in line, and taken away; by whole runs on each forge."""

from __future__ import annotations

import json
from string import Template
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import Secret
from devstream.testing.public_keys import made_up_key
from devstream_plugin_scm.hosting import webhook_mark
from tests.forges.program import CANARY, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.forges.forges import Place

SECRETS = {"IMAGE_REPO_USER", "IMAGE_REPO_SECRET"}
HOOK = "https://ci.example.org/hook"
OFFERS = '''\
"""Tools that offer what is in a file beside the configuration; a text in a list is a secret."""

import json

from devstream.api import ResourceStatus, Secret, hookimpl, tool


def offered(value):
    if isinstance(value, list):
        return Secret.plain(value[0])
    return {name: offered(item) for name, item in value.items()} if isinstance(value, dict) else value


@tool("offer")
class Offer:
    @hookimpl
    def create(self, tool, context):
        path = context.folder / f"{tool.address.instance_id}.json"
        return ResourceStatus(properties={}, outputs=offered(json.loads(path.read_text())))

    @hookimpl
    def read(self, tool, recorded, context):
        return self.create(tool, context) if recorded else None

    @hookimpl
    def delete(self, tool, recorded, context):
        pass
'''
STATE = "config: {state: {backend: local, options: {stateFile: devstream.state}}}\ntools:\n"
CI_SERVER = "  - {name: offer, instanceID: ci}\n"
HARBOR = "  - {name: offer, instanceID: harbor}\n"
SCAFFOLD = """\
  - name: repo-scaffolding
    instanceID: shop
    dependsOn: [offer.ci]
    options:
      destinationRepo: $repo
      sourceRepo: {url: "builtin:python-http"}
"""
PIPELINE = """\
  - name: $ci
    instanceID: shop
    dependsOn: [$needs]
    options:
      scm: $repo
      $rest
"""
OPTIONS = "pipeline: {language: {name: python}, imageRepo: {url: registry.example.org/acme}}"


class Neighbourhood:
    """A repository and its pipeline, with a CI server and a registry beside them."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.key = made_up_key()
        self.hosting = place.hosting
        self.user = ""
        if place.forge.by_api:  # bitbucket.org lets nobody but users get to access keys
            service = place.service
            self.user = f", user: {service.user}"
            place.shop.environ["SHOP_TOKEN"] = service.password
            hosting = place.bench.forge(user=service.user, token=Secret.plain(service.password)).hosting
            assert hosting is not None
            self.hosting = hosting
        place.shop.write("devstream_plugins.py", OFFERS)
        self.offer("ci", webhook={"url": HOOK, "secret": [PASSWORD]}, deployKey={"publicKey": self.key})
        registry = {"user": "robot$ci", "password": [CANARY]}
        self.offer("harbor", registry=registry, webhook={"url": f"{HOOK}/images"})

    def offer(self, instance_id: str, **outputs: Any) -> None:
        self.place.shop.write(f"{instance_id}.json", json.dumps(outputs))

    def configure(self, *parts: str, needs: str = "repo-scaffolding.shop, offer.harbor") -> None:
        forge, shop = self.place.forge, self.place.shop
        where = ", ".join(filter(None, (f'baseURL: "{self.place.service.url}"', shop.more)))
        repo = f"{{scmType: {forge.kind}, {where}, {forge.group}: acme, name: shop, branch: main"
        words = {
            "repo": f'{repo}, token: "[[ env SHOP_TOKEN ]]"{self.user}}}',
            "ci": forge.ci,
            "needs": needs,
            "rest": forge.files[1:-1] or OPTIONS,
        }
        shop.write("devstream.yaml", STATE + "".join(Template(part).substitute(words) for part in parts))

    @property
    def hooks(self) -> dict[str, str]:
        """Which mark has which address."""
        hooks = self.hosting.webhooks(self.place.location)
        found = {webhook_mark(hook): hook.url.partition("?")[0] for hook in hooks}
        assert len(found) == len(hooks)
        return found

    @property
    def keys(self) -> list[str]:
        return [key.key for key in self.hosting.deploy_keys(self.place.location)]

    @property
    def secrets(self) -> set[str]:
        """The names of the pipeline's secrets; none where it has no pipelines."""
        if self.place.forge.files:
            return set()
        return set(self.hosting.secret_names(self.place.location))

    def run(self, **expected: str) -> None:
        """Run: what is done, by the tool's name; and then there is nothing left to do."""
        done = self.place.shop.run()
        named = {address.partition(".")[0]: action for address, action in done.items()}
        assert named == expected, done
        assert self.place.shop.plan() == {}
        assert PASSWORD not in self.state
        assert CANARY not in self.state

    @property
    def state(self) -> str:
        folder = self.place.shop.folder
        files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")
        return "".join(path.read_text("utf-8", "replace") for path in files)

    def remove_by_hand(self, kinds: Mapping[str, bool]) -> None:
        hosting, location = self.hosting, self.place.location
        if kinds.get("webhook"):
            hosting.delete_webhook(location, hosting.webhooks(location)[0].id)
        if kinds.get("key"):
            hosting.delete_deploy_key(location, hosting.deploy_keys(location)[0].id)


@pytest.fixture
def neighbourhood(empty: Place) -> Neighbourhood:
    return Neighbourhood(empty)


def test_neighbours_are_connected_and_followed(neighbourhood: Neighbourhood) -> None:
    home, ci = neighbourhood, neighbourhood.place.forge.ci
    home.configure(CI_SERVER, HARBOR, SCAFFOLD, PIPELINE)
    home.run(**{"offer": "create", "repo-scaffolding": "create", ci: "create"})
    of_ci, of_harbor = "repo-scaffolding.shop/offer.ci", f"{ci}.shop/offer.harbor"
    assert home.hooks == {of_ci: HOOK, of_harbor: f"{HOOK}/images"}
    assert home.keys == [home.key]
    assert home.secrets == (set() if home.place.forge.files else SECRETS)

    other = made_up_key()
    home.offer("ci", webhook={"url": f"{HOOK}/new"}, deployKey={"publicKey": other})
    home.run(**{"repo-scaffolding": "integrate"})
    assert home.hooks == {of_ci: f"{HOOK}/new", of_harbor: f"{HOOK}/images"}
    assert home.keys == [other]


@pytest.mark.slow
def test_what_people_removed_comes_back_and_what_is_not_offered_goes(neighbourhood: Neighbourhood) -> None:
    home, ci = neighbourhood, neighbourhood.place.forge.ci
    home.configure(CI_SERVER, HARBOR, SCAFFOLD, PIPELINE)
    home.run(**{"offer": "create", "repo-scaffolding": "create", ci: "create"})
    of_ci, of_harbor = "repo-scaffolding.shop/offer.ci", f"{ci}.shop/offer.harbor"
    home.offer("ci", webhook={"url": HOOK}, deployKey={"publicKey": home.key})
    home.run(**{"repo-scaffolding": "integrate"})

    home.remove_by_hand({"webhook": True, "key": True})
    home.run(**{"repo-scaffolding": "update"})
    assert home.hooks == {of_ci: HOOK, of_harbor: f"{HOOK}/images"}
    assert home.keys == [home.key]

    home.configure(CI_SERVER, SCAFFOLD, PIPELINE, needs="repo-scaffolding.shop")
    home.run(**{"offer": "delete", ci: "integrate"})
    assert home.hooks == {of_ci: HOOK}
    assert home.secrets == set()


@pytest.mark.slow
def test_a_tool_that_leaves_takes_its_wiring_along(neighbourhood: Neighbourhood) -> None:
    home, ci = neighbourhood, neighbourhood.place.forge.ci
    home.configure(
        CI_SERVER, HARBOR, SCAFFOLD, PIPELINE, needs="repo-scaffolding.shop, offer.harbor, offer.ci"
    )
    home.offer("ci", deployKey={"publicKey": home.key})
    home.run(**{"offer": "create", "repo-scaffolding": "create", ci: "create"})
    home.configure(CI_SERVER, HARBOR, SCAFFOLD)
    home.run(**{ci: "delete"})
    assert home.hooks == {}
    assert home.secrets == set()
    assert home.keys == [home.key], "the scaffold's own"
    home.configure(CI_SERVER, HARBOR)
    home.run(**{"repo-scaffolding": "delete"})
    assert home.place.names == []


@pytest.mark.slow
def test_a_plain_app_is_not_integrated(neighbourhood: Neighbourhood) -> None:
    """No operation and no request for what nobody offers."""
    home, ci = neighbourhood, neighbourhood.place.forge.ci
    home.offer("ci", url="https://ci.example.org")
    home.configure(CI_SERVER, SCAFFOLD, PIPELINE, needs="repo-scaffolding.shop")
    home.run(**{"offer": "create", "repo-scaffolding": "create", ci: "create"})
    asked = [f"{request.method} {request.path}" for request in home.place.service.requests]
    assert not [line for line in asked if line.endswith(("/hooks", "/keys", "/deploy_keys"))]
    home.offer("ci", url="https://ci2.example.org")
    home.run()
