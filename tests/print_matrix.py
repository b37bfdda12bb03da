"""`python -m tests.print_matrix`: for each route of the portal and the data API, who gets what.

Expectations of the permission matrix, which tests/webapp/test_permissions.py compares with the running application:
`+` goes to the view, `L` leads to sign-in, `R` to sign-in and back, a number is the status of the refusal.
"""

from core.access import Role
from tests.webapp.test_permissions import MATRIX, ROLES, Key, Page, who_may

SHORT = {
    "site_admin": "site",
    "study_admin": "admin",
    "study_researcher": "res",
    "study_analyst": "analyst",
    "study_viewer": "viewer",
    "researcher_elsewhere": "res elsewhere",
    "admin_elsewhere": "admin elsewhere",
    "none": "none",
}


def cell(row: Page | Key, who: str) -> str:
    """What the visitor, or a key of the visitor, gets."""
    if row.capability is None:
        return "+"
    is_viewers_key = isinstance(row, Key) and ROLES[who] is Role.STUDY_VIEWER
    return "+" if who in who_may(row.capability) and not is_viewers_key else "403"


def out(row: Page | Key) -> str:
    """What somebody gets who is not signed in, or has no key."""
    if row.capability is None and isinstance(row, Page):
        return "+"
    if isinstance(row, Key):
        return "400"
    return "R" if row.is_return_page else "L"


def lines() -> list[str]:
    """The matrix as a table of Markdown; capability of own account for keys is a right key alone."""
    head = ["route", "method", "capability", *SHORT.values(), "out", "hidden study"]
    table = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in MATRIX.values():
        if isinstance(row, str):
            continue
        is_page = isinstance(row, Page)
        is_about_study = row.is_about_study if is_page else row.capability is not None
        cells = [f"`{row.path}`", row.method if is_page else "POST", row.capability.value if row.capability else "–"]
        cells += [cell(row, who) for who in SHORT]
        table.append("| " + " | ".join([*cells, out(row), "404" if is_about_study else "–"]) + " |")
    return table


if __name__ == "__main__":
    print("\n".join(lines()))
