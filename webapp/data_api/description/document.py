"""The OpenAPI 3.1 document, from the application's routes and the models of `endpoints`."""

import re
from functools import lru_cache
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from webapp.data_api.credentials import KEY_HEADERS
from webapp.data_api.description.endpoints import ENDPOINTS, Answer, Endpoint, content_of

REFERENCE = "#/components/schemas/{model}"
ABOUT = """\
For programs of researchers. A program signs in with an API key, which its owner makes on their account's page, and
reads what its owner may read. Requests are counted in the log of data access.

Old endpoints are POST with form fields, the key among them. Endpoints of version 3 and those of Tableau are GET with
the key in the headers `X-Access-Key-Id` and `X-Access-Key-Secret`.
"""
_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")


@lru_cache(maxsize=4)
def document(app: Flask) -> dict[str, Any]:
    """The document of an application. Built once: routes do not change while it runs."""
    schemas = _schemas()
    paths: dict[str, Any] = {}
    for name, endpoint in ENDPOINTS.items():
        for number, rule in enumerate(rules_of(app, name)):
            method = "post" if endpoint.form else "get"
            path = _ARGUMENT.sub(r"{\1}", rule.rule)
            paths[path] = {method: _operation(app, name, endpoint, number)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Beiwe data API", "version": "3", "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                field: {"type": "apiKey", "in": "header", "name": header} for field, header in KEY_HEADERS.items()
            },
        },
    }


def rules_of(app: Flask, name: str) -> list[Rule]:
    """The paths of a view, today's spelling first."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint == f"data_api.{name}"]
    return sorted(rules, key=lambda rule: (rule.rule.startswith("/api/"), "users" in rule.rule, rule.rule))


def _operation(app: Flask, name: str, endpoint: Endpoint, number: int) -> dict[str, Any]:
    view = app.view_functions[f"data_api.{name}"]
    operation: dict[str, Any] = {
        "operationId": f"{name}_{number + 1}" if number else name,
        "tags": [endpoint.group.value],
        "summary": endpoint.summary,
        "description": re.sub(r"\s+", " ", (view.__doc__ or endpoint.summary).strip()),
        "parameters": _parameters(endpoint),
        "responses": {str(status): _response(answer) for status, answer in sorted(endpoint.answers.items())},
    }
    if number:
        operation["deprecated"] = True
    if endpoint.form:
        media = "application/x-www-form-urlencoded"
        operation["requestBody"] = {"required": True, "content": {media: {"schema": _reference(endpoint.form)}}}
    else:
        operation["security"] = [{field: [] for field in KEY_HEADERS}]
    return operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "description": about, "schema": {"type": "string"}}
        for name, about in endpoint.path.items()
    ]
    for name, one in query_of(endpoint).items():
        schema = {key: value for key, value in one["schema"].items() if key not in ("description", "title")}
        found.append(
            {
                "name": name,
                "in": "query",
                "required": one["required"],
                "description": one["schema"].get("description", ""),
                "schema": schema,
            }
        )
    return found


def query_of(endpoint: Endpoint) -> dict[str, dict[str, Any]]:
    """Schema of each parameter of the query string, and whether it must be given."""
    return fields_of(endpoint.query) if endpoint.query else {}


def fields_of(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """By name, the schema of a field and whether it is required; a field that may be left out is never null."""
    schema = model.model_json_schema()
    required = schema.get("required", ())
    return {
        name: {"schema": _without_null(one), "required": name in required} for name, one in schema["properties"].items()
    }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**rest, **kinds[0]} if len(kinds) == 1 else schema


def _response(answer: Answer) -> dict[str, Any]:
    schema = _reference(answer.model) if answer.model else None
    content = content_of(answer, schema)
    return {"description": answer.about, **({"content": content} if content else {})}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def _schemas() -> dict[str, Any]:
    forms = {one.form for one in ENDPOINTS.values() if one.form}
    answers = {answer.model for one in ENDPOINTS.values() for answer in one.answers.values() if answer.model}
    _, found = models_json_schema(
        [(model, "validation") for model in sorted(forms | answers, key=lambda model: model.__name__)],
        ref_template=REFERENCE,
    )
    schemas: dict[str, Any] = found["$defs"]
    for form in forms:
        properties = schemas[form.__name__]["properties"]
        schemas[form.__name__]["properties"] = {name: _without_null(one) for name, one in properties.items()}
    return schemas
