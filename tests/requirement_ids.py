"""Which requirement ids the project names, and which tests name them: the last column of docs/requirements.md.

`python -m tests.requirement_ids` rewrites that column; what ours does, in the middle one, is written by hand.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]
DOCUMENT = PROJECT / "docs" / "requirements.md"
CODE = ("core", "webapp", "flows", "ops", "templates", "migrations")
_ID = r"(?:CLAR|PHONE|STORE|PROC|DATA|OPS|MODEL|PORTAL|PERM|SURVEY|NOTIF|FOREST)-\d+"
_ROW = re.compile(rf"^\| ({_ID}) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def ids_in(text: str) -> set[str]:
    """Ids that a text names in full; a range names its ends only, so it is no way to claim what lies between."""
    return set(re.findall(rf"\b{_ID}\b", text))


def named_in_code() -> set[str]:
    """Ids that code and templates name."""
    files = (f for folder in CODE for f in (PROJECT / folder).rglob("*") if f.suffix in (".py", ".html", ".js", ".css"))
    return set().union(*(ids_in(f.read_text()) for f in files if "vendor" not in f.parts))


def shown_by() -> dict[str, list[str]]:
    """For each id the tests whose own docstring names it, as `path::name`."""
    shown: dict[str, set[str]] = defaultdict(set)
    for file in sorted((PROJECT / "tests").rglob("test_*.py")):
        name = str(file.relative_to(PROJECT))
        module = ast.parse(file.read_text())
        for test in _tests(module):
            for requirement in ids_in(ast.get_docstring(test) or ""):
                shown[requirement].add(f"{name}::{test.name}")
    return {requirement: sorted(tests) for requirement, tests in shown.items()}


def _tests(module: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


def in_order(requirement: str) -> tuple[str, int]:
    room, number = requirement.rsplit("-", 1)
    return room, int(number)


def rows() -> dict[str, tuple[str, str]]:
    """The document's rows: what ours does, and the tests as written there."""
    return {requirement: (what, tests) for requirement, what, tests in _ROW.findall(DOCUMENT.read_text())}


def cell_of(tests: list[str]) -> str:
    """Up to three tests of a requirement as the document shows them."""
    shown = [f"`{test.removeprefix('tests/')}`" for test in tests[:3]]
    return ", ".join(shown) + (f" and {len(tests) - 3} more" if len(tests) > 3 else "")


def rewrite() -> None:
    """Renews the tests of every row, and adds rows for ids that have none yet."""
    shown, known = shown_by(), rows()
    wanted = sorted(named_in_code() | set(shown), key=in_order)
    head = DOCUMENT.read_text().split("| id |")[0] if DOCUMENT.exists() else "# Requirements\n\n"
    lines = [f"| {r} | {known.get(r, ('', ''))[0]} | {cell_of(shown.get(r, []))} |" for r in wanted]
    DOCUMENT.write_text(head + "| id | what ours does | shown by |\n|---|---|---|\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    rewrite()
