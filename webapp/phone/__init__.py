"""The door for phones: what the Beiwe apps for Android and iOS call (spec phone-api)."""

from webapp.phone import fetching, heartbeats, pushes, registering, uploading  # noqa: F401  their endpoints
from webapp.phone.door import phone as phone_door

__all__ = ["phone_door"]
