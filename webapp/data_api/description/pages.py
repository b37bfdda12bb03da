"""The OpenAPI document and a page to read it. Both are public: they show nothing of a study."""

from typing import Any

from flask import Blueprint, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from core.config import REPOSITORY
from core.streams import DataStream
from webapp.data_api.description.document import document, fields_of, query_of, rules_of
from webapp.data_api.description.endpoints import ENDPOINTS, Endpoint, Group

api_description = Blueprint("api_description", __name__)
EXAMPLES = {
    "curl": ("download.sh", "A list, the manifest and one file with curl"),
    "Python": ("download.py", "A participants' table and daily summaries with pandas"),
    "R": ("download.R", "The same in R"),
}


@api_description.get("/data-api/openapi.json")
def openapi() -> ResponseReturnValue:
    """The document, for programs that make clients."""
    return jsonify(document(current_app))


@api_description.get("/data-api")
def page() -> ResponseReturnValue:
    """The endpoints by group, with their fields and answers, and examples."""
    groups = {group: [_shown(name, one) for name, one in ENDPOINTS.items() if one.group is group] for group in Group}
    examples = {
        language: (about, (REPOSITORY / "docs" / "examples" / name).read_text().strip())
        for language, (name, about) in EXAMPLES.items()
    }
    return render_template(
        "data_api/page.html",
        groups=groups,
        examples=examples,
        streams=[stream.value for stream in DataStream],
        address=request.host_url.rstrip("/"),
    )


def _shown(name: str, endpoint: Endpoint) -> dict[str, Any]:
    rules = [rule.rule for rule in rules_of(current_app, name)]
    given = {**query_of(endpoint), **(fields_of(endpoint.form) if endpoint.form else {})}
    return {
        "name": name,
        "method": "POST" if endpoint.form else "GET",
        "path": rules[0],
        "others": rules[1:],
        "endpoint": endpoint,
        "fields": [
            {
                "name": field,
                "about": one["schema"].get("description", ""),
                "is_required": one["required"],
                "is_in_query": field in query_of(endpoint),
            }
            for field, one in given.items()
            if field not in ("access_key", "secret_key")
        ],
    }
