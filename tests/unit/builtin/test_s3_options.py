"""Which options the s3 backend takes, and what it says of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devstream.builtin.s3_options import Place, place_of
from devstream.engine.locations import parse_state_url
from devstream.errors import OptionError

BASE = {"bucket": "b-1", "key": "team/devstream.state", "region": "eu-1"}
HTTPS = "https://s3.example.com"

GOOD: list[tuple[dict[str, Any], Place]] = [
    (BASE, Place("s3", "b-1", "team/devstream.state", "eu-1", given=(("region", "eu-1"),))),
    (
        {**BASE, "endpoint": f"{HTTPS}/", "pathStyle": False, "sse": "AES256", "profile": "ops"},
        Place(
            "s3", "b-1", "team/devstream.state", "eu-1", HTTPS, "ops", path_style=False, sse="AES256",
            given=(("region", "eu-1"), ("endpoint", HTTPS), ("profile", "ops"), ("pathStyle", "false"), ("sse", "AES256")),
        ),
    ),
    (
        {**BASE, "endpoint": "http://10.0.0.1:9000", "allowHttp": "true"},
        Place(
            "s3", "b-1", "team/devstream.state", "eu-1", "http://10.0.0.1:9000", path_style=True, allow_http=True,
            given=(("region", "eu-1"), ("endpoint", "http://10.0.0.1:9000"), ("allowHttp", "true")),
        ),
    ),
    ({"url": "gs://b-1/a%20b"}, Place("gs", "b-1", "a b")),
    ({"url": "az://b-1/k"}, Place("az", "b-1", "k")),
    ({"url": "s3://b-1/k?region=eu-1"}, Place("s3", "b-1", "k", "eu-1", given=(("region", "eu-1"),))),
]  # fmt: skip


@pytest.mark.parametrize(("options", "place"), GOOD)
def test_good_options(options: dict[str, Any], place: Place) -> None:
    assert place_of(options, {}) == place


@pytest.mark.parametrize(("options", "place"), GOOD)
def test_the_location_names_the_same_place_again(options: dict[str, Any], place: Place) -> None:
    there = parse_state_url(place_of(options, {}).location)
    assert there.backend == "s3"
    again = place_of(there.options, {})
    assert again.location == place.location
    assert again == place


@pytest.mark.parametrize(
    "key",
    ["a b", "ünï/ç", "a%20b", "a+b", "a?b", "a#b", "a&b=c", "~x", "[x]", "a\\b", "a%zz", "..a/b..", "a:b@c"],
)
def test_the_location_of_an_odd_key(key: str) -> None:
    place = place_of({**BASE, "key": key}, {})
    assert place_of(parse_state_url(place.location).options, {}) == place


BAD = [
    ({"buket": "b"}, "buket", 'no option "buket"', 'did you mean "bucket"?'),
    ({"path_style": True}, "path_style", "no option", 'did you mean "pathStyle"?'),
    ({"zzz": True}, "zzz", "no option", "its options are bucket, region"),
    ({"bucket": None}, "", 'needs "bucket"', "bucket: my-bucket"),
    ({"key": None}, "", 'needs "key"', "key: devstream.state"),
    ({"region": None}, "", 'needs "region"', "region: eu-central-1"),
    ({"bucket": "s3://b"}, "bucket", "bucket is 's3://b'", "name alone"),
    ({"bucket": "b/k"}, "bucket", "bucket is 'b/k'", "name alone"),
    ({"bucket": 5}, "bucket", "bucket is 5", "it has to be text"),
    ({"key": "/k"}, "key", "empty part", "write k"),
    ({"key": "a//b/"}, "key", "empty part", "write a/b"),
    ({"key": "a/../b"}, "key", "lead nowhere", "write the whole name"),
    ({"key": "./b"}, "key", "lead nowhere", "write the whole name"),
    ({"key": "a\nb"}, "key", "key is 'a\\nb'", "it has to be text"),
    ({"key": "k" * 901}, "key", "has 901 bytes", "at most 900"),
    ({"endpoint": "http://s3.example.com"}, "endpoint", "plain http", "allowHttp: true"),
    ({"endpoint": "https://me:pw@s3.example.com"}, "endpoint", "holds a user or a password", "environment"),
    ({"endpoint": "s3.example.com"}, "endpoint", "endpoint is 's3.example.com'", "endpoint: https://"),
    ({"endpoint": "https://h:99999999"}, "endpoint", "is no URL", "endpoint: https://"),
    ({"endpoint": "https://[h"}, "endpoint", "is no URL", "endpoint: https://"),
    ({"pathStyle": "yes"}, "pathStyle", "pathStyle is 'yes'", "true or false"),
    ({"allowHttp": 1}, "allowHttp", "allowHttp is 1", "true or false"),
    ({"sse": "AES265"}, "sse", "sse is 'AES265'", 'did you mean "AES256"?'),
    ({"sse": "x"}, "sse", "sse is 'x'", "ARN of a KMS key"),
    ({"url": "s3://b/k"}, "bucket", "stands beside url", "leave out bucket or url"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "option", "summary", "hint"), BAD)
def test_bad_options(change: dict[str, Any], option: str, summary: str, hint: str) -> None:
    options = {name: value for name, value in {**BASE, **change}.items() if value is not None}
    with pytest.raises(OptionError) as caught:
        place_of(options, {})
    error = caught.value
    assert error.exit_code == 3
    assert error.option == option
    assert summary in error.diagnostic.summary
    assert hint in error.diagnostic.suggestion
    assert "pw" not in str(error)


@pytest.mark.parametrize(
    "url", ["ftp://b/k", "gs:///k", "gs://u:pw@b/k", "gs://b", "gs://b/", "gs://b/k?buket=x", "5"]
)
def test_bad_urls(url: str) -> None:
    with pytest.raises(OptionError):
        place_of({"url": url}, {})


def test_the_environment_says_what_is_not_written() -> None:
    options = {"bucket": "b", "key": "k"}
    place = place_of(options, {"AWS_REGION": "eu-2", "AWS_ENDPOINT_URL_S3": HTTPS})
    assert (place.region, place.endpoint, place.path_style) == ("eu-2", HTTPS, True)
    assert "s3.example.com" in place.location
    assert place_of(options, {"AWS_DEFAULT_REGION": "eu-3"}).region == "eu-3"
    with pytest.raises(OptionError, match="plain http"):
        place_of(options, {"AWS_REGION": "eu-2", "AWS_ENDPOINT_URL": "http://s3.example.com"})
    assert place_of({**options, "profile": "ops"}, {}).region == ""


def test_a_file_url_and_a_path_are_local() -> None:
    assert parse_state_url("/a/b").backend == "local"
    assert Path(parse_state_url("file:///a/b").options["stateFile"]) == Path("/a/b")
