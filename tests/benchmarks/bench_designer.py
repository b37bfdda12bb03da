"""The survey designer with 150 questions, in a real browser: `python -m tests.benchmarks.bench_designer`.

Prints a JSON line for each kind of interaction: from the event until the page is laid out again (p50, p95 and longest,
ms), and one with the time until the page can be used (ms). 149 questions have conditions on the first one. Raises where
an interaction does not do what it should.
"""

import shutil
import statistics
import time
from datetime import UTC, datetime
from typing import Any

from playwright.sync_api import Page, sync_playwright

from core.access import Role
from core.accounts import create_researcher, new_password
from core.audit import SERVER
from core.database import db
from core.models import StudyRole, SurveyType
from core.surveys.saving import SurveyChanges, add_survey
from tests.benchmarks.measure import report
from tests.benchmarks.serving import serving, study_with_participants
from tests.browser.fixtures import ARGUMENTS

QUESTIONS, ROUNDS = 150, 40

MEASURE = """([kind, rounds]) => {
  const set = (field, value) => {
    const prototype = field.tagName === "TEXTAREA" ? HTMLTextAreaElement : HTMLInputElement;
    Object.getOwnPropertyDescriptor(prototype.prototype, "value").set.call(field, value);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const key = (name, alt) => document.querySelector(".question-list [aria-current=true]")
    .dispatchEvent(new KeyboardEvent("keydown", { key: name, altKey: alt, bubbles: true }));
  const acts = {
    typing: (n) => set(document.querySelector("#question-text"), `Text ${n}`),
    choosing: (n) => document.querySelector(`#question-${(n * 37) % 150}`).click(),
    moving: (n) => key(n % 2 ? "ArrowUp" : "ArrowDown", true),
    "typing an answer": (n) => set(document.querySelector("#answer-0"), `Answer ${n}`),
    "adding an answer": () => [...document.querySelectorAll(".answers-editor > button")][0].click(),
    duplicating: () => document.querySelector(".designer-editor header button:not(.icon-only)").click(),
    undoing: () => document.querySelector(".designer-bar [aria-label=Undo]").click(),
  };
  return Array.from({ length: rounds }, (_, n) => {
    const start = performance.now();
    acts[kind](n);
    document.body.getBoundingClientRect();
    return performance.now() - start;
  });
}"""


def main() -> None:
    """Runs the benchmark."""
    installed = shutil.which("chromium") or shutil.which("chromium-browser")
    with serving() as server, sync_playwright() as playwright:
        password = new_password()
        address = survey_address(password)
        browser = playwright.chromium.launch(executable_path=installed, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.address)
        page.get_by_label("User name").fill("viewer")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Continue").click()
        page.wait_for_load_state()
        started = time.perf_counter()
        page.goto(server.address + address)
        page.locator("html[data-designer=ready]").wait_for(state="attached")
        report("designer opened", questions=QUESTIONS, ms=(time.perf_counter() - started) * 1000)
        for place, kinds in ((0, ("typing an answer", "adding an answer", "undoing")), (75, ("typing", "moving"))):
            page.locator(f"#question-{place}").click()
            for kind in kinds:
                measure(page, kind)
        measure(page, "choosing")
        measure(page, "duplicating")
        assert page.locator(".question-list > ol > li").count() == QUESTIONS + ROUNDS
        browser.close()


def measure(page: Page, kind: str) -> None:
    """Times one kind of interaction."""
    times = page.evaluate(MEASURE, [kind, ROUNDS])
    by_rank = sorted(times)
    report(
        f"designer: {kind}",
        questions=QUESTIONS,
        p50_ms=statistics.median(times),
        p95_ms=by_rank[int(len(by_rank) * 0.95) - 1],
        longest_ms=by_rank[-1],
    )


def survey_address(password: str) -> str:
    """The designer's path of a new survey, with a researcher who may edit it."""
    session = db.session()
    study, _ = study_with_participants(1)
    researcher = create_researcher(
        session, "viewer", password, is_site_admin=False, must_change_password=False, actor=SERVER
    )
    session.flush()
    session.add(StudyRole(study_id=study.id, researcher_id=researcher.id, role=Role.STUDY_ADMIN))
    changes = SurveyChanges(name="Long", content=questions())
    survey = add_survey(session, study, SurveyType.TRACKING, changes, datetime.now(UTC), actor=SERVER)
    session.commit()
    return f"/edit_survey/{study.id}/{survey.id}/questions"


def questions() -> list[dict[str, Any]]:
    """150 questions of all kinds; each is shown depending on the first."""
    first = {"question_type": "radio_button", "answers": [{"text": text} for text in ("never", "some", "often")]}
    kinds = [
        first,
        {"question_type": "slider", "min": "0", "max": "10"},
        {"question_type": "checkbox", "answers": [{"text": "noise"}, {"text": "pain"}]},
        {"question_type": "free_response", "text_field_type": "NUMERIC"},
    ]
    return [
        {
            "question_id": f"q{n}",
            "question_text": f"Question number {n} of a long survey?",
            "display_if": {"or": [{"==": ["q0", 2]}, {">=": ["q0", 1]}]} if n else None,
            **kinds[n % len(kinds)],
        }
        for n in range(QUESTIONS)
    ]


if __name__ == "__main__":
    main()
