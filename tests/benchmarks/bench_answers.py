"""Answers of a large study: `python -m tests.benchmarks.bench_answers`.

Prints one JSON line each for: the questions of a survey's answers page with 1,000 participants and 180 days of a
survey of ten questions (milliseconds, all of them together, the best of five), for everybody and for somebody limited
to a site of a third of them; the pages themselves over HTTP (milliseconds, median and best of twenty, and KB); scoring
of 100,000 submissions again, and writing them as a file of each form (seconds, growth of memory in MB); and processing
of 500 files of answers of one participant, as it is and without reading them (files a second). Raises if a page of
rates takes longer than 200 ms, or scoring needs memory for all.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
import urllib3
from sqlalchemy.orm import Session

from core.access import Role, SiteLimit
from core.accounts import create_researcher, new_password
from core.accounts.roles import set_role
from core.answers.codebook import codebook
from core.answers.distributions import distribution
from core.answers.exporting import Exported, Form, Layout, export_answers
from core.answers.exporting.rows import Wanted
from core.answers.rates import response_rates
from core.answers.scores import recompute_score, save_score
from core.answers.scoring import RunProgress, compute_open_runs
from core.answers.submitted import submissions_of
from core.audit import SERVER
from core.database import db
from core.limits import limit_session
from core.models import CustomField, FieldValue, Participant, Study, Survey, SurveyType
from core.models.participant import participant_with_study
from core.participants import create_participants
from core.processing import batch
from core.streams import Platform
from core.studies import create_study
from core.surveys.saving import SurveyChanges, add_survey
from tests.benchmarks.bench_beside import cookie_of
from tests.benchmarks.measure import best_seconds, growth_mb, report
from tests.benchmarks.serving import BenchServer, serving
from tests.support.answering import file_of, process, submits
from webapp.stores import sealed_store

NOW = datetime(2024, 6, 3, 12, tzinfo=UTC)
PARTICIPANTS, DAYS, QUESTIONS, OPTIONS = 1_000, 180, 10, 4
MOST_MS, MOST_GROWTH_MB, FILES = 200, 150, 500
SITE = "North"
CONTENT = [
    {
        "question_id": f"item {n}",
        "question_type": "radio_button",
        "question_text": f"Question {n}?",
        "answers": [{"text": text} for text in ("never", "some days", "more than half", "nearly every day")],
    }
    for n in range(QUESTIONS)
]
# An event on each day; four of five are answered, one in twenty late.
_EVENTS = """
    INSERT INTO submissions (path, participant_id, survey_id, survey_version_id, submitted_at, received_at, is_new,
        standing, answered)
    SELECT p.id || ' ' || d, p.id, :survey, v.id, at, at, false, CASE WHEN d % 20 = 1 THEN 'late' ELSE 'answered' END,
        :questions
    FROM participants AS p, survey_versions AS v, generate_series(0, :days - 1) AS d,
        LATERAL (SELECT CAST(:now AS timestamptz) - d * interval '1 day' + (d * 7 + p.id) % 600 * interval '1 minute'
            + CASE WHEN d % 20 = 1 THEN interval '1 day' ELSE interval '0' END AS at) AS moment
    WHERE v.survey_id = :survey AND d % 5 > 0;
    INSERT INTO counted_events (participant_id, survey_id, scheduled_at, counts_at, expires_at, on_day, outcome,
        opened_at, answered_at, submission_id)
    SELECT p.id, :survey, at, at, at + interval '1 day', CAST(at AS date), coalesce(s.standing, 'missed'),
        s.submitted_at, s.submitted_at, s.id
    FROM participants AS p CROSS JOIN generate_series(0, :days - 1) AS d
    CROSS JOIN LATERAL (SELECT CAST(:now AS timestamptz) - d * interval '1 day' AS at) AS moment
    LEFT JOIN submissions AS s ON s.path = p.id || ' ' || d
"""
_ANSWERS = """
    INSERT INTO submitted_answers (submission_id, place, participant_id, wording_id, state, choices)
    SELECT s.id, w.number - 1, s.participant_id, w.id,
        CASE WHEN (s.id + w.number) % 11 = 0 THEN 'skipped' ELSE 'answered' END,
        CASE WHEN (s.id + w.number) % 11 > 0 THEN ARRAY[CAST((s.id * w.number) % :options AS smallint)] END
    FROM submissions AS s JOIN question_wordings AS w ON w.survey_id = s.survey_id;
    INSERT INTO answer_tallies (wording_id, participant_id, tallied, value, count)
    SELECT wording_id, participant_id, state, 0, count(*) FROM submitted_answers GROUP BY 1, 2, 3
    UNION ALL
    SELECT wording_id, participant_id, 'choice', choices[1], count(*) FROM submitted_answers
    WHERE choices IS NOT NULL GROUP BY 1, 2, 4
"""


def main() -> None:
    """Runs the benchmark."""
    with serving() as server:
        survey, limit = make_study()
        measure_page("answers_page", survey.id, lambda: Session(db.engine))

        def limited() -> Session:
            session = Session(db.engine)
            limit_session(session, {survey.study_id: limit})
            return session

        measure_page("answers_page_of_a_site", survey.id, limited)
        measure_http(server, survey, limit)
        measure_scores(survey)
        measure_exports(survey)
        measure_processing(survey)


def measure_http(server: BenchServer, survey: Survey, limit: SiteLimit) -> None:
    """The pages of a signed-in researcher, then those of one who is limited to the site."""
    session, password = db.session(), new_password()
    known = {"is_site_admin": False, "must_change_password": False, "actor": SERVER}
    researcher = create_researcher(session, "viewer", password, **known)
    study = session.get_one(Study, survey.study_id)
    session.flush()
    set_role(session, study, researcher, Role.STUDY_RESEARCHER, actor=SERVER)
    session.commit()
    headers = {"Cookie": cookie_of(server, password), "Accept": "text/html"}
    of_site = sa.select(Participant.patient_id).where(Participant.study_id == study.id, Participant.id % 3 == 0)
    person = session.scalar(of_site.limit(1))
    of_survey = f"{server.address}/view_study/{study.id}/survey/{survey.id}/answers"
    pages = {
        "rates": of_survey,
        "rates_by_day": f"{of_survey}?by=day",
        "rates_of_90_days": f"{of_survey}?first={NOW - timedelta(days=90):%Y-%m-%d}",
        "questions": f"{of_survey}/questions",
        "questions_of_30_days": f"{of_survey}/questions?first={NOW - timedelta(days=30):%Y-%m-%d}",
        "submissions": f"{of_survey}/submissions",
        "codebook": f"{of_survey}/codebook",
        "person": f"{server.address}/view_study/{study.id}/participant/{person}/answers",
        "surveys": f"{server.address}/view_study/{study.id}/surveys",
    }
    for who in ("everybody", "a_site"):
        for name, address in pages.items():
            measure_one(f"http_{name}_of_{who}", address, headers, is_limited=name.startswith("rates"))
        set_role(session, study, researcher, Role.STUDY_RESEARCHER, limit=limit, actor=SERVER)
        session.commit()


def measure_one(name: str, address: str, headers: dict[str, str], *, is_limited: bool) -> None:
    """One line: the whole answer over HTTP, the median and the best of twenty."""
    times = []
    for _ in range(20):
        began = time.perf_counter()
        answer = urllib3.request("GET", address, headers=headers, redirect=False)
        times.append(1000 * (time.perf_counter() - began))
        assert answer.status == 200, (name, answer.status)
    median = sorted(times)[len(times) // 2]
    report(name, page_ms=median, best_ms=min(times), kilobytes=len(answer.data) / 1000)
    assert not is_limited or min(times) < MOST_MS, (name, times)


def measure_scores(survey: Survey) -> None:
    """Scores all submissions, twice: the second time changes nothing."""
    items = [{"question_id": question["question_id"]} for question in CONTENT]
    definition = {"combination": "sum", "items": items, "least_answered": 7}
    session = db.session()
    score = save_score(session, survey, None, name="Total", variable="total", definition=definition, actor=SERVER)
    session.commit()
    for what in ("first", "again"):
        done: list[RunProgress] = []
        began = time.perf_counter()
        grown = growth_mb(lambda done=done: done.extend(compute_open_runs(session)))
        seconds = time.perf_counter() - began
        many = done[0].submissions
        per = 100_000 * seconds / many
        report(f"scores_{what}", submissions=many, seconds_per_100_000=per, changed=done[0].changed, memory_mb=grown)
        assert grown < MOST_GROWTH_MB, grown
        recompute_score(session, survey, score.id, actor=SERVER)
        session.commit()


def measure_exports(survey: Survey) -> None:
    """Wide files of an eighth of the time, and a long file of a million rows."""
    with TemporaryDirectory() as folder:
        for form in Form:
            wanted = Wanted(survey.id, since=NOW - timedelta(days=DAYS // 8), with_test=True)
            measure_export(survey, wanted, form, Layout.WIDE, Path(folder))
        measure_export(survey, Wanted(survey.id, with_test=True), Form.PARQUET, Layout.LONG, Path(folder))


def measure_export(survey: Survey, wanted: Wanted, form: Form, layout: Layout, folder: Path) -> None:
    done: list[Exported] = []
    began = time.perf_counter()
    file = folder / f"x.{form.value}"
    grown = growth_mb(lambda: done.append(export_answers(db.session(), survey, wanted, form, layout, file)))
    seconds = time.perf_counter() - began
    report(f"export_{layout.value}_{form.value}", rows=done[0].rows, seconds=seconds, memory_mb=grown)


def measure_processing(survey: Survey) -> None:
    """Files of answers of one participant, and the same in a survey that nobody knows, which are not parsed."""
    session = db.session()
    study = session.get_one(Study, survey.study_id)
    (made,) = create_participants(session, sealed_store(study), study, 1, actor=SERVER)
    session.commit()
    participant = participant_with_study(session, made.patient_id)
    assert participant is not None
    participant.os_type = Platform.ANDROID.value
    session.commit()
    given = {str(question["question_id"]): n % OPTIONS for n, question in enumerate(CONTENT)}
    contents = file_of(given, Platform.ANDROID, CONTENT)
    figures = {}
    for name, reading in (("without_answers", False), ("with_answers", True)):
        for n in range(FILES):
            submits(participant, survey, NOW - timedelta(minutes=n + reading * FILES), contents)
        with nullcontext() if reading else unread():
            began = time.perf_counter()
            process()
            figures[f"{name}_files_per_s"] = FILES / (time.perf_counter() - began)
    report("answers_processing", files=FILES, **figures)


@contextmanager
def unread() -> Iterator[None]:
    """Processing as it was before answers were read."""
    kept = batch.read_answer_files
    batch.read_answer_files = lambda *_: []  # type: ignore[assignment]
    yield
    batch.read_answer_files = kept


def measure_page(name: str, survey_id: int, open_session: Callable[[], Session]) -> None:
    """All questions of the page together, and each alone."""
    questions: dict[str, Callable[[Session], object]] = {
        "rates_ms": lambda s: response_rates(s, survey_id),
        "distribution_ms": lambda s: distribution(s, survey_id),
        "codebook_ms": lambda s: codebook(s, survey_id),
        "newest_ms": lambda s: submissions_of(s, survey_id, limit=50),
    }

    def ask(names: list[str]) -> None:
        with open_session() as session:
            for each in names:
                questions[each](session)

    figures = {each: 1000 * best_seconds(lambda each=each: ask([each]), 5) for each in questions}
    whole = 1000 * best_seconds(lambda: ask([*questions]), 5)
    report(name, participants=PARTICIPANTS, days=DAYS, page_ms=whole, **figures)
    assert whole < MOST_MS, whole


def make_study() -> tuple[Survey, SiteLimit]:
    """A study with answers of all its participants, a third of them of a site."""
    session = db.session()
    study: Study = create_study(session, "Answers", timezone_name="UTC", actor=SERVER)
    session.flush()
    changes = SurveyChanges(content=json.dumps(CONTENT))
    survey = add_survey(session, study, SurveyType.TRACKING, changes, NOW - timedelta(days=365), actor=SERVER)
    field = CustomField(study_id=study.id, name="Site")
    session.add(field)
    session.flush()
    people = [
        {"patient_id": f"z{n:06}".replace("0", "z"), "study_id": study.id, "password_hash": "x", "is_test": n % 50 == 0}
        for n in range(PARTICIPANTS)
    ]
    ids = session.scalars(sa.insert(Participant).returning(Participant.id), people).all()
    session.execute(
        sa.insert(FieldValue), [{"participant_id": n, "field_id": field.id, "value": SITE} for n in ids if n % 3 == 0]
    )
    given = {"survey": survey.id, "days": DAYS, "now": NOW, "questions": QUESTIONS, "options": OPTIONS}
    began = time.perf_counter()
    for statement in (_EVENTS + ";" + _ANSWERS).split(";"):
        session.execute(sa.text(statement), given)
    session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    report("answers_filled", seconds=time.perf_counter() - began)
    return survey, SiteLimit(field.id, (SITE,))


if __name__ == "__main__":
    main()
