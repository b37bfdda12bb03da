"""The pages of the logs, for a study and for the site (PORTAL-290, CLAR-20)."""

import csv
import io
import re
from datetime import UTC, datetime

import pytest
from flask import Flask

from core.access import Role
from core.audit import actor_of, record
from core.database import db
from core.models import AuditRecord, CustomField, DataAccessRecord, Researcher, SignInOutcome, SignInRecord, Study
from core.models.audit_record import Action
from core.participants.editing import edit_many
from core.participants.table_file import HARMLESS
from core.studies.changing import hide_study, rename_study, set_security, set_timezone
from core.studies.interventions import create_intervention
from core.studies.settings_changes import save_app_settings
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.this_hour import this_hour
from webapp.portal.frame.audit_words import WORDS, actions_by_subject

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep", timezone_name="Europe/Berlin")


@pytest.fixture
def ada(factory: Factory, study: Study) -> Researcher:
    return factory.researcher("ada", study=study, role=Role.STUDY_ADMIN)


@pytest.fixture
def visitor(app: Flask, ada: Researcher) -> Visitor:
    return Visitor(app, ada)


@pytest.fixture
def site(app: Flask, factory: Factory) -> Visitor:
    return Visitor(app, factory.researcher("root", is_site_admin=True))


def text_of(page: str) -> str:
    """The main part of the page as plain text, with single spaces."""
    main = page.partition("<main")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", main)).replace("&#39;", "'")


def lines(answer_text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer_text)))


def test_rows_are_told_in_words_with_values_before_and_after(visitor: Visitor, study: Study, ada: Researcher):
    """PORTAL-290: in the study's zone, UTC on hover."""
    now = this_hour()
    actor, session = actor_of(ada), db.session()
    set_timezone(session, study, "Asia/Tokyo", now, actor=actor)
    set_security(session, study, 12, 90, actor=actor)
    save_app_settings(session, study, {"gps": False, "about_page_text": "Confidential"}, now, actor=actor)
    create_intervention(session, study, "<b>Visit</b>", actor=actor)
    session.commit()
    page = visitor.get(f"/view_study/{study.id}/audit").text
    text = text_of(page)
    assert "ada changed the time zone Europe/Berlin → Asia/Tokyo" in text
    assert "Least length of passwords: 8 → 12" in text and "Days until passwords expire: never → 90" in text
    assert "GPS: on → off" in text and "About page: new text" in text and "Confidential" not in page
    assert "added an intervention &lt;b&gt;Visit&lt;/b&gt;" in text
    assert " UTC" in page.partition('<ol class="log">')[2] and "server created the study" in text


def test_a_change_of_many_is_one_row_that_leads_to_each_participant(
    visitor: Visitor, factory: Factory, study: Study, ada: Researcher
):
    """PORTAL-290, CLAR-25."""
    field = CustomField(study_id=study.id, name="Site")
    db.session.add(field)
    db.session.flush()
    people = [factory.participant(study, patient_id) for patient_id in ("aaaa1111", "bbbb2222")]
    edits = {person.id: {f"field:{field.id}": "Boston"} for person in people}
    edit_many(db.session(), study, edits, "Set Site", this_hour(), actor=actor_of(ada))
    db.session.commit()
    page = visitor.get(f"/view_study/{study.id}/audit").text
    assert "edited many participants 2 participants" in text_of(page) and "aaaa1111" not in page
    link = re.search(r'href="([^"]+part_of=\d+)"', page)
    assert link
    parts = visitor.get(link.group(1)).text
    assert "The participants of one change: ada edited many participants" in text_of(parts)
    assert "ada edited fields of aaaa1111 Site" in text_of(parts) and "bbbb2222" in parts and "Boston" not in parts
    of_one = text_of(visitor.get(f"/view_study/{study.id}/audit?participant=%20AAAA1111").text)
    assert "edited fields of aaaa1111" in of_one and "bbbb2222" not in of_one
    file = lines(visitor.get(f"/view_study/{study.id}/audit/changes.csv").text)
    assert {"aaaa1111", "bbbb2222"} <= {line["Participant"] for line in file}


def test_filters_have_an_address_and_keep_what_was_typed(visitor: Visitor, study: Study, ada: Researcher):
    """PORTAL-290, PORTAL-5: wrong ones are told beside the field, and list nothing."""
    rename_study(db.session(), study, "Sleep well", actor=actor_of(ada))
    db.session.commit()
    address = f"/view_study/{study.id}/audit"
    assert "renamed the study" in text_of(visitor.get(f"{address}?person=ada&action=study.rename").text)
    none = visitor.get(f"{address}?person=nobody&action=study.rename&since=2026-01-01&until=2999-01-01").text
    assert "Nothing matches" in none and '<option selected value="nobody">' in none and 'value="2026-01-01"' in none
    for query, told in (
        ("since=x", "A date like 2030-01-31."),
        ("since=0001-01-01", "A date like 2030-01-31."),
        ("until=9999-12-31", "A date like 2030-01-31."),
        ("since=2026-02-02&until=2026-02-01", "Not before the first day."),
    ):
        wrong = visitor.get(f"{address}?{query}")
        assert wrong.status_code == 422 and told in wrong.text and "Nothing is listed" in wrong.text, query
        assert visitor.get(f"{address}/changes.csv?{query}").status_code == 400
    for odd in ("before=x", "after=" + "9" * 30, "part_of=-1", "before=99999999", "action=nonsense", "person=%F0%9F"):
        assert visitor.get(f"{address}?{odd}").status_code == 200, odd


def test_days_are_those_of_the_study(visitor: Visitor, study: Study, ada: Researcher):
    """PORTAL-10: 23:30 UTC is the next day in Berlin."""
    row = record(db.session(), actor_of(ada), Action.STUDY_STOP, study=study)
    row.at = datetime(2026, 1, 1, 23, 30, tzinfo=UTC)
    db.session.commit()
    address = f"/view_study/{study.id}/audit?since=2026-01-02&until=2026-01-02"
    page = visitor.get(address).text
    assert "2 Jan 2026, 00:30" in page and "2026-01-01 23:30:00 UTC" in page
    assert "Nothing matches" in visitor.get(address.replace("01-02", "01-01")).text


def test_rows_of_other_studies_are_never_shown(visitor: Visitor, factory: Factory, study: Study, ada: Researcher):
    """PERM-19: whatever the address names."""
    other = factory.study("Other")
    row = record(db.session(), actor_of(ada), Action.STUDY_RENAME, study=other, before="Secret", after="Other")
    db.session.commit()
    for query in ("", f"?study={other.id}", f"?part_of={row.id}", f"?before={row.id + 1}", "?participant=nobody11"):
        for tab in ("", "/changes.csv", "/access", "/access.csv"):
            text = visitor.get(f"/view_study/{study.id}/audit{tab}{query}").text
            assert "Secret" not in text and other.object_id not in text, (query, tab)
    assert visitor.get("/audit").status_code == 403


def test_the_site_sees_all_studies_also_hidden_ones(site: Visitor, factory: Factory, study: Study, ada: Researcher):
    """PORTAL-290, PERM-50: a hidden study is named without a link."""
    hide_study(db.session(), study, this_hour(), actor=actor_of(ada))
    factory.study("Other")
    page = site.get("/audit").text
    assert "ada hid the study" in text_of(page) and f"/view_study/{study.id}" not in page
    only = text_of(site.get(f"/audit?study={study.id}").text)
    assert "hid the study" in only and "added the account" not in only
    file = lines(site.get("/audit/changes.csv").text)
    assert {line["Action"] for line in file} >= {"study.hide", "researcher.create"}
    assert "Times are in UTC." in page


def test_long_lists_come_in_pages(visitor: Visitor, study: Study, ada: Researcher):
    """PORTAL-290: older and newer, keeping the filters."""
    for _ in range(60):
        record(db.session(), actor_of(ada), Action.STUDY_STOP, study=study)
    db.session.commit()
    first = visitor.get(f"/view_study/{study.id}/audit?person=ada").text
    assert first.count('<span class="at">') == 50 and "Newer" not in first
    older = re.search(r'href="([^"]+before=[^"]+)" rel="next"', first)
    assert older
    second = visitor.get(older.group(1).replace("&amp;", "&")).text
    assert second.count('<span class="at">') == 10 and "created the study" not in second
    assert "No more rows" in visitor.get(f"/view_study/{study.id}/audit?before=1").text


def test_an_export_is_recorded_with_its_size(visitor: Visitor, study: Study, ada: Researcher):
    """PORTAL-290: it appears in the log of data access itself, and formulas are made harmless."""
    rename_study(db.session(), study, "=cmd()", actor=actor_of(ada))
    db.session.commit()
    answer = visitor.get(f"/view_study/{study.id}/audit/changes.csv")
    assert (
        answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        and "audit trail" in answer.headers["Content-Disposition"]
    )
    assert lines(answer.text)[0]["In words"] == "renamed the study"  # reads the stream to its end
    row = db.session.scalars(db.select(DataAccessRecord)).one()
    assert (row.kind, row.username, row.study_id, row.size_bytes) == ("audit_trail", "ada", study.id, len(answer.data))
    assert row.ended_at and row.address == "127.0.0.1"
    assert "downloaded a log of these pages" in visitor.get(f"/view_study/{study.id}/audit/access").text


def test_data_access_tells_who_read_what(app: Flask, visitor: Visitor, factory: Factory, study: Study, ada: Researcher):
    """PORTAL-290, DATA-26: programs by the name of their key, the portal's downloads, their bytes and end."""
    address = f"/view_study/{study.id}/audit/access"
    assert "Nobody has read data yet" in visitor.get(address).text
    factory.participant(study, "aaaa1111")
    key = factory.api_key(ada)
    ids = app.test_client().post("/get-participant-ids/v1", data=key | {"study_id": study.object_id})
    app.test_client().post(
        "/get-data/v1",
        data=key | {"study_id": study.object_id, "data_streams": '["gps"]', "participant_ids": '["aaaa1111"]'},
    ).close()
    visitor.post(f"/data_access_web_form/{study.id}/download").close()
    visitor.get(f"/view_study/{study.id}/participants.csv")
    rows = lines(visitor.get(f"{address}.csv").text)
    keys = [row["API key"].removeprefix(HARMLESS)[:8] for row in rows]  # a key may begin as a formula does
    told = [
        (row["What"], by, row["Participants"], row["Patient ids"], row["Data streams"])
        for row, by in zip(rows, keys, strict=True)
    ][::-1]
    own = key["access_key"][:8]
    assert told[:4] == [
        ("participant_ids", own, "1", "all", ""),
        ("data", own, "1", "aaaa1111", "gps"),
        ("data", "", "1", "all", "all"),
        ("participants_table", "", "1", "all", ""),
    ]
    assert rows[-1]["Bytes"] == str(len(ids.data)) and all(row["Ended (UTC)"] for row in rows[1:])
    page = text_of(visitor.get(address).text)
    assert (
        f"with the key {own}…" in page and "in the portal" in page and "all participants (1)" in page and "GPS" in page
    )
    assert "aaaa1111" in visitor.get(f"{address}?participant=aaaa1111").text
    assert "Nothing matches" in visitor.get(f"{address}?person=nobody").text
    filtered = lines(visitor.get(f"{address}.csv?participant=bbbb2222").text)
    assert "gps" not in {row["Data streams"] for row in filtered}


def test_the_site_sees_sign_ins(app: Flask, site: Visitor, factory: Factory):
    """PORTAL-290: outcomes in words, the typed name only where an account has it."""
    factory.researcher("ada")
    Visitor(app).sign_in("my secret password", "x")
    Visitor(app).sign_in("ada", "wrong")
    db.session.add(SignInRecord(username="ada", outcome="passkey", browser="Safari on iPhone"))
    db.session.commit()
    page = text_of(site.get("/audit/sign_ins").text)
    assert "unknown name Unknown name" in page and "ada Wrong password" in page and "ada passkey" in page
    assert "secret" not in page
    only = text_of(site.get(f"/audit/sign_ins?outcome={SignInOutcome.WRONG_PASSWORD}").text).partition("Show")[2]
    assert "ada" in only and "unknown name" not in only
    assert lines(site.get("/audit/sign_ins.csv").text)[0]["Outcome"] == "passkey"


def test_every_action_has_words_and_stands_in_the_filter():
    """PORTAL-290: rows are told in plain words."""
    assert set(WORDS) == set(Action)
    listed = [value for choices in actions_by_subject(has_site=True).values() for value, _ in choices]
    assert sorted(listed) == sorted(action.value for action in Action)
    for choices in actions_by_subject(has_site=False).values():
        assert all(not words.endswith((" of", " for", " on")) for _, words in choices)


def test_links_lead_only_to_what_exists(visitor: Visitor, factory: Factory, study: Study, ada: Researcher):
    """PORTAL-290: a purged participant is named without a link."""
    here, gone = (factory.participant(study, patient_id) for patient_id in ("here1111", "gone1111"))
    for participant in (here, gone):
        record(db.session(), actor_of(ada), Action.PARTICIPANT_NOTE, study=study, participant=participant)
    gone.purged_at = gone.purge_asked_at = this_hour()
    db.session.commit()
    page = visitor.get(f"/view_study/{study.id}/audit").text
    assert f'href="/view_study/{study.id}/participant/here1111"' in page
    assert "gone1111" in page and "participant/gone1111" not in page
    assert db.session.scalar(db.select(AuditRecord.id).where(AuditRecord.patient_id == "gone1111"))
