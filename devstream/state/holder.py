"""Who we are, as a lease names its holder."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

from devstream.model.state import LeaseHolder
from devstream.state.clock import utc_now

__all__ = ["Condition", "condition_of", "this_process"]

_START_TIME = 19
"""Where the start time stands in /proc/PID/stat, counted from after the command's closing parenthesis."""


def this_process(run_id: str, command: str) -> LeaseHolder:
    """Describe this process as the holder of a lease.

    What the system does not tell (a boot id outside Linux, for one) stays empty: it then counts as another machine.
    """
    host = os.uname().nodename
    return LeaseHolder(
        run_id=run_id,
        who=f"{_user()}@{host}",
        since=utc_now(),
        host=host,
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        pid_namespace=_link("/proc/self/ns/pid"),
        pid=os.getpid(),
        pid_start=_start_of("self"),
        command=command,
    )


class Condition(StrEnum):
    """What a lease's holder is doing, as far as it can be seen from here."""

    RUNNING = "running"
    STOPPED = "stopped"
    GONE = "gone"
    ELSEWHERE = "elsewhere"


def condition_of(holder: LeaseHolder) -> Condition:
    """Look at the process that holds a lease."""
    here = this_process("", "")
    if (holder.boot_id, holder.pid_namespace) != (here.boot_id, here.pid_namespace):
        return Condition.ELSEWHERE
    fields = _read(f"/proc/{holder.pid}/stat").rpartition(")")[2].split()
    if not fields or _start_of(str(holder.pid)) != holder.pid_start:
        return Condition.GONE
    return Condition.STOPPED if fields[0] in ("T", "t") else Condition.RUNNING


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container that runs under a number without a name
        return str(os.geteuid())


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _start_of(pid: str) -> int:
    """Give a process's start time in clock ticks since boot; 0 where it is not known."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[_START_TIME]) if len(fields) > _START_TIME else 0
