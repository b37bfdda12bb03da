"""The two apps and what each does differently on the wire."""

from enum import StrEnum


class Platform(StrEnum):
    """Which of the two apps a phone runs."""

    ANDROID = "android"
    IOS = "ios"

    @property
    def timeout_seconds(self) -> float:
        """Seconds to connect, and seconds of silence before the app gives up on an answer (PHONE-13)."""
        return 15.0 if self is Platform.ANDROID else 60.0

    @property
    def uploads_in_flight(self) -> int:
        """How many uploads the app has under way at once (PHONE-13)."""
        return 1 if self is Platform.ANDROID else 11

    def is_success(self, status: int | None) -> bool:
        """Whether the app takes an answer as success: exactly 200 on Android, any 2xx on iOS (PHONE-63)."""
        if status is None:
            return False
        return status == 200 if self is Platform.ANDROID else 200 <= status < 300

    def path(self, endpoint: str) -> str:
        """The path this app posts to for an endpoint name such as `upload` (PHONE-2)."""
        if self is Platform.ANDROID or endpoint in ("set_fcm_token", "send_survey_notification", "test_notification"):
            return f"/{endpoint}"
        if endpoint == "mobile-heartbeat":
            return "/mobile-heartbeat/"
        return f"/{endpoint}/ios/"
