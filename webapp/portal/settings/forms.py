"""The form of app settings, made from the table of settings (SURVEY-40 to SURVEY-42)."""

from collections.abc import Mapping
from typing import Any

from wtforms import Field, HiddenField

from core.models.app_settings import CONSENT_SECTIONS
from core.studies.app_settings import SETTING_RULES, SettingRule
from core.studies.settings_changes import setting_problems
from core.studies.settings_versions import DEFAULTS
from webapp.portal.frame.forms import LongTextField, NumberField, PortalForm, SwitchField, TextField

ONE_LINE = ("call_clinician_button_text", "heartbeat_message", "survey_submit_success_toast_text")
SECTION_PARTS = {"text": "Text on the page", "more": "Text behind “learn more”"}


def section_field(section: str, part: str) -> str:
    """The name of the field of a consent section (SURVEY-41)."""
    return f"consent_section.{section}.{part}"


class AppSettingsForm(PortalForm):
    """One field for each setting, by its name, and two for each consent section; the fields are added below.

    `version` is the newest version of the settings when the form was opened.
    """

    version = HiddenField()

    @classmethod
    def showing(cls, values: Mapping[str, Any], version: int | None) -> "AppSettingsForm":
        """The form with these settings in it."""
        fields = {rule.name: values[rule.name] for rule in SETTING_RULES if rule.name != "consent_sections"}
        for section, texts in values["consent_sections"].items():
            fields |= {section_field(section, part): text for part, text in texts.items()}
        return cls(formdata=None, data=fields | {"version": version})

    def checked(self) -> bool:
        """Whether all values are allowed; else the fields have errors. A setting that was not sent is an error."""
        self.validate()
        for name, problem in setting_problems(self.values()).items():
            if name in self and not self[name].errors:
                self.refuse(self[name], problem)
        for field in self:
            if isinstance(field, (TextField, LongTextField)) and field.data is None:
                self.refuse(field, "This text was not sent.")
        return self.is_right

    def values(self) -> dict[str, Any]:
        """The settings as typed, texts trimmed; fields with errors are left out."""
        values: dict[str, Any] = {}
        for rule in SETTING_RULES:
            if rule.name != "consent_sections" and not self[rule.name].errors and self[rule.name].data is not None:
                values[rule.name] = _trimmed(self[rule.name].data)
        values["consent_sections"] = {
            section: {part: _trimmed(self[section_field(section, part)].data or "") for part in SECTION_PARTS}
            for section in CONSENT_SECTIONS
        }
        return values

    def wrong_fields(self) -> list[Field]:
        """The fields with errors, in the order of the form."""
        return [field for field in self if field.errors]


def _trimmed(value: Any) -> Any:
    """Text without white space at its ends, and with the line ends that phones show."""
    return value.strip().replace("\r\n", "\n") if isinstance(value, str) else value


def _field_of(rule: SettingRule) -> Any:
    default = DEFAULTS[rule.name]
    if isinstance(default, bool):
        return SwitchField(rule.label, rule.help)
    if rule.least is not None and rule.most is not None:
        return NumberField(rule.label, least=rule.least, most=rule.most, unit=rule.unit, hint=rule.help)
    return (TextField if rule.name in ONE_LINE else LongTextField)(rule.label, rule.help)


for _rule in SETTING_RULES:
    if _rule.name != "consent_sections":
        setattr(AppSettingsForm, _rule.name, _field_of(_rule))
for _section in CONSENT_SECTIONS:
    for _part, _label in SECTION_PARTS.items():
        setattr(AppSettingsForm, section_field(_section, _part), LongTextField(_label, id=f"{_section}-{_part}"))
