"""`downtime`: the switch that makes the server answer 503 during maintenance (OPS-30)."""

from core.audit import COMMAND_LINE
from core.database import db
from core.models import SwitchName
from core.operations.switches import switch_of, turn_off, turn_on
from webapp.commands.output import CommandGroup, as_json, show

downtime_commands = CommandGroup("downtime", help="Answer 503 during maintenance; phones keep their data.")


@downtime_commands.command("on")
@as_json
def on(is_json: bool) -> None:
    """Turn downtime on. Every process answers 503 within a minute."""
    turn_on(db.session(), SwitchName.DOWNTIME, actor=COMMAND_LINE)
    db.session.commit()
    _show(is_json)


@downtime_commands.command("off")
@as_json
def off(is_json: bool) -> None:
    """Turn downtime off."""
    turn_off(db.session(), SwitchName.DOWNTIME, actor=COMMAND_LINE)
    db.session.commit()
    _show(is_json)


@downtime_commands.command("show")
@as_json
def show_state(is_json: bool) -> None:
    """Show whether downtime is on, since when, and who turned it on."""
    _show(is_json)


def _show(is_json: bool) -> None:
    switch = switch_of(db.session(), SwitchName.DOWNTIME)
    since = switch and switch.turned_on_at.isoformat(timespec="seconds")
    show({"downtime": "on" if switch else "off", "since": since, "by": switch and switch.turned_on_by}, is_json=is_json)
