"""The table of capabilities and roles in plain words, for the page and the document that show it (PERM-93)."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.access import LIST_CAPABILITIES, PLAIN_ROLES, STUDY_WIDE, TABLE, Capability, Role

COLUMNS = (Role.STUDY_VIEWER, Role.STUDY_ANALYST, Role.STUDY_RESEARCHER, Role.STUDY_ADMIN, Role.SITE_ADMIN)
ROLE_NAMES = {
    Role.STUDY_VIEWER: "Viewer",
    Role.STUDY_ANALYST: "Analyst",
    Role.STUDY_RESEARCHER: "Researcher",
    Role.STUDY_ADMIN: "Administrator",
    Role.SITE_ADMIN: "Site administrator",
}
ROLE_HINTS = {
    Role.STUDY_VIEWER: "Reads the study's pages. Changes nothing, downloads nothing, sees no passwords.",
    Role.STUDY_ANALYST: "Reads pages and downloads data, also by API key. Changes nothing, sees no passwords.",
    Role.STUDY_RESEARCHER: "Manages participants, surveys and fields, and downloads data.",
    Role.STUDY_ADMIN: "All that, and app settings, the study itself and its team.",
    Role.SITE_ADMIN: "Everything in every study, accounts and the server. Needs no role in a study.",
}
# The first part of a capability's name, and the heading under which its rows stand.
_GROUPS = {
    "own": "One's own account",
    "study": "The study",
    "participant": "Participants",
    "notes": "Participants",
    "alerts": "Participants",
    "location": "Participants",
    "survey": "Surveys, interventions, fields",
    "intervention": "Surveys, interventions, fields",
    "field": "Surveys, interventions, fields",
    "answers": "Surveys, interventions, fields",
    "recordings": "Surveys, interventions, fields",
    "data": "Data",
    "statistics": "Data",
    "measures": "Data",
    "export": "Data",
    "webhook": "Data",
    "processing": "Data",
    "forest": "Forest",
    "relation": "People",
    "researcher": "People",
    "audit": "People",
    "push_credentials": "The server",
    "system": "The server",
    "downtime": "The server",
}


@dataclass(frozen=True)
class RightsRow:
    """A capability: its name in the code, what it is in words, who has it, and what API keys of these may do.

    `is_study_wide`: a role that is limited to a site includes it only if it says so (PERM-95).
    """

    name: str
    words: str
    roles: frozenset[Role]
    is_open_to_keys: bool
    is_for_lists: bool
    is_study_wide: bool

    def has(self, role: Role) -> bool:
        """Whether that role has it."""
        return Role.RESEARCHER in self.roles or role in self.roles

    def is_open_to_key_of(self, role: Role) -> bool:
        """Whether an API key of somebody in that role may do it; a viewer's may do nothing (PERM-94)."""
        return self.is_open_to_keys and self.has(role) and role is not Role.STUDY_VIEWER


def rights_by_group() -> list[tuple[str, Sequence[RightsRow]]]:
    """All rows of the table, under their headings, those that more roles have first."""
    groups: dict[str, list[RightsRow]] = {group: [] for group in _GROUPS.values()}
    for capability in Capability:
        rule = TABLE[capability]
        row = RightsRow(
            capability.value,
            rule.words,
            rule.roles,
            rule.is_open_to_keys,
            is_for_lists=capability in LIST_CAPABILITIES,
            is_study_wide=capability in STUDY_WIDE and bool(rule.roles & set(PLAIN_ROLES)),
        )
        groups[_GROUPS[capability.partition(".")[0]]].append(row)
    return [(group, sorted(rows, key=lambda row: -sum(map(row.has, COLUMNS)))) for group, rows in groups.items()]


def rights_document() -> str:
    """The table as the text of `docs/permissions.md`."""
    lines = [
        "# Who may do what",
        "",
        "For study teams and operators. This page is generated from the table in `core/access.py`, which every page,",
        "command and endpoint asks: `python -m core.accounts.rights_table > docs/permissions.md` writes it anew, and a",
        "test checks that it is current. The portal shows the same table to everybody who is signed in.",
        "",
        "| role | what it is for |",
        "|---|---|",
        *(f"| {ROLE_NAMES[role]} | {ROLE_HINTS[role]} |" for role in COLUMNS),
        "",
        "A role in a study can have a last day: the whole of that day in the study's zone still counts. An API key may",
        "do what its owner may do at that moment, where the last column says so; a viewer's key may do nothing. A key",
        "can be made for one study, or for lists alone, which gives no data of participants.",
        "",
        "The role of a researcher, analyst or viewer can be limited to a site: to participants who have certain values",
        "of a custom field. Others do not exist for this person in the study: in lists, counts, figures, downloads and",
        "the API. A participant without a value is seen by nobody whose role is limited. New participants get the site",
        "of the person who adds them, and nobody changes the field that limits their own role. What concerns the whole",
        "study, marked with *, is refused, unless the role says otherwise. A field that limits a role cannot be",
        "deleted. That an external id is taken in the study may show.",
    ]
    for group, rows in rights_by_group():
        names = " | ".join(ROLE_NAMES[role] for role in COLUMNS)
        lines += ["", f"## {group}", "", f"| | {names} | API key |", "|---|" + ":-:|" * (len(COLUMNS) + 1)]
        for row in rows:
            ticks = " | ".join("yes" if row.has(role) else "–" for role in COLUMNS)
            key = "–" if not row.is_open_to_keys else "yes, also for lists" if row.is_for_lists else "yes"
            star = " *" if row.is_study_wide else ""
            lines.append(f"| {row.words} (`{row.name}`){star} | {ticks} | {key} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(rights_document(), end="")
