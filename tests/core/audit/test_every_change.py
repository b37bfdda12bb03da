"""Every function of core that takes an actor writes a row, itself or through a function that does (PORTAL-290)."""

import ast
from collections.abc import Iterator
from pathlib import Path

from core.config import REPOSITORY
from core.models.audit_record import Action

RECORDERS = {"record", "record_each"}
# Functions that take an actor for something else, and why they write no row of the audit trail.
OTHERS = {
    "record_retirement": "keeps what undoing needs; `retire_participants` writes the rows",
    "record_access": "writes the log of data access",
    "record_object": "writes the log of data access",
    "record_download": "writes the log of data access",
    "_record_access": "writes the log of data access",
    "_record_asking": "writes the log of data access",
    "access_that_covers": "asks whose download a row of the log is",
    "_common": "the columns that all rows share",
}


def functions(folder: Path) -> Iterator[tuple[Path, ast.FunctionDef]]:
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield file, node


def takes_actor(function: ast.FunctionDef) -> bool:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return any(
        argument.arg == "actor" and isinstance(argument.annotation, ast.Name) and argument.annotation.id == "Actor"
        for argument in arguments
    )


def hands_actor_on(function: ast.FunctionDef) -> set[str]:
    """The names of functions that this one calls with its actor."""
    called = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if any(isinstance(value, ast.Name) and value.id == "actor" for value in given):
                called |= {name.id for name in ast.walk(node.func) if isinstance(name, ast.Name)}
    return called


def test_every_function_that_takes_an_actor_leaves_a_row():
    """PORTAL-290, CLAR-20: it gives its actor to `record`, or to a function of core for which that is shown too."""
    changing = {node.name: (file, node) for file, node in functions(REPOSITORY / "core") if takes_actor(node)}
    silent = [
        f"{file.relative_to(REPOSITORY)}: {name}"
        for name, (file, node) in changing.items()
        if name not in RECORDERS | set(OTHERS)
        and not hands_actor_on(node) & (RECORDERS | (set(changing) - set(OTHERS)))
    ]
    assert not silent, f"these functions take an actor and leave no row in the audit trail: {silent}"
    assert len(changing) > 50


# Commands that write no row of the audit trail, and why.
SILENT_COMMANDS = {
    "list_accounts": "reads",
    "build": "works on files alone",
    "decrypt": "works on files alone",
    "expand": "works on files alone",
    "check": "works on files alone",
    "show_state": "reads",
    "export": "reads",
    "find": "reads",
    "create_batches": "does what was asked for; the rows name who asked",
    "rebuild_schedules_command": "makes events that follow from what is stored",
    "due_command": "reads",
    "tree_command": "works on files alone",
    "read_command": "makes rows that follow from what is stored",
    "send_command": "sends what follows from what is stored; the ledger names each message",
}


def test_every_command_that_changes_something_leaves_a_row():
    """PORTAL-290: a command acts as the command line, or is known to change nothing."""
    commands = [
        node
        for _, node in functions(REPOSITORY / "webapp" / "commands")
        if any("command" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]
    silent = {node.name for node in commands if "COMMAND_LINE" not in ast.unparse(node)}
    assert silent == set(SILENT_COMMANDS)


def test_every_action_is_written_somewhere():
    """An action that nothing writes is a promise that the audit trail does not keep."""
    sources = "\n".join(
        file.read_text() for folder in ("core", "webapp/commands") for file in (REPOSITORY / folder).rglob("*.py")
    )
    assert not [action.name for action in Action if f"Action.{action.name}" not in sources]
