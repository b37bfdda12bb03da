"""The door for phones: what the Beiwe apps for Android and iOS call (spec phone-api)."""

from webapp.phone import fetching, graph, heartbeats, pushes, registering, uploading  # noqa: F401  their endpoints
from webapp.phone.door import phone as phone_door
from webapp.phone.pages import phone_pages

__all__ = ["phone_door", "phone_pages"]
