"""What the source never does, so that whole kinds of faults cannot occur (docs/asvs.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.requirement_ids import PROJECT

SERVED = ("core", "webapp", "flows")
SCRIPTS = sorted((PROJECT / "webapp" / "static" / "js").glob("*.js"))


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in SERVED:
        for file in sorted((PROJECT / folder).rglob("*.py")):
            yield str(file.relative_to(PROJECT)), ast.parse(file.read_text())


def calls(module: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Each call with the name that is called, such as `json.loads`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_no_code_that_runs_texts():
    """No eval, no pickle, no YAML, no shell; and scripts neither evaluate texts nor make functions of them."""
    wrong = {"eval", "exec", "os.system", "os.popen", "pickle.loads", "pickle.load", "yaml.load", "marshal.loads"}
    for path, module in sources():
        for name, call in calls(module):
            assert name not in wrong, path
            assert not any(word.arg == "shell" for word in call.keywords), path
    for file in SCRIPTS:
        assert not re.search(r"\beval\(|new Function|setTimeout\(\s*[\"'`]", file.read_text()), file.name


def test_no_script_writes_html():
    """Scripts set text; only HTMX swaps in what the server escaped."""
    for file in SCRIPTS:
        assert not re.search(r"\.(inner|outer)HTML\s*\+?=|insertAdjacentHTML|document\.write", file.read_text()), (
            file.name
        )


def test_no_script_stops_pasting():
    """Password managers and pasted passwords work."""
    for file in SCRIPTS:
        assert "paste" not in file.read_text(), file.name
    pages = (PROJECT / "templates").rglob("*.html")
    fields = [field for page in pages for field in re.findall(r"<input[^>]*type=\"password\"[^>]*>", page.read_text())]
    assert fields and all("autocomplete=" in field and "onpaste" not in field for field in fields)


def test_random_values_come_from_secrets():
    """`random` draws only what may be guessed: waiting times, the picture beside the sign-in form, and the random order
    of questions in a preview.
    """
    allowed = {
        "webapp/serving/body_rules.py",
        "webapp/portal/access/sign_in_picture.py",
        "core/surveys/rules/answering.py",
    }
    for path, module in sources():
        imported = {name.name for node in ast.walk(module) if isinstance(node, ast.Import) for name in node.names}
        imported |= {node.module or "" for node in ast.walk(module) if isinstance(node, ast.ImportFrom)}
        assert "random" not in imported or path in allowed, path
        assert not any(name.endswith(("uuid1", "uuid3", "uuid5")) for name, _ in calls(module)), path


def test_sql_is_made_of_constants():
    """A text of SQL holds no values: what is put into it are constants and names of tables and columns."""
    constants = {"MOST_MS", "PATIENCE", "_DELETE", "which"}
    for path, module in sources():
        for name, call in calls(module):
            if (
                name.endswith("text")
                and name.startswith("sa.")
                and call.args
                and isinstance(call.args[0], ast.JoinedStr)
            ):
                parts = [part for part in call.args[0].values if isinstance(part, ast.FormattedValue)]
                assert {ast.unparse(part.value) for part in parts} <= constants, path


def test_the_server_runs_without_debug():
    """No debugger, and no reloading, in the server that is started."""
    for path, module in sources():
        assert not any(word.arg == "debug" for _, call in calls(module) for word in call.keywords), path
    assert "debug" not in (PROJECT / "ops" / "gunicorn.conf.py").read_text().lower()
    assert "reload" not in (PROJECT / "ops" / "gunicorn.conf.py").read_text().lower()


@pytest.mark.parametrize("name", ["haproxy.cfg", "nginx.conf"])
def test_proxies_take_tls_1_2_and_newer_only(name: str):
    """The examples that operators copy."""
    text = Path(PROJECT / "ops" / "proxy" / name).read_text()
    assert "ssl-min-ver TLSv1.2" in text or "ssl_protocols TLSv1.2 TLSv1.3;" in text
    ciphers = re.search(r"ciphers ([\w+:]+)", text)
    assert ciphers and all(part.startswith("ECDHE+") for part in ciphers[1].split(":"))
