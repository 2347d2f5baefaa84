"""The programs that are measured, and what each runs for the same job."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import configs
from benchmarks.measure import BenchmarkError, Command, environment, measure
from benchmarks.workloads import PARALLELISM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.workloads import Load

__all__ = ["OPTIONAL", "Case", "Job", "Program", "Workshop", "find_programs"]

OPTIONAL = ("ansible", "pyinfra")
"""The peers that are measured only when asked for: they take seconds for what others do in milliseconds."""

_PACKAGES = {"doit": "doit", "ansible": "ansible-core", "pyinfra": "pyinfra"}


class Case(StrEnum):
    """What is done."""

    VERSION = "--version"
    NOOP = "no-op plan"
    PLAN = "plan from empty"
    RUN = "run from empty"
    VALIDATE = "validate"


@dataclass(frozen=True)
class Job:
    """How a program does one case.

    Attributes:
        arguments: what comes after the program.
        empty: whether what an earlier run left is removed first.
        expect: text that the output must hold.
    """

    arguments: tuple[str, ...]
    empty: bool = True
    expect: str = ""


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        argv: how it is started.
        version: its name and version.
        files: what is written before, by file name.
        leftovers: patterns of what its runs leave behind.
        settled_files: what is written to bring a folder to where there is nothing to do; a RUN does that where none.
    """

    name: str
    argv: tuple[str, ...]
    version: str
    jobs: Mapping[Case, Job]
    files: Mapping[str, Callable[[Load], str]]
    settled_files: Mapping[str, Callable[[Load], str]] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Workshop:
    """The folder where everything is written, and the environment in which everything runs."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """The environment of what is measured."""
        return environment(self.folder)

    def command(self, program: Program, case: Case, load: Load) -> Command:
        """Write what a program needs for a case, and give what is to be run."""
        job = program.jobs[case]
        folder = self.folder / program.name / f"{load.key}{'' if job.empty else '-settled'}"
        fresh = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if fresh:
            _write(folder, program.files, load)
        if fresh and not job.empty:
            self._settle(program, folder, load)
        leftovers = program.leftovers if job.empty else ()
        return Command((*program.argv, *job.arguments), folder, leftovers, job.expect)

    def _settle(self, program: Program, folder: Path, load: Load) -> None:
        """Bring a folder to where there is nothing to do."""
        if program.settled_files:
            _write(folder, program.settled_files, load)
        else:
            measure(Command((*program.argv, *program.jobs[Case.RUN].arguments), folder), self.environ)


def _write(folder: Path, files: Mapping[str, Callable[[Load], str]], load: Load) -> None:
    for name, text in files.items():
        (folder / name).write_text(text(load), encoding="utf-8")


def find_programs(work: Path, wanted: tuple[str, ...]) -> tuple[dict[str, Program], dict[str, str]]:
    """Give the programs that are there, and why each of the others is not.

    Side effects: makes a virtual environment in ``work`` for each peer from PyPI.
    """
    makers: dict[str, Callable[[], Program]] = {
        "devstream": _devstream,
        "terraform": lambda: _terraform(work),
        "doit": lambda: _doit(work),
        "ansible": lambda: _ansible(work),
        "pyinfra": lambda: _pyinfra(work),
    }
    found: dict[str, Program] = {}
    missing: dict[str, str] = {}
    for name in wanted:
        try:
            found[name] = makers[name]()
        except (BenchmarkError, subprocess.CalledProcessError, OSError) as error:
            missing[name] = str(error)
    return found, missing


def _devstream() -> Program:
    script = Path(sys.executable).with_name("devstream")
    argv = (str(script),) if script.exists() else (sys.executable, "-m", "devstream")
    run = ("run", "--yes", "--parallelism", str(PARALLELISM))
    return Program(
        "devstream",
        argv,
        _first_line(*argv, "--version"),
        {
            Case.VERSION: Job(("--version",)),
            Case.NOOP: Job(("plan",), empty=False, expect="No changes"),
            Case.PLAN: Job(("plan",), expect="to create"),
            Case.RUN: Job(run, expect="succeeded."),
            Case.VALIDATE: Job(("validate",), expect="is valid"),
        },
        {"devstream.yaml": configs.devstream_yaml},
        leftovers=("devstream.state*",),
    )


def _terraform(work: Path) -> Program:
    path = shutil.which("terraform")
    if path is None:
        message = "terraform is not installed"
        raise BenchmarkError(message)
    common = ("-no-color", "-input=false", f"-parallelism={PARALLELISM}")
    return Program(
        "terraform",
        (path,),
        _first_line(path, "version", environ=environment(work)),
        {
            Case.VERSION: Job(("version",)),
            Case.NOOP: Job(("plan", *common), empty=False, expect="No changes"),
            Case.PLAN: Job(("plan", *common), expect="to add"),
            Case.RUN: Job(("apply", "-auto-approve", *common), expect="Apply complete"),
        },
        {"main.tf": configs.terraform_hcl},
        {"terraform.tfstate": configs.terraform_state},
        leftovers=("terraform.tfstate*",),
    )


def _doit(work: Path) -> Program:
    program = _installed(work, "doit")
    run = ("-f", "dodo.py", "-v0")
    return Program(
        "doit",
        (program,),
        f"doit {_first_line(program, '--version')}",
        {Case.NOOP: Job(run, empty=False, expect="-- t:"), Case.RUN: Job(run, expect=".  t:")},
        {"dodo.py": configs.dodo},
        leftovers=(".doit*",),
    )


def _ansible(work: Path) -> Program:
    program = _installed(work, "ansible", "ansible-playbook")
    run = ("-i", "localhost,", "playbook.yml")
    return Program(
        "ansible",
        (program,),
        _first_line(program, "--version"),
        {Case.NOOP: Job((*run, "--check"), empty=False), Case.RUN: Job(run)},
        {"playbook.yml": configs.ansible_playbook},
    )


def _pyinfra(work: Path) -> Program:
    program = _installed(work, "pyinfra")
    run = ("-y", "@local", "deploy.py")
    return Program(
        "pyinfra",
        (program,),
        _first_line(program, "--version"),
        {Case.NOOP: Job(("--dry", *run), empty=False), Case.RUN: Job(run)},
        {"deploy.py": configs.pyinfra_deploy},
    )


def _installed(work: Path, name: str, script: str = "") -> str:
    """Give the path of a program from PyPI, in an environment of its own that is made once."""
    folder = work.parent / "venvs" / name
    program = folder / "bin" / (script or name)
    if not program.exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", _PACKAGES[name]]
        subprocess.run(pip, check=True)
    return str(program)


def _first_line(*argv: str, environ: dict[str, str] | None = None) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environ)
    return done.stdout.splitlines()[0]
