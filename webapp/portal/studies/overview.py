"""A study's page: how it is doing, and its CONSORT counts (PORTAL-73, CLAR-40)."""

from flask import Response, g, render_template, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.database import db
from core.participants.table_file import csv_text
from core.studies.consort import consort_counts
from core.studies.figures import study_figures
from core.studies.overview import answers_lately, changes_lately, problems_lately, uploads_by_day
from webapp.attachments import attach
from webapp.portal.access.rules import requires
from webapp.portal.frame.audit_words import words_of_change
from webapp.portal.frame.navigation import can
from webapp.portal.frame.pages import fragment_or_redirect
from webapp.portal.studies.section import studies

OF = "/view_study/<number:study_number>"


@studies.get(OF)
@requires(Capability.STUDY_VIEW, is_return_page=True)
def overview(study_number: int) -> ResponseReturnValue:
    """How the study is doing."""
    days = uploads_by_day(db.session(), g.study, g.now)
    return render_template(
        "portal/studies/overview.html",
        figures=study_figures(db.session(), study_number, g.now),
        days=days,
        most=max((day.files for day in days), default=0) or 1,
        answers=answers_lately(db.session(), g.study, g.now),
        problems=problems_lately(db.session(), study_number, g.now),
        consort=consort_counts(db.session(), study_number),
        changes=changes_lately(db.session(), g.study) if can("audit.study") else [],
        words_of_change=words_of_change,
    )


@studies.get(f"{OF}/figures")
@requires(Capability.STUDY_VIEW, is_polled=True)
def overview_figures(study_number: int) -> ResponseReturnValue:
    """The figures alone; the page asks for them again and again."""
    return fragment_or_redirect(
        "portal/parts/_study_figures.html",
        url_for("studies.overview", study_number=study_number),
        figures=study_figures(db.session(), study_number, g.now),
    )


@studies.get(f"{OF}/consort.csv")
@requires(Capability.STUDY_EXPORT)
def consort_file(study_number: int) -> ResponseReturnValue:
    """The CONSORT counts as a CSV file."""
    rows = consort_counts(db.session(), study_number).rows()
    text = csv_text([("step", "participants"), *((step, str(count)) for step, count in rows)])
    response = Response(text, content_type="text/csv; charset=utf-8")
    attach(response, f"consort - {g.study.name}.csv")
    return response
