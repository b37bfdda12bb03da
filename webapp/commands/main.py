"""The console script `beiwe`: our management commands and Flask's own (`run`, `routes`, `db`), from any folder."""

from flask.cli import FlaskGroup

from webapp import create_app


def main() -> None:
    """Runs the command that the arguments name."""
    FlaskGroup(create_app=lambda: create_app(), add_version_option=False, load_dotenv=False).main(prog_name="beiwe")
