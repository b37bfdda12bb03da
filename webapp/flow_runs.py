"""Starts a run of a deployment by name, through two requests to the Prefect server's REST API.

Prefect's own client would cost each web process a hundred megabytes of memory.
"""

import logging
from typing import Any

import urllib3
from urllib3.util import make_headers

from webapp.stores import settings

log = logging.getLogger(__name__)

BUILD_EXPORTS = "build-exports"
COMPUTE_SCORES = "compute-scores"
CREATE_PARTICIPANTS = "create-participants"
RUN_FOREST = "run-forest"
REBUILD_SCHEDULES = "rebuild-schedules"
TIMEOUT = urllib3.Timeout(connect=2, read=5)


def start_run(deployment: str, **parameters: Any) -> bool:
    """Requests a run that begins at once, without waiting for it. Returns False if no server accepted the request.

    Commit the row that describes the work first: the dispatcher later starts a run for rows that none works on.
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
    """Sends a request and returns the answer's JSON object. Raises urllib3's errors, ValueError for status >= 400."""
    auth = settings().prefect_api_auth_string
    headers = make_headers(basic_auth=auth.get_secret_value()) if auth else {}
    address = f"{settings().prefect_api_url}".rstrip("/") + path
    answer = urllib3.request(method, address, json=body, headers=headers, timeout=TIMEOUT, retries=False)
    if answer.status >= 400:
        raise ValueError(f"{path}: {answer.status}")
    parsed: dict[str, Any] = answer.json()
    return parsed
