"""The door for phones: what the Beiwe apps for Android and iOS call (spec phone-api)."""

from webapp.phone.views import phone as phone_door

__all__ = ["phone_door"]
