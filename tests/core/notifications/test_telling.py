"""Troubles are told when they begin and when they are over, once each, by every way that is set up (CLAR-62)."""

from typing import Any

import pytest
from pydantic import SecretStr

from core.config import Settings, load_settings
from core.database import db
from core.models import OutgoingMessage, SystemEvent, Trouble
from core.notifications.watch import open_troubles, watch
from core.operations.alerts import newest_messages, newest_troubles
from core.operations.telling import tell_of_trouble
from tests.support.pushing import Pushing

HOOK = "https://chat.example/services/a-secret"


@pytest.fixture
def alerting() -> Settings:
    return load_settings(
        domain_name="beiwe.example",
        sysadmin_emails="a@x.example, b@x.example;a@x.example",
        alert_url=SecretStr(HOOK),
        prefect_api_url="http://127.0.0.1:1/api",
    )


def look(pushing: Pushing, settings: Settings) -> None:
    def tell(*about: Any) -> None:
        tell_of_trouble(about[0], settings, *about[1:])

    watch(db.session(), pushing.now, tell)
    db.session.commit()


def written() -> list[tuple[str, str]]:
    rows = db.session.scalars(db.select(OutgoingMessage).order_by(OutgoingMessage.id))
    return [(row.channel, row.address) for row in rows]


def test_a_trouble_is_told_to_all_and_so_is_its_end(pushing: Pushing, alerting: Settings):
    """CLAR-62: mail, webhook and Prefect; however often and in however many processes somebody looks."""
    for _ in range(3):
        look(pushing, alerting)
    everybody = [("mail", "a@x.example"), ("mail", "b@x.example"), ("webhook", HOOK), ("prefect", "")]
    assert written() == everybody
    pushing.look()
    for _ in range(2):
        look(pushing, alerting)
    assert written() == everybody * 2
    texts = [message.subject for message in newest_messages(db.session())]
    assert sum("Over: No push notification" in text for text in texts) == 3
    assert [message.to for message in newest_messages(db.session()) if message.channel == "webhook"] == [
        "chat.example"
    ] * 2
    assert [trouble.kind for trouble in newest_troubles(db.session())] == [Trouble.SENDER_SILENT]


def test_what_is_told_is_kept_or_lost_with_the_trouble_itself(pushing: Pushing, alerting: Settings):
    """Both are of one transaction: a process that dies in the middle has told nobody, and the next one tells."""
    watch(db.session(), pushing.now, lambda *about: tell_of_trouble(about[0], alerting, *about[1:]))
    db.session.rollback()
    assert written() == [] and open_troubles(db.session()) == []
    look(pushing, alerting)
    assert len(written()) == 4


def test_where_nothing_is_set_up_nothing_is_written(pushing: Pushing):
    look(pushing, load_settings(sysadmin_emails="", alert_url=None, prefect_api_url=None))
    assert written() == [] and db.session.scalar(db.select(SystemEvent)) is not None
