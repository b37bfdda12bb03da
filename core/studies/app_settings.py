"""Labels, help texts and permitted values of each app setting (SURVEY-40, SURVEY-50).

One table, `SETTING_RULES`, in the order of a form. The columns and their defaults are those of `AppSettings`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.models.app_settings import APP_SETTINGS, CONSENT_SECTIONS

MOST = 2**31 - 1
"""The largest number that the database's columns hold."""


class SettingGroup(StrEnum):
    """The parts of the form, by their headings."""

    SENSORS = "Sensors of both platforms"
    ANDROID_SENSORS = "Sensors of Android phones"
    IOS_SENSORS = "Sensors of iPhones"
    AUDIO = "Audio"
    FILES = "Files and uploads"
    PRIVACY = "Privacy"
    APP = "Buttons and texts of the app"
    REMINDERS = "Reminders to take part"
    CONSENT = "Consent pages"


@dataclass(frozen=True)
class SettingRule:
    """One setting: its name, where and how a form shows it, and the range of a number (None for others).

    `switch` names the setting without which this one has no effect.
    """

    name: str
    group: SettingGroup
    label: str
    help: str
    unit: str = ""
    least: int | None = None
    most: int | None = None
    switch: str = ""


def _switch(group: SettingGroup, name: str, label: str, help_text: str) -> SettingRule:
    return SettingRule(name, group, label, help_text)


def _text(group: SettingGroup, name: str, label: str, help_text: str, switch: str = "") -> SettingRule:
    return SettingRule(name, group, label, help_text, switch=switch)


def _number(
    group: SettingGroup, name: str, label: str, unit: str, least: int, help_text: str, switch: str = ""
) -> SettingRule:
    return SettingRule(name, group, label, help_text, unit, least, MOST, switch)


def _on_and_off(group: SettingGroup, sensor: str, label: str) -> tuple[SettingRule, SettingRule]:
    """How long a sensor records, and how long it rests then."""
    return (
        _number(
            group,
            f"{sensor}_on_duration_seconds",
            f"{label}: on for",
            "seconds",
            1,
            "How long the sensor records before it rests. Longer gives more data and uses more battery.",
            sensor,
        ),
        _number(
            group,
            f"{sensor}_off_duration_seconds",
            f"{label}: off for",
            "seconds",
            1,
            "How long the sensor rests before it records again. Longer saves battery and leaves longer gaps.",
            sensor,
        ),
    )


G = SettingGroup
SETTING_RULES: tuple[SettingRule, ...] = (
    _switch(G.SENSORS, "gps", "GPS", "Records where the phone is. Android and iOS."),
    *_on_and_off(G.SENSORS, "gps", "GPS"),
    _switch(G.SENSORS, "accelerometer", "Accelerometer", "Records how the phone is moved. Android and iOS."),
    *_on_and_off(G.SENSORS, "accelerometer", "Accelerometer"),
    _number(
        G.SENSORS,
        "accelerometer_frequency",
        "Accelerometer: measurements",
        "per second (Hz)",
        1,
        "How often the sensor measures while it is on. Android phones may measure more often.",
        "accelerometer",
    ),
    _switch(G.SENSORS, "gyro", "Gyroscope", "Records how the phone is turned. Android and iOS."),
    *_on_and_off(G.SENSORS, "gyro", "Gyroscope"),
    _number(
        G.SENSORS,
        "gyro_frequency",
        "Gyroscope: measurements",
        "per second (Hz)",
        1,
        "How often the sensor measures while it is on. Android phones may measure more often.",
        "gyro",
    ),
    _switch(
        G.SENSORS,
        "power_state",
        "Power state",
        "Records when the phone is charged and when its screen goes on and off. Android and iOS.",
    ),
    _switch(
        G.ANDROID_SENSORS,
        "calls",
        "Calls",
        "Records when calls come and go and how long they last, never what is said. Android only.",
    ),
    _switch(
        G.ANDROID_SENSORS,
        "texts",
        "Text messages",
        "Records when text messages come and go and how long they are, never what they say. Android only.",
    ),
    _switch(G.ANDROID_SENSORS, "wifi", "Wi-Fi", "Records which Wi-Fi networks are near. Android only."),
    _number(
        G.ANDROID_SENSORS,
        "wifi_log_frequency_seconds",
        "Wi-Fi: one scan every",
        "seconds",
        10,
        "How often the phone looks for networks.",
        "wifi",
    ),
    _switch(G.ANDROID_SENSORS, "bluetooth", "Bluetooth", "Records which Bluetooth devices are near. Android only."),
    _number(
        G.ANDROID_SENSORS,
        "bluetooth_on_duration_seconds",
        "Bluetooth: scan for",
        "seconds",
        1,
        "How long each scan takes.",
        "bluetooth",
    ),
    _number(
        G.ANDROID_SENSORS,
        "bluetooth_total_duration_seconds",
        "Bluetooth: one scan every",
        "seconds",
        1,
        "How long it is from the start of one scan to the start of the next. Must be longer than a scan.",
        "bluetooth",
    ),
    _number(
        G.ANDROID_SENSORS,
        "bluetooth_global_offset_seconds",
        "Bluetooth: start later by",
        "seconds",
        0,
        "Shifts the start of every scan. All phones of the study scan at the same time, so that they find each other.",
        "bluetooth",
    ),
    _switch(
        G.IOS_SENSORS,
        "magnetometer",
        "Magnetometer",
        "Records the magnetic field around the phone. iOS only.",
    ),
    *_on_and_off(G.IOS_SENSORS, "magnetometer", "Magnetometer"),
    _switch(
        G.IOS_SENSORS,
        "devicemotion",
        "Device motion",
        "Records motion that iOS computes from several sensors together. iOS only.",
    ),
    *_on_and_off(G.IOS_SENSORS, "devicemotion", "Device motion"),
    _switch(G.IOS_SENSORS, "proximity", "Proximity", "Records when something is close to the screen. iOS only."),
    _switch(
        G.IOS_SENSORS,
        "reachability",
        "Reachability",
        "Records whether the phone is connected by Wi-Fi, by mobile network, or not at all. iOS only.",
    ),
    _switch(
        G.AUDIO,
        "ambient_audio",
        "Ambient audio",
        "Records the sounds around the phone as files. Other people are recorded too. Android only.",
    ),
    *_on_and_off(G.AUDIO, "ambient_audio", "Ambient audio"),
    _number(
        G.AUDIO,
        "ambient_audio_bitrate",
        "Ambient audio: bit rate",
        "bits per second",
        16_000,
        "Higher sounds better and makes larger files.",
        "ambient_audio",
    ),
    _number(
        G.AUDIO,
        "ambient_audio_sampling_rate",
        "Ambient audio: sampling rate",
        "samples per second (Hz)",
        16_000,
        "Higher keeps higher tones. 44,100 is that of a CD.",
        "ambient_audio",
    ),
    _number(
        G.AUDIO,
        "voice_recording_max_time_length_seconds",
        "Audio surveys: longest recording",
        "seconds",
        0,
        "A recording in an audio survey ends by itself after this time. Android and iOS.",
    ),
    _number(
        G.FILES,
        "create_new_data_files_frequency_seconds",
        "New data files every",
        "seconds",
        30,
        "How often the phone closes its data files and begins new ones. Only closed files are uploaded.",
    ),
    _number(
        G.FILES,
        "upload_data_files_frequency_seconds",
        "Uploads every",
        "seconds",
        10,
        "How often the phone tries to upload its files.",
    ),
    _switch(
        G.FILES,
        "allow_upload_over_cellular_data",
        "Upload over the mobile network",
        "If this is off, phones upload on Wi-Fi only. If it is on, uploads may cost the participant money.",
    ),
    _number(
        G.FILES,
        "check_for_new_surveys_frequency_seconds",
        "Look for new surveys every",
        "seconds",
        30,
        "How often the phone asks for changed surveys. A change reaches phones within about this time.",
    ),
    _switch(
        G.PRIVACY,
        "use_anonymized_hashing",
        "Stronger hashing of phone numbers and device addresses",
        "Phone numbers and the addresses of Wi-Fi and Bluetooth devices never leave the phone in clear; this hashes"
        " them more strongly. Data from before and after a change cannot be compared. Android only.",
    ),
    _switch(
        G.PRIVACY,
        "use_gps_fuzzing",
        "Shift positions",
        "Each phone shifts all its positions by one random distance of its own, so that movement is kept and places are"
        " not. Data from before and after a change cannot be compared. Android and iOS.",
    ),
    _switch(
        G.APP,
        "call_clinician_button_enabled",
        "Button that calls the clinician",
        "Shows a button in the app that calls the clinician's number, which is typed in at registration.",
    ),
    _text(
        G.APP,
        "call_clinician_button_text",
        "Text on that button",
        "What the button that calls the clinician says.",
        "call_clinician_button_enabled",
    ),
    _switch(
        G.APP,
        "call_research_assistant_button_enabled",
        "Button that calls the research assistant",
        "Shows a button in the app that calls the research assistant's number, which is typed in at registration.",
    ),
    _number(
        G.APP,
        "seconds_before_auto_logout",
        "Lock the app after",
        "seconds",
        1,
        "The app asks for the participant's password again when it was not used for this time.",
    ),
    _text(G.APP, "about_page_text", "About page", "Shown on the app's page about the study."),
    _text(
        G.APP,
        "survey_submit_success_toast_text",
        "Thanks after a survey",
        "Shown for a moment when a survey has been submitted.",
    ),
    _text(
        G.REMINDERS,
        "heartbeat_message",
        "Message",
        "Sent to phones that have not been heard of for a while, so that the participant opens the app.",
    ),
    _number(
        G.REMINDERS,
        "heartbeat_timer_minutes",
        "Send the message after",
        "minutes",
        30,
        "How long a phone must have been silent before the message is sent, and between two messages.",
    ),
    _number(
        G.REMINDERS,
        "resend_period_minutes",
        "Send a survey's notification again after",
        "minutes",
        0,
        "A notification of a survey that the phone did not confirm is sent again after this time; 0 never sends it"
        " again. Raising it from 0 never resends notifications of the past.",
    ),
    _text(
        G.CONSENT,
        "consent_form_text",
        "Consent form",
        "Shown during registration. If it is empty, Android phones skip the page.",
    ),
    SettingRule(
        "consent_sections",
        G.CONSENT,
        "Sections of the consent",
        "Eight pages that iPhones show during registration, each with a short text and one behind “learn more”."
        " Sections without a text are left out. iOS only.",
    ),
)
RULE_OF: Mapping[str, SettingRule] = {rule.name: rule for rule in SETTING_RULES}
_DEFAULTS = {setting.name: setting.default for setting in APP_SETTINGS}


def setting_problem(name: str, value: Any) -> str | None:
    """What is wrong with a value for that setting, in a sentence that names the setting; None if nothing is."""
    if name == "consent_sections":
        if not isinstance(value, dict) or set(value) - set(CONSENT_SECTIONS):
            return f"consent_sections: an object with the keys {', '.join(CONSENT_SECTIONS)}"
        if not all(_is_section(section) for section in value.values()):
            return "consent_sections: each section is an object of the texts `text` and `more`"
        return None
    if name not in RULE_OF:
        return f"{name}: not a setting"
    if type(value) is not type(_DEFAULTS[name]):
        return f"{name}: a {type(_DEFAULTS[name]).__name__} is expected"
    if isinstance(value, str):
        return f"{name}: a text without NUL characters" if "\0" in value else None
    return _range_problem(RULE_OF[name], value)


def _is_section(section: Any) -> bool:
    """Whether it is an object of the two texts, or of one of them."""
    return (
        isinstance(section, dict)
        and not set(section) - {"text", "more"}
        and all(isinstance(text, str) and "\0" not in text for text in section.values())
    )


def _range_problem(rule: SettingRule, value: Any) -> str | None:
    if rule.least is not None and value < rule.least:
        return f"{rule.name}: at least {rule.least}"
    if rule.most is not None and value > rule.most:
        return f"{rule.name}: at most {rule.most}"
    return None
