"""Rendering in a process of its own, with limits: a template that never ends, or wants all memory, can be stopped.

``python -I -m devstream_plugin_scm.render_process`` reads a JSON document from its standard input, and writes one.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import TYPE_CHECKING, Any

from devstream.api import OperationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Context

__all__ = ["render_apart", "main", "SECONDS"]

SECONDS = 20
"""How long all files of one template may take together, on the clock and of the processor."""
_MEMORY = 1024 * 1024 * 1024
_OUTPUT = 256 * 1024 * 1024


def render_apart(
    context: Context, texts: Mapping[str, str], variables: Mapping[str, Any], *, seconds: float = SECONDS
) -> dict[str, str]:
    """Render texts by name.

    Raises:
        OperationError: a template is wrong, or takes too long or too much.
    """
    asked = json.dumps(
        {"texts": dict(texts), "variables": variables, "seconds": int(seconds) + 1}, default=str
    )
    command = [sys.executable, "-I", "-m", "devstream_plugin_scm.render_process"]
    try:
        done = context.run(
            command, reads=True, input=asked, timeout=seconds, check=False, stdout_limit=_OUTPUT
        )
    except OperationError as error:
        if error.diagnostic.code == "timeout":
            raise _too_slow(seconds) from error
        raise
    if done.returncode != 0:
        if done.returncode < 0 or "MemoryError" in done.stderr:
            raise _too_slow(seconds)
        message = "the template could not be rendered"
        raise OperationError(message, detail=done.stderr)
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise OperationError(answer["error"], suggestion=answer["suggestion"])
    rendered: dict[str, str] = answer["texts"]
    return rendered


def _too_slow(seconds: float) -> OperationError:
    message = f"the template takes more than {seconds:.0f} s, or too much memory, to render"
    return OperationError(message, suggestion="does it loop over loops?")


def main() -> int:
    """Render what standard input asks for."""
    from devstream_plugin_scm.rendering import Renderer

    asked = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_CPU, (asked["seconds"], asked["seconds"]))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT, _OUTPUT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        renderer = Renderer(asked["variables"])
        texts = {name: renderer.text(text, name=name) for name, text in asked["texts"].items()}
    except OperationError as error:
        diagnostic = error.diagnostic
        json.dump({"error": diagnostic.summary, "suggestion": diagnostic.suggestion}, sys.stdout)
        return 0
    json.dump({"texts": texts}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
