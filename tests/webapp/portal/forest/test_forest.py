"""Forest in the portal: queued, run, looked at, downloaded, cancelled and repeated (PORTAL-250 to PORTAL-253)."""

import csv
import io
import zipfile
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.access import Role
from core.audit import COMMAND_LINE
from core.database import db
from core.downloads.statistics import FIELDS
from core.forest.nightly import queue_changed_days
from core.forest.run import run_task
from core.forest.tasks import claim_next, create_tasks
from core.models import Chunk, DataAccessRecord, ForestTask, Participant
from core.streams import DataStream
from core.studies.changing import set_forest
from tests.core.forest.test_tasks import add_chunks
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.sites import SECRET, TwoSites
from webapp.stores import object_store, settings

pytestmark = pytest.mark.usefixtures("quick_passwords")
PATIENT = "fv2abcde"


@pytest.fixture
def participant(factory: Factory) -> Participant:
    """One of a study with Forest, in New York, with the golden calls and texts."""
    participant = factory.participant(factory.study("Walks"), PATIENT)
    set_forest(db.session(), participant.study, True, actor=COMMAND_LINE)
    for stream in (DataStream.CALLS, DataStream.TEXTS):
        add_chunks(factory, participant, stream)
    return participant


@pytest.fixture
def head(app: Flask, factory: Factory, participant: Participant) -> Visitor:
    """A site administrator."""
    return Visitor(app, factory.researcher("head", is_site_admin=True))


def run_all() -> None:
    while (number := claim_next(db.engine, datetime.now(UTC))) is not None:
        run_task(db.engine, object_store(), settings(), number)
    db.session.rollback()
    db.session.expire_all()


def tasks_of(participant: Participant) -> list[ForestTask]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(sa.select(ForestTask).order_by(ForestTask.id)))


def lines_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


FORM = {"date_start": "2024-06-13", "date_end": "2024-06-15", "participant_patient_ids": PATIENT}


def test_queued_run_looked_at_downloaded_and_repeated(head: Visitor, participant: Participant) -> None:
    """FOREST-25, PORTAL-250, PORTAL-251, PORTAL-253: the whole life of a task over HTTP, with the real library."""
    at = f"/studies/{participant.study_id}/forest/tasks"
    assert "No analyses yet" in head.get(at).text
    assert "2024" not in head.get(f"{at}/create").text  # no summaries yet to choose days from
    assert head.post(f"{at}/create", **FORM, trees="willow").location == at
    (task,) = tasks_of(participant)
    page = head.get(at).text
    assert "Queued" in page and "1 task" in page
    version = page.partition("version=")[2].partition("&")[0].partition('"')[0]
    assert head.swap(f"{at}/state?page=1&version={version}").status_code == 204  # CLAR-7
    run_all()
    assert "Done" in head.swap(f"{at}/state?page=1&version={version}").text
    detail = head.get(f"{at}/{task.external_id}/about").text
    assert "3 days with measures" in detail and "beiwe-forest" in detail and "task_report" not in detail
    output = head.get(f"{at}/{task.external_id}/download_output")
    with zipfile.ZipFile(io.BytesIO(output.data)) as archive:
        assert sorted(archive.namelist()) == [f"daily/{PATIENT}.csv", "task_report.txt"]
    assert f"{PATIENT}_willow_2024-06-13_2024-06-15_output_" in output.headers["Content-Disposition"]
    data = head.get(f"{at}/{task.external_id}/download")
    with zipfile.ZipFile(io.BytesIO(data.data)) as archive:
        names = archive.namelist()
    assert len(names) == task.input_files and all(name.startswith(f"{PATIENT}/") for name in names)
    measures = lines_of(
        head.get(f"/studies/{participant.study_id}/download_participant_tree_data/{task.external_id}").text
    )
    assert measures[0][:3] == ["Date", "Incoming Text Count", "Incoming Text Degree"]
    assert [line[0] for line in measures[1:]] == ["2024-06-13", "2024-06-14", "2024-06-15"]
    summary = head.get(f"/studies/{participant.study_id}/download_summary_statistics_csv")
    assert "Data Volumes and Summary Statistics - Walks.csv" in summary.headers["Content-Disposition"]
    rows = lines_of(summary.text)
    assert rows[0][:5] == ["Date", "Participant Id", "Study Id", "Timezone", "Accelerometer Bytes"]
    assert len(rows[0]) == len(FIELDS) and len(rows) == 4
    log = lines_of(head.get(f"{at}/download").text)
    assert log[0][0] == "Created On" and log[1][3:7] == [str(task.external_id), "willow", "True", PATIENT]
    assert log[1][7].endswith("(EST)") or log[1][7].endswith("(EDT)")
    kinds = db.session.scalars(sa.select(DataAccessRecord.kind).order_by(DataAccessRecord.id)).all()
    assert kinds == ["statistics", "data", "statistics", "statistics", "list"]
    assert head.post(f"{at}/copy", external_id=str(task.external_id)).location == at
    again = tasks_of(participant)[1]
    assert head.post(f"{at}/{again.external_id}/cancel").location == at
    assert "The task was cancelled." in head.get(at).text
    head.post(f"{at}/{again.external_id}/cancel")
    assert "The task has ended already." in head.get(at).text
    assert [task.state for task in tasks_of(participant)] == ["success", "cancelled"]


def test_a_form_that_cannot_be_keeps_what_was_typed(head: Visitor, participant: Participant) -> None:
    """PORTAL-250: what is wrong stands beside its field."""
    at = f"/studies/{participant.study_id}/forest/tasks/create"
    wrong = {
        "Choose a day, such as 2030-01-31.": {"date_start": "x"},
        "The last day is before the first.": {"date_end": "2024-06-01"},
        "Choose at least one tree.": {"trees": "birch"},
        "nobody11 is not a participant of this study.": {"participant_patient_ids": "nobody11"},
    }
    for sentence, fields in wrong.items():
        answer = head.post(at, **{**FORM, "trees": "willow", **fields})
        assert answer.status_code == 200 and sentence in answer.text
        assert 'value="willow" checked' in answer.text or "birch" in fields.get("trees", "")
    assert tasks_of(participant) == []


def test_pages_and_filters_of_the_log(head: Visitor, participant: Participant, factory: Factory) -> None:
    """PORTAL-251: 50 a page; a page that is no number or beyond is 400; filters are over all tasks."""
    at, study = f"/studies/{participant.study_id}/forest/tasks", participant.study
    other = factory.participant(study, "other111")
    for person, count in ((participant, 51), (other, 1)):
        for _ in range(count):
            create_tasks(
                db.session(),
                study,
                [person.patient_id],
                ["oak"],
                date(2024, 6, 1),
                date(2024, 6, 2),
                actor=COMMAND_LINE,
            )
    db.session.commit()
    assert "Page 1 of 2" in head.get(at).text
    assert [head.get(f"{at}?page={number}").status_code for number in ("2", "3", "0", "x", "-1")] == [
        200,
        400,
        400,
        400,
        400,
    ]
    found = head.get(f"{at}?patient=OTHER").text
    assert "1 task<" in found and PATIENT not in found
    assert "Nothing matches" in head.get(f"{at}?state=error").text


def test_only_where_forest_is_on_and_for_tasks_of_the_study(
    head: Visitor, participant: Participant, factory: Factory
) -> None:
    """PERM-52, PORTAL-252: the switch; tasks of other studies are not there; the log's CSV is."""
    (task,) = create_tasks(
        db.session(), participant.study, [PATIENT], ["oak"], date(2024, 6, 1), date(2024, 6, 2), actor=COMMAND_LINE
    )
    other = factory.study()
    set_forest(db.session(), other, True, actor=COMMAND_LINE)
    db.session.commit()
    elsewhere = f"/studies/{other.id}/forest/tasks/{task.external_id}"
    assert [head.get(f"{elsewhere}{end}").status_code for end in ("/about", "/download", "/download_output")] == [
        404
    ] * 3
    assert head.post(f"{elsewhere}/cancel").status_code == 404
    assert head.post(f"/studies/{other.id}/forest/tasks/copy", external_id=str(task.external_id)).status_code == 404
    edit = f"/toggle_study_forest_enabled/{participant.study_id}"
    head.post(edit, wanted="off")
    at = f"/studies/{participant.study_id}/forest/tasks"
    assert [head.get(page).status_code for page in (at, f"{at}/create", f"{at}/download")] == [404, 404, 200]
    assert "Forest is switched off in this study" in head.get(at).text and "To the switch" in head.get(at).text
    assert f'href="{at}"' not in head.get(f"/view_study/{participant.study_id}").text
    head.post(edit, wanted="on")
    assert f'href="{at}"' in head.get(f"/view_study/{participant.study_id}").text


def test_who_is_limited_to_a_site_sees_no_task_of_others(app: Flask, factory: Factory) -> None:
    """PERM-95."""
    sites = TwoSites(factory)
    sites.fill_the_others()
    set_forest(db.session(), sites.study, True, actor=COMMAND_LINE)
    person = sites.limited(Role.STUDY_ANALYST)
    visitor = Visitor(app, person)
    at = f"/studies/{sites.study.id}/forest/tasks"
    page = visitor.get(at).text
    assert "north111" in page and not SECRET.search(page)
    summary = visitor.get(f"/studies/{sites.study.id}/download_summary_statistics_csv").text
    assert "north111" in summary and not SECRET.search(summary)
    hidden = db.session.scalars(sa.select(ForestTask).where(ForestTask.participant_id == sites.south[0].id)).first()
    assert hidden is not None
    assert visitor.get(f"{at}/{hidden.external_id}/about").status_code == 404


def test_nights_are_switched_on_and_say_what_they_did(
    app: Flask, head: Visitor, participant: Participant, factory: Factory
) -> None:
    """CLAR-81: site administrators switch them; readers of the log see what ran, failed and waits."""
    path = f"/studies/{participant.study_id}/forest/nightly"
    assert "What will it compute?" in head.get(path).text
    page = head.get(f"{path}?coming=1").text
    assert "Nightly analyses are off." in page and "Switch on" in page and "Willow" in page
    reader = Visitor(app, factory.researcher("reader", study=participant.study, role=Role.STUDY_RESEARCHER))
    assert "Switch on" not in reader.get(path).text
    assert reader.post(path, nightly="on").status_code == 403
    assert head.post(path, nightly="on").status_code == 302
    assert "Switch off" in head.get(path).text
    db.session.rollback()
    db.session.execute(sa.update(Chunk).values(updated_at=datetime.now(UTC) - timedelta(hours=2)))
    assert queue_changed_days(db.session(), participant.study, datetime.now(UTC), window_days=30) == 1
    db.session.commit()
    run_all()
    page = reader.get(f"{path}?coming=1").text
    assert "Measures of" in page and "Jasmine: who is missing" in page
    assert "days computed" in page and "Nothing has changed since the last night" in page
    (task,) = tasks_of(participant)
    assert (task.is_nightly, task.state, task.days) == (True, "success", ["2024-06-13", "2024-06-14", "2024-06-15"])
