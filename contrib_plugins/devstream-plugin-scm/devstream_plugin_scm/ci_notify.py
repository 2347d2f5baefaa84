"""The shell script with which a pipeline tells people of its result. It holds names of secrets, never a secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream_plugin_scm.options import DingTalk, Pipeline

__all__ = ["notify_script"]

_POST = """\
post() {
  printf 'url = "%s"\\n' "$1" |
    curl --silent --show-error --fail --max-time 30 --retry 2 --header 'Content-Type: application/json' \\
      --data "$2" --output /dev/null --config -
}"""
"""The address is a secret: it goes by standard input, where no list of processes shows it."""
_SIGN = """\
now="$(date +%s)000"
sign="$(printf '%s\\n%s' "$now" "${VALUE}" | openssl dgst -sha256 -hmac "${VALUE}" -binary | openssl base64 -A)"
sign="$(printf '%s' "$sign" | sed 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g')"
url="$url&timestamp=$now&sign=$sign\""""
_ADDRESS = """\
case "${TOKEN}" in
  http*) url="${TOKEN}" ;;
  *) url="https://oapi.dingtalk.com/robot/send?access_token=${TOKEN}" ;;
esac"""


def notify_script(pipeline: Pipeline, app_name: str, names: Mapping[str, str]) -> list[str]:
    """Write the lines of a POSIX shell script that needs curl; empty where nobody is to be told.

    It reads RESULT (`passed` or `failed`), COMMIT and LINK from its environment, and the secrets.

    Args:
        names: what the secrets are called in this pipeline, by their usual names.
    """
    posts = list(_posts(pipeline, app_name, names))
    if not posts:
        return []
    text = f'text="{app_name}: $RESULT ($COMMIT) $LINK"'
    return "\n".join([_POST, text, *posts]).splitlines()


def _posts(pipeline: Pipeline, app_name: str, names: Mapping[str, str]) -> Iterator[str]:
    if pipeline.ding_talk is not None:
        yield from _ding_talk(pipeline.ding_talk, names)
    if pipeline.slack is not None:
        yield _post(f"${names['SLACK_WEBHOOK']}", {"text": "$text"})
    if pipeline.webhook is not None:
        body = {"app": app_name, "result": "$RESULT", "commit": "$COMMIT", "url": "$LINK"}
        yield _post(f"${names['NOTIFY_WEBHOOK']}", body)


def _ding_talk(robot: DingTalk, names: Mapping[str, str]) -> Iterator[str]:
    value = names["DINGTALK_SECURITY_VALUE"]
    yield _ADDRESS.replace("${TOKEN}", f"${names['DINGTALK_SECURITY_TOKEN']}")
    if robot.security_type == "SECRET":
        yield _SIGN.replace("${VALUE}", f"${value}")
    word = f"${value} " if robot.security_type in {"KEY", "KEYWORD"} else ""
    people = [person.strip() for person in robot.at_users.split(",") if person.strip()]
    body = {"msgtype": "text", "text": {"content": f"{word}$text"}, "at": {"atMobiles": people}}
    yield _post("$url", body)


def _post(url: str, body: Mapping[str, Any]) -> str:
    data = json.dumps(body).replace('"', '\\"')
    return f'post "{url}" "{data}"'
