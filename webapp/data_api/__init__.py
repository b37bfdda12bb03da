"""The data API for researchers' programs: API keys, lists, downloads (spec data-api)."""

from webapp.data_api import connectors, histories, lists, resumable, statistics  # noqa: F401  their views
from webapp.data_api.views import data_api

__all__ = ["data_api"]
