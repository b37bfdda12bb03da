"""The base class of the portal's forms, and one class for each kind of field.

A field's `kind` selects its macro in `templates/portal/parts/_fields.html`, which shows label, hint, unit and errors. A
form with errors is shown again with the typed values, except passwords.
"""

from collections.abc import Sequence
from typing import Any

from flask_wtf import FlaskForm
from markupsafe import Markup
from wtforms import (
    BooleanField,
    Field,
    HiddenField,
    IntegerField,
    PasswordField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms import (
    DateField as WtfDateField,
)
from wtforms.validators import InputRequired, Optional

__all__ = [
    "BooleanField",
    "ChoiceField",
    "DayField",
    "HiddenField",
    "LongTextField",
    "NumberField",
    "PortalForm",
    "SecretField",
    "SwitchField",
    "TextField",
]


class PortalForm(FlaskForm):
    """A form of the portal. It contains the CSRF token unless its `Meta` sets `csrf = False`."""

    def refuse(self, field: Field, why: str) -> None:
        """Adds an error message to the field."""
        field.errors = [*field.errors, why]

    @property
    def is_right(self) -> bool:
        """Whether no field has an error."""
        return not any(field.errors for field in self)


class ShownField(Field):
    """A field with a label, a hint above it and a unit after it."""

    kind = "text"
    unit = ""

    def input(self, **attributes: Any) -> Markup:
        """The input element, linked to its hint, unit and error for screen readers."""
        parts = {"hint": self.description, "unit": self.unit, "error": self.errors}
        about = " ".join(f"{self.id}-{part}" for part, is_there in parts.items() if is_there)
        if about:
            attributes["aria-describedby"] = about
        if self.errors:
            attributes["aria-invalid"] = "true"
        return Markup(self(class_="input", **attributes))


class TextField(ShownField, StringField):
    """A line of text."""

    def __init__(self, label: str, hint: str = "", **options: Any) -> None:
        super().__init__(label, description=hint, **options)


class SecretField(ShownField, PasswordField):
    """A password, which is never shown again. `missing`: the error for an empty field; None allows an empty one."""

    kind = "secret"

    def __init__(self, label: str, missing: str | None = None, hint: str = "", **options: Any) -> None:
        super().__init__(label, [InputRequired(missing)] if missing else [], description=hint, **options)


class NumberField(ShownField, IntegerField):
    """A whole number from `least` to `most`. Every invalid value gets the same error message."""

    kind = "number"

    def __init__(self, label: str, *, least: int, most: int, unit: str = "", hint: str = "", **options: Any) -> None:
        super().__init__(label, description=hint, **options)
        self.least, self.most, self.unit = least, most, unit

    def validate(self, form: FlaskForm, extra_validators: Sequence[Any] = ()) -> bool:
        """Whether the value is a number in range; else sets the error message."""
        is_number = super().validate(form, extra_validators) and self.data is not None
        if is_number and self.least <= self.data <= self.most:
            return True
        self.errors = [f"A number from {self.least:,} to {self.most:,}."]
        return False


class ChoiceField(ShownField, SelectField):
    """One of several values, chosen from a list."""

    kind = "choice"

    def __init__(self, label: str, choices: Sequence[tuple[str, str]] = (), hint: str = "", **options: Any) -> None:
        super().__init__(label, choices=list(choices), description=hint, **options)


class LongTextField(ShownField, TextAreaField):
    """A text of several lines."""

    kind = "long text"

    def __init__(self, label: str, hint: str = "", **options: Any) -> None:
        super().__init__(label, description=hint, **options)


class DayField(ShownField, WtfDateField):
    """A date; empty is None."""

    kind = "day"

    def __init__(self, label: str, hint: str = "", **options: Any) -> None:
        super().__init__(label, [Optional()], description=hint, **options)

    def process_formdata(self, valuelist: list[str]) -> None:
        """Reads the date, and says what one looks like where it is none."""
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError("A date like 2030-01-31.") from None


class SwitchField(ShownField, BooleanField):
    """A tick; one that is not sent is off."""

    kind = "switch"

    def __init__(self, label: str, hint: str = "", **options: Any) -> None:
        super().__init__(label, description=hint, **options)
