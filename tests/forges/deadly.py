"""`Deadly`: makes a stand-in kill its client at a chosen request."""

from __future__ import annotations

import os
import signal
from enum import Enum
from typing import TYPE_CHECKING

from devstream.testing.gitea import GiteaStandIn
from devstream.testing.jenkins import JenkinsStandIn
from devstream.testing.service import Service

if TYPE_CHECKING:
    import subprocess

    from devstream.testing.service import Request, Response
    from tests.forges.program import Program

__all__ = ["Deadly", "DeadlyGitea", "DeadlyJenkins", "Moment", "run_until_killed"]


class Moment(Enum):
    """When the client dies, as the service sees it."""

    BEFORE = "before it is done"
    AFTER = "after it was done, before the answer"
    ORPHANED = "and its git goes on without it"


class Deadly(Service):
    """Mixed in before a stand-in: kills a process group at request number ``at``.

    Attributes:
        victim: the leader of the process group; None for nobody.
        at: the number of the deadly request, from 1; 0 for none.
        only: count only requests that contain this, as ``METHOD path``.
        passed: how many requests were counted since `aim`.
        killed: what was asked when it died.
    """

    victim: subprocess.Popen[str] | None = None
    at = 0
    only = ""
    passed = 0
    moment = Moment.BEFORE
    killed = ""

    def aim(self, at: int, moment: Moment = Moment.BEFORE, *, only: str = "") -> None:
        """Choose a request, and count from here."""
        self.at, self.moment, self.only = at, moment, only
        self.passed, self.killed, self.victim = 0, "", None

    def answer(self, request: Request) -> Response | None:
        """Answer as the stand-in does, but for the deadly request."""
        with self.lock:
            asked = f"{request.method} {request.path}"
            self.passed += self.only in asked
            if self.passed != self.at or self.killed:
                return super().answer(request)
            self.killed = asked
            if self.moment is Moment.BEFORE:
                self._kill()
                return None
            if self.moment is Moment.ORPHANED:
                self._kill()
                return super().answer(request)
            super().answer(request)
            self._kill()
            return None

    def _kill(self) -> None:
        assert self.victim is not None
        os.killpg(self.victim.pid, signal.SIGKILL)
        self.victim.wait()


class DeadlyGitea(Deadly, GiteaStandIn):
    """A Gitea that kills its client."""


class DeadlyJenkins(Deadly, JenkinsStandIn):
    """A Jenkins that kills its client."""


def run_until_killed(
    program: Program,
    service: Deadly,
    at: int,
    moment: Moment = Moment.BEFORE,
    *,
    only: str = "",
    command: str = "run",
) -> str:
    """Run a program that a service kills at a request; give what it asked then, nothing where it ended before."""
    service.aim(at, moment, only=only)
    with program.start(command, "--yes") as process:
        service.victim = process
        process.communicate(timeout=60)
    killed = service.killed
    service.aim(0)
    return killed
