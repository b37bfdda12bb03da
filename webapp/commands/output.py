"""How commands answer: JSON or lines on standard output, one clear line on standard error when something is wrong."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from flask.cli import AppGroup
from sqlalchemy.exc import OperationalError, ProgrammingError

from core.clock import ClockLooksWrong

UNDEFINED_TABLE = "42P01"
as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


def show(value: Any, *, is_json: bool) -> None:
    """Prints an object as `name: value` lines, a list of objects as one line each, or all of it as JSON."""
    if is_json:
        click.echo(json.dumps(value))
        return
    for row in value if isinstance(value, list) else [value]:
        click.echo("  ".join(f"{name}: {text}" for name, text in row.items()))


def fail(message: str) -> NoReturn:
    """Ends the command with status 1 and this line."""
    click.echo(f"Error: {message}", err=True)
    raise SystemExit(1)


@contextmanager
def one_line() -> Iterator[None]:
    """Turns what can go wrong with a command's options, or with the database, into one line and exit status 1."""
    try:
        yield
    except click.UsageError as error:
        fail(error.format_message())
    except ClockLooksWrong as error:
        fail(str(error))
    except OperationalError as error:
        fail(f"the database does not answer: {str(error.orig).strip().splitlines()[0]}")
    except ProgrammingError as error:
        if getattr(error.orig, "pgcode", None) != UNDEFINED_TABLE:
            raise
        fail("the database has no tables yet; `flask --app webapp db upgrade` makes them")


class CommandGroup(AppGroup):
    """A group whose commands say in one line what is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        with one_line():
            return super().invoke(ctx)


class OneLineCommand(click.Command):
    """A command outside any group that says in one line what is wrong."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        with one_line():
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with one_line():
            return super().invoke(ctx)
