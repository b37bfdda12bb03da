"""Output of commands: JSON or text on standard output, and one line on standard error for an error."""

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
    """Prints an object, or each object of a list, as one line of `name: value` pairs; with `is_json`, prints JSON."""
    if is_json:
        click.echo(json.dumps(value))
        return
    for row in value if isinstance(value, list) else [value]:
        click.echo("  ".join(f"{name}: {text}" for name, text in row.items()))


def fail(message: str) -> NoReturn:
    """Prints the message on standard error and ends the command with exit status 1 (raises SystemExit)."""
    click.echo(f"Error: {message}", err=True)
    raise SystemExit(1)


@contextmanager
def one_line() -> Iterator[None]:
    """Turns invalid options, a wrong clock and a database that cannot be used into one line and exit status 1."""
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
    """A command group whose commands report an error in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        with one_line():
            return super().invoke(ctx)


class OneLineCommand(click.Command):
    """A command outside any group that reports an error in one line."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        with one_line():
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with one_line():
            return super().invoke(ctx)
