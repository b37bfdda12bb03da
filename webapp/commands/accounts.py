"""`admin` and `api-key`: accounts of researchers, and the API keys of their programs."""

import click
from sqlalchemy.exc import IntegrityError

from core.accounts import create_api_key, create_researcher, new_password
from core.accounts.api_keys import disable_api_key
from core.accounts.changing import reset_researchers_password, set_enabled, set_site_admin
from core.accounts.second_factor import clear_second_factor
from core.audit import COMMAND_LINE
from core.database import db
from core.models import Researcher
from core.models.researcher import researcher_by_username
from webapp.commands.output import CommandGroup, as_json, fail, show

admin_commands = CommandGroup("admin", help="Accounts of researchers.")
api_key_commands = CommandGroup("api-key", help="Keys of researchers' programs.")


@admin_commands.command("create")
@click.option("--username", required=True)
@click.option("--password", help="A one-time password is made when none is given.")
@click.option("--site-admin", is_flag=True)
@as_json
def create(username: str, password: str | None, site_admin: bool, is_json: bool) -> None:
    """Create an account; its password must be changed at the first sign-in."""
    password = password or new_password()
    try:
        create_researcher(db.session(), username, password, is_site_admin=site_admin, actor=COMMAND_LINE)
        db.session.commit()
    except ValueError as error:
        fail(str(error))
    except IntegrityError:
        db.session.rollback()
        fail(f"the name {username} is taken")
    show({"username": username, "password": password}, is_json=is_json)


@admin_commands.command("update")
@click.option("--username", required=True)
@click.option("--reset-password", is_flag=True, help="Make a one-time password and end all sessions.")
@click.option("--reset-mfa", is_flag=True, help="Remove app, passkeys and recovery codes, and end all sessions.")
@click.option("--enable/--disable", "is_enabled", default=None)
@click.option("--site-admin/--no-site-admin", "is_site_admin", default=None)
@as_json
def update(
    username: str,
    reset_password: bool,
    reset_mfa: bool,
    is_enabled: bool | None,
    is_site_admin: bool | None,
    is_json: bool,
) -> None:
    """Change an account."""
    researcher = _researcher(username)
    answer = {"username": username}
    if reset_password:
        answer["password"] = reset_researchers_password(db.session(), researcher, actor=COMMAND_LINE)
    if reset_mfa:
        clear_second_factor(db.session(), researcher, actor=COMMAND_LINE)
    if is_enabled is not None:
        set_enabled(db.session(), researcher, is_enabled, actor=COMMAND_LINE)
    if is_site_admin is not None:
        set_site_admin(db.session(), researcher, is_site_admin, actor=COMMAND_LINE)
    db.session.commit()
    show(answer, is_json=is_json)


@admin_commands.command("list")
@as_json
def list_accounts(is_json: bool) -> None:
    """List all accounts."""
    query = db.select(Researcher).order_by(Researcher.username)
    accounts = [
        {"username": r.username, "is_site_admin": r.is_site_admin, "is_disabled": r.is_disabled}
        for r in db.session.scalars(query)
    ]
    show(accounts, is_json=is_json)


@api_key_commands.command("create")
@click.option("--username", required=True)
@click.option("--name", default="", help="What the key is for.")
@as_json
def create_key(username: str, name: str, is_json: bool) -> None:
    """Create a key; the secret is shown once."""
    access_key, secret_key = create_api_key(db.session(), _researcher(username), name, actor=COMMAND_LINE)
    db.session.commit()
    show({"access_key": access_key, "secret_key": secret_key}, is_json=is_json)


@api_key_commands.command("disable")
@click.argument("access_key")
@as_json
def disable_key(access_key: str, is_json: bool) -> None:
    """Disable a key; it stops working at once."""
    if not disable_api_key(db.session(), access_key, actor=COMMAND_LINE):
        fail("there is no such access key")
    db.session.commit()
    show({"access_key": access_key, "is_active": False}, is_json=is_json)


def _researcher(username: str) -> Researcher:
    researcher = researcher_by_username(db.session(), username)
    if researcher is None:
        fail(f"there is no account named {username}")
    return researcher
