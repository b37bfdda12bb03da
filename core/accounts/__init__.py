"""Accounts of researchers, and the API keys of their programs."""

from core.accounts.api_keys import create_api_key
from core.accounts.creating import create_researcher, new_password
from core.accounts.passwords import password_problem
from core.accounts.requirements import account_rule, days_until_due, interrupted_by, what_is_due

__all__ = [
    "account_rule",
    "create_api_key",
    "create_researcher",
    "days_until_due",
    "interrupted_by",
    "new_password",
    "password_problem",
    "what_is_due",
]
