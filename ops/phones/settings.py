"""Device settings that Android requires (PHONE-40)."""

from typing import Any

_BOOLEANS = ("accelerometer", "gps", "calls", "texts", "wifi", "bluetooth", "power_state", "gyro")
_INTEGERS = (
    "accelerometer_off_duration_seconds",
    "accelerometer_on_duration_seconds",
    "accelerometer_frequency",
    "bluetooth_on_duration_seconds",
    "bluetooth_total_duration_seconds",
    "bluetooth_global_offset_seconds",
    "check_for_new_surveys_frequency_seconds",
    "create_new_data_files_frequency_seconds",
    "gps_off_duration_seconds",
    "gps_on_duration_seconds",
    "seconds_before_auto_logout",
    "upload_data_files_frequency_seconds",
    "voice_recording_max_time_length_seconds",
    "wifi_log_frequency_seconds",
    "gyro_off_duration_seconds",
    "gyro_on_duration_seconds",
    "gyro_frequency",
)
_TEXTS = ("about_page_text", "call_clinician_button_text", "consent_form_text", "survey_submit_success_toast_text")

ANDROID_REQUIRED: dict[str, type] = {
    **dict.fromkeys(_BOOLEANS, bool),
    **dict.fromkeys(_INTEGERS, int),
    **dict.fromkeys(_TEXTS, str),
}


def missing_for_android(settings: Any) -> list[str]:
    """Names of required settings that are absent or of the wrong type; all of them if there is no object."""
    if not isinstance(settings, dict):
        return list(ANDROID_REQUIRED)
    return [name for name, kind in ANDROID_REQUIRED.items() if type(settings.get(name)) is not kind]
