"""How commands answer: JSON or lines on standard output, one clear line on standard error when something is wrong."""

import json
from typing import Any, NoReturn

import click
from flask.cli import AppGroup
from sqlalchemy.exc import OperationalError, ProgrammingError

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


class CommandGroup(AppGroup):
    """A group whose commands say in one line what is wrong: with their options, or with the database."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            fail(error.format_message())
        except OperationalError as error:
            fail(f"the database does not answer: {str(error.orig).strip().splitlines()[0]}")
        except ProgrammingError as error:
            if getattr(error.orig, "pgcode", None) != UNDEFINED_TABLE:
                raise
            fail("the database has no tables yet; `flask --app webapp db upgrade` makes them")
