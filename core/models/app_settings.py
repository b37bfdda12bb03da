"""App settings of a study: what its phones collect, how often, and what they say (PHONE-40, SURVEY-40)."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import Id

CONSENT_SECTIONS = (
    "welcome",
    "data_gathering",
    "privacy",
    "data_use",
    "time_commitment",
    "study_survey",
    "study_tasks",
    "withdrawing",
)
NO_CONSENT_TEXTS = {name: {"text": "", "more": ""} for name in CONSENT_SECTIONS}
ABOUT = "This app collects data for a research study. The study's staff can tell you what is collected and why."
CONSENT = "Taking part is voluntary. You can stop at any time. The study's staff can answer your questions."
THANKS = "Thank you. Your answers have been saved."
HEARTBEAT = "The study has not heard from this phone for a while. Opening the app helps."


@dataclass(frozen=True)
class AppSetting:
    """One setting that phones read: its wire name and default, whose type is that of its column."""

    name: str
    default: bool | int | str


# The order of PHONE-40, which is also the order on the wire. The last key of that table belongs to the participant.
APP_SETTINGS = (
    AppSetting("accelerometer", True),
    AppSetting("gps", True),
    AppSetting("calls", True),
    AppSetting("texts", True),
    AppSetting("wifi", True),
    AppSetting("bluetooth", False),
    AppSetting("power_state", True),
    AppSetting("use_anonymized_hashing", True),
    AppSetting("use_gps_fuzzing", False),
    AppSetting("call_clinician_button_enabled", True),
    AppSetting("call_research_assistant_button_enabled", True),
    AppSetting("ambient_audio", False),
    AppSetting("proximity", False),
    AppSetting("gyro", False),
    AppSetting("magnetometer", False),
    AppSetting("devicemotion", False),
    AppSetting("reachability", True),
    AppSetting("allow_upload_over_cellular_data", False),
    AppSetting("accelerometer_off_duration_seconds", 10),
    AppSetting("accelerometer_on_duration_seconds", 10),
    AppSetting("accelerometer_frequency", 10),
    AppSetting("ambient_audio_off_duration_seconds", 600),
    AppSetting("ambient_audio_on_duration_seconds", 600),
    AppSetting("ambient_audio_bitrate", 24_000),
    AppSetting("ambient_audio_sampling_rate", 44_100),
    AppSetting("bluetooth_on_duration_seconds", 60),
    AppSetting("bluetooth_total_duration_seconds", 300),
    AppSetting("bluetooth_global_offset_seconds", 0),
    AppSetting("check_for_new_surveys_frequency_seconds", 3600),
    AppSetting("create_new_data_files_frequency_seconds", 900),
    AppSetting("gps_off_duration_seconds", 600),
    AppSetting("gps_on_duration_seconds", 60),
    AppSetting("seconds_before_auto_logout", 600),
    AppSetting("upload_data_files_frequency_seconds", 3600),
    AppSetting("voice_recording_max_time_length_seconds", 240),
    AppSetting("wifi_log_frequency_seconds", 300),
    AppSetting("gyro_off_duration_seconds", 600),
    AppSetting("gyro_on_duration_seconds", 60),
    AppSetting("gyro_frequency", 10),
    AppSetting("magnetometer_off_duration_seconds", 600),
    AppSetting("magnetometer_on_duration_seconds", 60),
    AppSetting("devicemotion_off_duration_seconds", 600),
    AppSetting("devicemotion_on_duration_seconds", 60),
    AppSetting("about_page_text", ABOUT),
    AppSetting("call_clinician_button_text", "Call My Clinician"),
    AppSetting("consent_form_text", CONSENT),
    AppSetting("survey_submit_success_toast_text", THANKS),
    AppSetting("heartbeat_message", HEARTBEAT),
    AppSetting("heartbeat_timer_minutes", 60),
    AppSetting("resend_period_minutes", 180),
)
BEFORE_CONSENT_SECTIONS = "survey_submit_success_toast_text"


def _column(setting: AppSetting) -> sa.Column[Any]:
    if isinstance(setting.default, bool):
        return sa.Column(setting.name, sa.Boolean, nullable=False, server_default=sa.text(str(setting.default).lower()))
    if isinstance(setting.default, int):
        return sa.Column(setting.name, sa.Integer, nullable=False, server_default=sa.text(str(setting.default)))
    return sa.Column(setting.name, sa.Text, nullable=False, server_default=setting.default)


class AppSettings(Model):
    """One row per study, one typed column per setting of `APP_SETTINGS`, which names them.

    Numbers of imported rows may lie outside today's ranges, so these are checked where a setting is changed
    (`core/studies/app_settings.py`).
    """

    __tablename__ = "app_settings"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="CASCADE"), unique=True)
    consent_sections: Mapped[dict[str, Any]] = mapped_column(
        JSONB, default=lambda: NO_CONSENT_TEXTS, server_default=sa.text("'{}'")
    )

    for _setting in APP_SETTINGS:
        locals()[_setting.name] = _column(_setting)
    del _setting

    def for_phones(self) -> dict[str, Any]:
        """Every setting of PHONE-40 in its order, but the last row, with the types that apps insist on."""
        wire: dict[str, Any] = {"id": self.id}
        for setting in APP_SETTINGS:
            wire[setting.name] = getattr(self, setting.name)
            if setting.name == BEFORE_CONSENT_SECTIONS:
                wire["consent_sections"] = self._all_consent_sections()
        return wire

    def _all_consent_sections(self) -> dict[str, dict[str, str]]:
        stored = self.consent_sections
        return {
            name: {"text": str(stored.get(name, {}).get("text", "")), "more": str(stored.get(name, {}).get("more", ""))}
            for name in CONSENT_SECTIONS
        }
