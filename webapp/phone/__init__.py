"""The endpoints for phones: what the Beiwe apps for Android and iOS call (spec phone-api)."""

from webapp.phone import fetching, graph, heartbeats, pushes, registering, uploading  # noqa: F401  their endpoints
from webapp.phone.blueprint import phone as phone_api
from webapp.phone.pages import phone_pages

__all__ = ["phone_api", "phone_pages"]
