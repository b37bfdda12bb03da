"""The filters of the logs, as forms that are sent by GET: each filter has an address."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from flask import request
from wtforms import Field

from core.audit.reading import Period
from core.models.audit_record import Action
from core.models.sign_in_record import SignInOutcome
from webapp.portal.frame.forms import ChoiceField, DayField, HiddenField, PortalForm, TextField

FIRST_YEAR, LAST_YEAR = 2000, 2999
LONGEST_NUMBER = 18  # digits of a 64-bit number
Form = TypeVar("Form", bound="LogForm")


class LogForm(PortalForm):
    """What every log can be filtered by: a person, and days in the page's zone."""

    class Meta:
        csrf = False

    person = ChoiceField("Who", validate_choice=False)
    since = DayField("From")
    until = DayField("To")

    @classmethod
    def asked(cls: type[Form], people: Sequence[str]) -> Form:
        """The form with what the address asks for. `people` are the names to choose from."""
        form = cls(request.args)
        form.validate()
        names = [*people]
        if form.person.data and form.person.data not in names:
            names.append(form.person.data)
        form.person.choices = [("", "Everybody"), *((name, name) for name in names)]
        for field in (form.since, form.until):
            if isinstance(field.data, date) and not FIRST_YEAR <= field.data.year <= LAST_YEAR:
                form.refuse(field, "A date like 2030-01-31.")
        if form.is_right and form.since.data and form.until.data and form.until.data < form.since.data:
            form.refuse(form.until, "Not before the first day.")
        return form

    def period(self, zone: ZoneInfo) -> Period:
        """The days, both included, as moments."""
        return Period(
            _midnight(self.since.data, zone) if self.since.data else None,
            _midnight(self.until.data + timedelta(days=1), zone) if self.until.data else None,
        )

    def arguments(self) -> dict[str, str]:
        """The filters that are set, for addresses."""
        return {field.name: str(field.data) for field in self if field.data}

    @property
    def is_set(self) -> bool:
        """Whether anything is filtered."""
        return bool(self.arguments())


class WithParticipant(LogForm):
    """A log about participants, of one study or of all."""

    participant = TextField("Participant")
    study = ChoiceField("Study", validate_choice=False)

    @property
    def patient_id(self) -> str | None:
        """The id as typed, without white space and in lower case; None for none."""
        return (self.participant.data or "").strip().lower() or None


class ChangesForm(WithParticipant):
    """The filters of the audit trail. `part_of` is the number of a change of many participants."""

    action = ChoiceField("What", validate_choice=False)
    part_of = HiddenField()

    @property
    def asked_action(self) -> Action | None:
        """The action, None for all and for one that does not exist."""
        return next((action for action in Action if action.value == self.action.data), None)

    @property
    def asked_part_of(self) -> int | None:
        """The number of the change whose participants are listed."""
        return whole_number(self.part_of.data)


class AccessForm(WithParticipant):
    """The filters of the log of data access."""


class SignInsForm(LogForm):
    """The filters of the log of sign-ins."""

    outcome = ChoiceField("Outcome", validate_choice=False)

    @property
    def asked_outcome(self) -> SignInOutcome | None:
        """The outcome, None for all and for one that does not exist."""
        return next((outcome for outcome in SignInOutcome if outcome.value == self.outcome.data), None)


def whole_number(text: Any) -> int | None:
    """The number that the text writes in digits, None for any other text."""
    is_number = isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER
    return int(text) if is_number else None


def chosen(field: Field, choices: Sequence[tuple[str, str]]) -> None:
    """Gives a list its choices; a value that is none of them stays, so that the page says what it was asked for."""
    known = {value for value, _ in choices}
    more = [(field.data, field.data)] if field.data and field.data not in known else []
    field.choices = [*choices, *more]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
