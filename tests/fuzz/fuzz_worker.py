"""A process that feeds made-up configurations to the loader, one after the other, and dies where one of them breaks it.

    python tests/fuzz/fuzz_worker.py FIRST LAST FOLDER    run the cases FIRST..LAST-1; the last line tells how it went
    python tests/fuzz/fuzz_worker.py NUMBER               print one case

A case goes all the way that `validate` goes: read, parse, render, check, expand, options, graph. What it may end in is
a configuration or an error with a place. More than a second of processor time is a hang: the kernel ends the process,
whatever it is in the middle of, and the file ``at`` in FOLDER names the case.
"""

from __future__ import annotations

import codecs
import json
import os
import random
import re
import resource
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from devstream.config.load import ConfigInputs, load_config
from devstream.engine.expansion import expand_config, graph_of
from devstream.errors import ConfigError, Diagnostic, PluginError
from devstream.plugins.manager import PluginManager

HERE = Path(__file__).parent
SECONDS = 1.0
MEMORY = 1 << 30

# ---- words

VOCABULARY: dict[str, list[str]] = json.loads((HERE / "vocabulary.json").read_text())
TOOLS = VOCABULARY["tools"]
NAMES = VOCABULARY["names"]
WORDS = VOCABULARY["words"]
LITERALS = VOCABULARY["literals"]
WRONG = VOCABULARY["wrong"]
FILTERS = VOCABULARY["filters"]
FILTERS_TOO = VOCABULARY["filters_too"]
OPERATORS = VOCABULARY["operators"]
FIELDS = VOCABULARY["fields"]
TOOL_KEYS = VOCABULARY["tool_keys"]
LANGUAGES = VOCABULARY["languages"]
TOKENS = VOCABULARY["tokens"]
TOKEN = re.compile(r"\w+|[ \t]+|\n|[^\w\s]+|\s")

# ---- plausible configurations


class Writer:
    """Writes configurations that are mostly right, with every feature of the language."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.pick = chance.choice

    def likely(self, percent: int) -> bool:
        return self.chance.random() * 100 < percent

    def config(self) -> str:
        parts = [self.variables(), self.tools()]
        if self.likely(35):
            parts += [self.apps(), self.templates()]
        if self.likely(15):
            parts.append(self.settings())
        self.chance.shuffle(parts)
        return (self.pick(["\n", "\n", "---\n"]) if self.likely(10) else "").join(parts)

    def variables(self) -> str:
        lines = [
            "vars:",
            "  owner: me",
            "  port: 8080",
            "  m: {k: 1, n: [a]}",
            "  l: [x, 2]",
            "  secret: [[ env TOKEN ]]",
        ]
        if self.likely(20):
            lines += [f"  loop: {self.value(2)}", f"  x: &x {self.value(2)}", "  v: [[ loop ]]"]
        return "\n".join(lines) + "\n"

    def tools(self) -> str:
        return "tools:\n" + "".join(self.tool() for _ in range(self.chance.randint(0, 5)))

    def tool(self) -> str:
        name = self.pick(TOOLS[:5] if self.likely(97) else TOOLS)
        instance = (
            f"{self.pick(NAMES[:6])}{self.chance.randrange(9)}" if self.likely(96) else self.pick(NAMES)
        )
        lines = [f"- name: {name}", f"  instanceID: {instance}"]
        if self.likely(40):
            lines.append(
                f"  dependsOn: [{', '.join(self.address() for _ in range(self.chance.randint(0, 3)))}]"
            )
        if self.likely(80):
            lines += ["  options:", *self.options(name)]
        if self.likely(8):
            lines.append(f"  {self.pick(TOOL_KEYS)}: {self.value(2)}")
        return "\n".join(lines) + "\n"

    def options(self, name: str) -> list[str]:
        likely = {"noop": ["input"], "file": ["path", "content"], "command": ["create", "stdout"]}.get(
            name, ["x"]
        )
        fields = [*likely, self.field()] if self.likely(10) else likely
        return [f"    {field}: {self.value(4)}" for field in fields]

    def field(self) -> str:
        return self.pick(FIELDS) if self.likely(95) else self.template()

    def address(self) -> str:
        return (
            f"noop.{self.pick(NAMES[:5])}{self.chance.randrange(9)}"
            if self.likely(95)
            else self.pick(["noop", "x.y", "", ".", self.template()])
        )

    def value(self, indent: int) -> str:
        kind = self.chance.randrange(8)
        if kind < 2:
            return self.pick(LITERALS if self.likely(96) else WRONG).replace("{i}", " " * indent)
        if kind == 2:
            return self.template()
        if kind == 3:
            return f'"{self.pick(["x", "", "é "])}{self.template()}-{self.template()}"'
        if kind == 4:
            return f"'{self.template()}'"
        if kind == 5 and indent < 10:
            pad = "\n" + " " * (indent + 2)
            return "".join(
                f"{pad}k{number}: {self.value(indent + 2)}" for number in range(self.chance.randint(1, 2))
            )
        if kind == 6 and indent < 10:
            pad = "\n" + " " * (indent + 2)
            return "".join(f"{pad}- {self.value(indent + 2)}" for _ in range(self.chance.randint(1, 2)))
        return f"[ {self.template()}, {self.pick(LITERALS[:8])} ]"

    def template(self) -> str:
        kind = self.chance.randrange(10)
        if kind < 3:
            return f"[[ {self.pick(WORDS[:4] if self.likely(95) else WORDS)} ]]"
        if kind < 5:
            return (
                f"${{{{ {self.address()}.outputs.{self.pick(['output', 'path', 'output.k[0].z', 'x'])} }}}}"
            )
        if kind == 5:
            return self.pick(
                [
                    "[[ env TOKEN ]]",
                    "[[ env UNSET ]]",
                    '[[ env("TOKEN", secret=false) ]]',
                    "${{ secrets.X }}",
                    '[[ "[[" ]]',
                ]
            )
        return (
            f"[[ {self.pick(WORDS[:4])} | {self.pick(FILTERS)} ]]"
            if self.likely(70)
            else f"[[ {self.expression(3)} ]]"
        )

    def expression(self, depth: int) -> str:
        kind = self.chance.randrange(7) if depth else 0
        if kind < 2:
            return self.pick([*WORDS, "'text'", "1", "none", "true", 'env("TOKEN")'])
        if kind == 2:
            return f"{self.expression(depth - 1)} | {self.pick([*FILTERS, *FILTERS_TOO])}"
        if kind == 3:
            return f"({self.expression(depth - 1)})"
        if kind == 4:
            return f"{self.pick(['m', 'l', '[1, 2]', '{1: 2}'])}[{self.expression(depth - 1)}]"
        if kind == 5:
            return f"{self.expression(depth - 1)} if {self.expression(depth - 1)} else {self.expression(depth - 1)}"
        return f"{self.expression(depth - 1)}{self.pick(OPERATORS)}{self.expression(depth - 1)}"

    def apps(self) -> str:
        return "apps:\n" + "".join(self.app() for _ in range(self.chance.randint(0, 2)))

    def app(self) -> str:
        lines = [
            f"- name: {self.pick(NAMES[:3])}",
            f"  spec: {{language: {self.pick(LANGUAGES)}, framework: f}}",
        ]
        lines.append(
            f"  repo: {self.pick(['{scmType: local}', '{scmType: github, owner: [[ owner ]]}', '{url: github.com/a/b}', 'x'])}"
        )
        if self.likely(60):
            lines.append(
                f"  repoTemplate: {{url: {self.pick(['builtin:python-http', 'x', '[[ owner ]]'])}, vars: {{a: 1}}}}"
            )
        for kind in ("ci", "cd"):
            if self.likely(60):
                lines += [f"  {kind}:", *(self.item() for _ in range(self.chance.randint(1, 2)))]
        if self.likely(15):
            lines.append(f"  {self.pick(['dependsOn', 'tags', 'protect', 'nmae'])}: {self.value(2)}")
        return "\n".join(lines) + "\n"

    def item(self) -> str:
        kind = self.pick(["template", "template", "noop", "local-ci", "templat", "x"])
        options = f", options: {{{self.field()}: {self.template()}}}" if self.likely(40) else ""
        more = (
            f", {self.pick(['name', 'vars', 'tags'])}: {self.pick(LITERALS[:10])}" if self.likely(20) else ""
        )
        return f"  - {{type: {kind}, templateName: {self.pick(['t', 'u', 'tt'])}{options}{more}}}"

    def templates(self) -> str:
        blocks = (
            f"- name: {name}\n  type: {self.pick(TOOLS[:5])}\n  options: {self.value(2)}\n"
            for name in ("t", "u")
        )
        return "pipelineTemplates:\n" + "".join(blocks)

    def settings(self) -> str:
        state = self.pick(
            [
                "{backend: local}",
                "{backend: local, options: {stateFile: s}}",
                "{backend: s3}",
                "x",
                "{bakend: local}",
            ]
        )
        return f"config:\n  state: {state}\n  parallelism: {self.pick(LITERALS[:8])}\n"


# ---- mutations


def on_bytes(chance: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(made) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            made[at:at] = chance.choice(TOKENS).encode()
        elif kind == 1:
            del made[at : at + chance.randint(1, 8)]
        elif kind == 2:
            made[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 3:
            made[at:at] = made[chance.randrange(len(made) + 1) :][:20]
        elif at < len(made):
            made[at] ^= 1 << chance.randrange(8)
    return bytes(made)


def on_tokens(chance: random.Random, text: str) -> str:
    tokens = TOKEN.findall(text)
    for _ in range(chance.randint(1, 4)):
        at, other = (chance.randrange(len(tokens) + 1) for _ in range(2))
        kind = chance.randrange(5)
        if kind == 0:
            tokens[at:at] = [chance.choice(TOKENS)]
        elif kind == 1:
            del tokens[at : at + chance.randint(1, 3)]
        elif kind == 2:
            tokens[at : at + 1] = [chance.choice(TOKENS)]
        elif kind == 3:
            tokens[at:at] = tokens[other : other + chance.randint(1, 8)]
        else:
            tokens[at : at + 1] = tokens[other : other + 1]
    return "".join(tokens)


def on_lines(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    for _ in range(chance.randint(1, 2)):
        at, other = (chance.randrange(len(lines)) for _ in range(2))
        kind = chance.randrange(6)
        if kind == 0:
            lines[at] = ""
        elif kind == 1:
            lines.insert(other, lines[at])
        elif kind == 2:
            lines[at] = chance.choice([" ", "  ", "\t"]) + lines[at]
        elif kind == 3:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        elif kind == 4:
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines[at] = lines[at].removeprefix("  ")
    return "\n".join(lines)


def seeds() -> list[str]:
    """Every configuration among the cases and examples that is short enough to be quick."""
    root = HERE.parents[1]
    found = [
        path for folder in ("tests/cases", "examples") for path in sorted((root / folder).rglob("*.yaml"))
    ]
    texts = [path.read_bytes() for path in found if path.name != "case.yaml"]
    return [text.decode("utf-8", "replace") for text in texts if 0 < len(text) < 1500]


def case(number: int, corpus: list[str]) -> bytes:
    """Make an input from its number: two thirds written by the grammar, the others from the corpus, most mutated."""
    chance = random.Random(number)
    text = Writer(chance).config() if number % 3 else chance.choice(corpus)
    kind = chance.randrange(10)
    if kind < 4 and number % 3:
        return text.encode()
    if kind < 6:
        return on_lines(chance, text).encode()
    if kind < 8:
        return on_tokens(chance, text).encode()
    return on_bytes(chance, text.encode())


# ---- what has to hold


def check(found: Diagnostic, file: Path) -> None:
    assert found.summary, found
    assert found.code, found
    assert len(found.summary) < 2000, len(found.summary)
    if found.mark is None:
        assert found.code in PLACELESS, found
        return
    assert found.mark.file == file.name, found
    data = file.read_bytes()
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    lines = re.split(r"\r\n|\n|\r", data.decode(encoding, "replace"))
    assert 1 <= found.mark.line <= len(lines), found
    assert 1 <= found.mark.column <= len(lines[found.mark.line - 1]) + 2, found


PLACELESS = frozenset({"unset-variable", "no-config"})


def run(file: Path, plugins: PluginManager) -> str:
    """Take one input all the way; give what came of it."""
    told: tuple[Diagnostic, ...]
    try:
        config = load_config(
            ConfigInputs(file, file.parent, env={"TOKEN": "t0ken-in-the-environment"}, offline=True)
        )
        tools = expand_config(config, plugins, secrets=None, conceal=lambda _: None)
        graph_of(tools.tools)
        told, outcome = (*config.warnings, *tools.warnings), "valid"
    except (ConfigError, PluginError) as error:
        told, outcome = error.diagnostics, error.diagnostics[0].code
        assert all(item.severity == "error" for item in told[:1])
    for item in told[:20]:
        check(item, file)
    return outcome


def _peak_memory() -> int:
    """Give the most memory this program has used, in MiB; rusage would tell that of whoever started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) // 1024


def main(first: int, last: int, folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    file, corpus = folder / "f.yaml", seeds()
    plugins = PluginManager(folder=None, environ={}, search_path=[], observers=False)
    outcomes: Counter[str] = Counter()
    at = os.open(folder / "at", os.O_CREAT | os.O_WRONLY)
    slowest = (0.0, 0)
    for number in range(first, last):
        os.pwrite(at, b"%12d" % number, 0)
        file.write_bytes(case(number, corpus))
        signal.setitimer(
            signal.ITIMER_PROF, SECONDS
        )  # its signal ends the process, in the middle of C code too
        outcomes[run(file, plugins)] += 1
        left, _ = signal.setitimer(signal.ITIMER_PROF, 0)
        slowest = max(slowest, (SECONDS - left, number))
    memory = _peak_memory()
    result: dict[str, Any] = {
        "outcomes": outcomes,
        "memory": memory,
        "slowest": slowest,
        "cases": last - first,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.stdout.buffer.write(case(int(sys.argv[1]), seeds()))
    else:
        main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
