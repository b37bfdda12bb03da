"""`scores compute`: scores of all submissions anew, with or without a Prefect server."""

from dataclasses import asdict

import click
import sqlalchemy as sa
from flask.cli import with_appcontext

from core.answers.scores import recompute_score, scores_of_survey
from core.answers.scoring import compute_open_runs
from core.audit import COMMAND_LINE
from core.database import db
from core.models import Survey
from webapp.commands.output import CommandGroup, as_json, fail, show

scores_commands = CommandGroup("scores", help="Compute scores of surveys.")


@scores_commands.command("compute")
@click.option("--survey", "object_id", help="All scores of this survey anew; without it, those that were changed.")
@as_json
@with_appcontext
def compute_command(object_id: str | None, is_json: bool) -> None:
    """Compute scores anew. It can be stopped and run again."""
    session = db.session()
    survey_id = None
    if object_id:
        survey = session.scalar(sa.select(Survey).where(Survey.object_id == object_id))
        if survey is None:
            fail(f"{object_id}: there is no survey with that id")
        survey_id = survey.id
        for score in scores_of_survey(session, survey.id):
            if not score.waiting_runs:
                recompute_score(session, survey, score.id, actor=COMMAND_LINE)
        session.commit()
    show([asdict(one) for one in compute_open_runs(session, survey_id)], is_json=is_json)
