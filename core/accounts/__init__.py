"""Accounts of researchers, and the API keys of their programs."""

from core.accounts.api_keys import create_api_key
from core.accounts.creating import create_researcher, new_password
from core.accounts.passwords import (
    days_until_due,
    interrupted_by,
    password_problem,
    password_rule,
    why_change_is_due,
)

__all__ = [
    "create_api_key",
    "create_researcher",
    "days_until_due",
    "interrupted_by",
    "new_password",
    "password_problem",
    "password_rule",
    "why_change_is_due",
]
