"""Which phones have fetched a change of settings (CLAR-34), and versions of consent texts (CLAR-31)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.audit import COMMAND_LINE
from core.database import db
from core.models import Participant, Study
from core.participants.consents import record_consent_sent
from core.studies.consent_versions import consent_texts, consent_versions, differences
from core.studies.rollout import Rollout, WhyNot, phones_without, rollout_of, why_not
from core.studies.settings_changes import save_app_settings
from tests.support.factories import Factory

CHANGED = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study()


def phone(factory: Factory, study: Study, patient_id: str, times: dict[str, datetime], **columns: Any) -> Participant:
    participant = factory.participant(study, patient_id, **columns)
    for name, at in times.items():
        setattr(participant.activity, name, at)
    db.session.commit()
    return participant


def test_phones_that_asked_for_settings_or_registered_since_have_the_change(factory: Factory, study: Study):
    """CLAR-34: retired and test participants and other studies are left out of the counts."""
    phone(factory, study, "fetched1", {"last_settings_at": CHANGED, "last_registered_at": CHANGED - HOUR})
    phone(factory, study, "joined11", {"last_registered_at": CHANGED + HOUR})
    phone(factory, study, "silent11", {"last_settings_at": CHANGED - HOUR, "last_upload_at": CHANGED - HOUR})
    phone(factory, study, "oldapp11", {"last_registered_at": CHANGED - HOUR, "last_upload_at": CHANGED + HOUR})
    phone(factory, study, "odd11111", {"last_settings_at": CHANGED - HOUR, "last_upload_at": CHANGED + HOUR})
    phone(factory, study, "tester11", {}, is_test=True)
    retired = {"last_settings_at": CHANGED - HOUR, "last_upload_at": CHANGED + HOUR}
    phone(factory, study, "retired1", retired, retired_at=CHANGED)
    factory.participant(study, "never111", platform=None)
    phone(factory, factory.study(), "other111", {})
    assert rollout_of(db.session(), study.id, CHANGED) == Rollout(phones=5, fetched=2, retired=1, tests=1)
    listed, has_more = phones_without(db.session(), study.id, CHANGED)
    assert not has_more
    assert {found.patient_id: found.why for found in listed} == {
        "silent11": WhyNot.NO_REQUEST,
        "oldapp11": WhyNot.OLD_APP,
        "odd11111": WhyNot.UNKNOWN,
        "retired1": WhyNot.RETIRED,
    }
    assert listed[-1].patient_id == "retired1"


def test_the_first_reason_that_holds_is_told():
    """CLAR-34: a retired phone that has sent nothing is told as silent."""
    assert why_not(CHANGED, None, None, CHANGED) is WhyNot.NO_REQUEST
    assert why_not(CHANGED, CHANGED + HOUR, None, CHANGED) is WhyNot.OLD_APP


def test_phones_without_a_change_come_in_pages_of_fifty(factory: Factory, study: Study):
    """CLAR-34."""
    db.session.add_all(
        Participant(patient_id=f"p{n:03}".replace("0", "a"), study_id=study.id, password_hash="", device_id="d")
        for n in range(51)
    )
    db.session.commit()
    assert [
        (len(rows), more) for rows, more in (phones_without(db.session(), study.id, CHANGED, n) for n in (1, 2))
    ] == [
        (50, True),
        (1, False),
    ]


def test_a_version_of_the_consent_tells_to_how_many_it_was_sent(factory: Factory, study: Study):
    """CLAR-31: each participant once, test participants left out."""
    first, tester = factory.participant(study), factory.participant(study, is_test=True)
    for participant in (first, first, tester):
        record_consent_sent(db.session(), participant, CHANGED)
    save_app_settings(db.session(), study, {"consent_form_text": "You may stop."}, CHANGED, actor=COMMAND_LINE)
    record_consent_sent(db.session(), first, CHANGED + HOUR)
    record_consent_sent(db.session(), factory.participant(study), CHANGED + HOUR)
    db.session.commit()
    versions = consent_versions(db.session(), study.id)
    assert [(version.number, version.author_name, version.sent_to) for version in versions] == [
        (2, "command line", 2),
        (1, "server", 1),
    ]


def test_a_version_shows_what_differs_from_the_one_before(study: Study):
    """CLAR-31."""
    values = {"consent_form_text": "You may stop.", "consent_sections": {"privacy": {"text": "Kept safe"}}}
    save_app_settings(db.session(), study, values, CHANGED, actor=COMMAND_LINE)
    texts = consent_texts(db.session(), study.id, 2)
    assert texts is not None and len(texts) == 17
    assert [text.name for text in texts if text.is_changed] == ["consent_form_text", "privacy.text"]
    first = consent_texts(db.session(), study.id, 1)
    assert first is not None and not any(text.is_changed for text in first)
    assert consent_texts(db.session(), study.id, 3) is None


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Stop any time.", "Stop at any time.", [("same", "Stop"), ("ins", " at"), ("same", " any time.")]),
        ("one two", "one", [("same", "one"), ("del", " two")]),
        ("", "new", [("ins", "new")]),
        ("same", "same", [("same", "same")]),
        ("", "", []),
        ("old " * 3000, "new", [("del", "old " * 3000), ("ins", "new")]),
    ],
)
def test_differences_are_told_word_by_word(before: str, after: str, expected: list[tuple[str, str]]):
    """CLAR-31."""
    assert [(piece.kind, piece.text) for piece in differences(before, after)] == expected
