"""`surveys check`: errors and warnings of a survey's content, without a database or server."""

import json
from pathlib import Path
from typing import Any

import click

from core.models.survey import SurveyType
from core.surveys.content import ContentRefused, decoded_content, decoded_settings
from core.surveys.rules.checking import Finding, Level
from core.surveys.rules.survey import check_survey
from webapp.commands.output import CommandGroup, fail

surveys_commands = CommandGroup("surveys", help="Look at surveys.")


@surveys_commands.command("check")
@click.option("--json", "_is_json", is_flag=True, help="No effect: the answer is always JSON.")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path, _is_json: bool) -> None:
    """Print the errors and warnings of the survey in FILE; exit status 1 if there is an error.

    FILE is JSON: the content of a tracking survey (a list), or a survey as in a settings file (an object), whose
    settings are checked too. The answer is a list of objects with question_id, level, kind and message.
    """
    try:
        given = json.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    except (ValueError, RecursionError):
        fail(f"{file}: not JSON")
    found = findings_of(given)
    click.echo(json.dumps([vars(finding) for finding in found]))
    if any(finding.level is Level.ERROR for finding in found):
        click.get_current_context().exit(1)


def findings_of(given: Any) -> list[Finding]:
    """The findings of what a file holds: the content of a tracking survey, or a whole survey (SURVEY-55)."""
    survey = given if isinstance(given, dict) else {"content": given}
    kind = survey.get("survey_type", SurveyType.TRACKING.value)
    if kind not in set(SurveyType):
        return [Finding("", "malformed", f"survey_type: {' or '.join(SurveyType)}.")]
    try:
        content = decoded_content(survey.get("content"), is_null_empty=isinstance(given, dict))
    except ContentRefused as refused:
        return [Finding("", "malformed", f"{refused}.")]
    try:
        settings = decoded_settings(survey.get("settings"), is_null_empty=True)
    except ContentRefused as refused:
        return [Finding("", "bad_settings", f"{refused}.")]
    return check_survey(SurveyType(kind), content, settings)
