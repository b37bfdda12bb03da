"""Compiles once per process what each test's own application would compile again: templates and routes."""

from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule


class _Templates(BytecodeCache):
    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key, bucket.checksum] = bucket.code


_TEMPLATES = _Templates()


def keep_templates(app: Flask) -> None:
    """Gives the application the templates that others of this process have compiled."""
    app.jinja_env.bytecode_cache = _TEMPLATES


def keep_addresses(patch: pytest.MonkeyPatch) -> None:
    """Routes with the same parts share the function that werkzeug generates to build their address."""
    compiled: dict[tuple[Any, ...], Callable[..., tuple[str, str]]] = {}
    compile_anew = Rule._compile_builder

    def compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = (*rule._trace, append_unknown)
        if rule.defaults:
            return compile_anew(rule, append_unknown)
        if key not in compiled:
            compiled[key] = compile_anew(rule, append_unknown)
        return compiled[key]

    patch.setattr(Rule, "_compile_builder", compile_once)
