"""The sources: small modules, reasons for every exception, nothing left behind."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawchat.values import limits, limits_rotation
from clawchat.values.catalog import CATALOG

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
SHIPPED = ("clawchat", "client", "server")
LIMITS = [Path(str(module.__file__)) for module in (limits, limits_rotation)]
TREES = (*SHIPPED, "lab", "tests", "scripts", "docs", ".ci")
TEXTS = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".service", ".nft", ".html", ""}

MODULE_CEILING = 350
"""Lines; a module that grows past it is two things."""

# Spelled so that this file does not match itself.
LEFT_BEHIND = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")
ONE_MACHINE = re.compile(r"(?<![\w.$}~*])/(?:home|root|Users|work)/[A-Za-z.]")
NOQA = re.compile(r"#\s*noqa\b(?P<codes>: [A-Z]+\d+(?:, [A-Z]+\d+)*)?(?P<reason>.*)")
TYPE_IGNORE = re.compile(r"#\s*type: ignore\b(?P<codes>\[[a-z-]+(?:, [a-z-]+)*\])?(?P<reason>.*)")
WORD = re.compile(r"\w{2}")


def sources(*trees: str) -> Iterator[Path]:
    for tree in trees:
        yield from sorted(path for path in (CHECKOUT / tree).rglob("*.py") if "__pycache__" not in path.parts)


def texts() -> Iterator[Path]:
    # In a worktree .git is a file, which git wrote.
    yield from (path for path in CHECKOUT.iterdir() if path.is_file() and path.suffix in TEXTS and path.name != ".git")
    for tree in TREES:
        for path in sorted((CHECKOUT / tree).rglob("*")):
            # Tools keep caches in hidden folders.
            inside = path.relative_to(CHECKOUT / tree).parts
            if path.is_file() and path.suffix in TEXTS and not any(part.startswith((".", "__py")) for part in inside):
                yield path


def named(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


@pytest.mark.parametrize("module", list(sources(*SHIPPED, "lab")), ids=named)
def test_a_module_is_one_thing(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MODULE_CEILING


def test_nothing_was_left_behind() -> None:
    found = [
        f"{named(path)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if LEFT_BEHIND.search(line) or ONE_MACHINE.search(line)
    ]
    assert found == []


def excused(pattern: re.Pattern[str], *trees: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield every line that makes an exception, with what its comment says."""
    for path in sources(*trees):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if "re.compile" not in line and (found := pattern.search(line)):
                yield f"{named(path)}:{number}: {line.strip()}", found


def test_every_lint_exception_carries_its_reason() -> None:
    found = excused(NOQA, *SHIPPED, "lab", "tests", "scripts")
    assert [line for line, excuse in found if not (excuse["codes"] and WORD.search(excuse["reason"]))] == []


def test_every_type_exception_carries_its_reason() -> None:
    found = excused(TYPE_IGNORE, *SHIPPED, "lab", "scripts")
    assert [line for line, excuse in found if not (excuse["codes"] and WORD.search(excuse["reason"]))] == []


def test_every_rule_that_is_off_says_why() -> None:
    off = re.compile(r'^\s+"[A-Z]+\d*",(?P<reason>.*)$', re.MULTILINE)
    settings = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8").split("[tool.mypy]")[0]
    bare = [match.group().strip() for match in off.finditer(settings) if "#" not in match["reason"]]
    assert bare == []


def constants(module: Path) -> Iterator[tuple[str, bool]]:
    """Yield each constant of a module, with whether a sentence stands below it."""
    body = ast.parse(module.read_text(encoding="utf-8")).body
    for statement, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            told = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            yield statement.target.id, told


def test_every_limit_says_where_it_comes_from() -> None:
    assert [name for file in LIMITS for name, told in constants(file) if not told] == []


def test_every_limit_limits_something() -> None:
    used = "\n".join(path.read_text(encoding="utf-8") for path in sources(*SHIPPED) if path not in LIMITS)
    unused = [name for file in LIMITS for name, _ in constants(file) if not re.search(rf"\b{name}\b", used)]
    assert unused == []


def test_every_code_a_person_may_meet_is_explained_and_raised() -> None:
    written = set()
    for path in sources(*SHIPPED):
        if not path.name.startswith("catalog"):
            written |= set(re.findall(r'"(CC-[A-Z-]+[A-Z])"', path.read_text(encoding="utf-8")))
    assert written == set(CATALOG)
