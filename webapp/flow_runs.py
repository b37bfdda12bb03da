"""Asking the Prefect server for a run of a deployment, by its name.

Two requests to its REST API: its own client would cost each web process a hundred megabytes.
"""

import logging
from typing import Any

import urllib3
from urllib3.util import make_headers

from webapp.stores import settings

log = logging.getLogger(__name__)

CREATE_PARTICIPANTS = "create-participants"
REBUILD_SCHEDULES = "rebuild-schedules"
TIMEOUT = urllib3.Timeout(connect=2, read=5)


def start_run(deployment: str, **parameters: Any) -> bool:
    """Asks for a run that begins at once, and does not wait for it. False where no server took the request.

    What the run is to do must stand in a row already: the dispatcher starts a run for rows that nobody works on.
    """
    if settings().prefect_api_url is None:
        return False
    try:
        found = _call("GET", f"/deployments/name/{deployment}/{deployment}")
        _call("POST", f"/deployments/{found['id']}/create_flow_run", {"parameters": parameters})
    except (urllib3.exceptions.HTTPError, ValueError, KeyError) as error:
        log.warning("the Prefect server did not take a run of %s: %s", deployment, type(error).__name__)
        return False
    return True


def _call(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The JSON object of an answer. Raises urllib3's errors, and ValueError for an answer that is no success."""
    auth = settings().prefect_api_auth_string
    headers = make_headers(basic_auth=auth.get_secret_value()) if auth else {}
    address = f"{settings().prefect_api_url}".rstrip("/") + path
    answer = urllib3.request(method, address, json=body, headers=headers, timeout=TIMEOUT, retries=False)
    if answer.status >= 400:
        raise ValueError(f"{path}: {answer.status}")
    parsed: dict[str, Any] = answer.json()
    return parsed
