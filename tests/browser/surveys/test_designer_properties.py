"""Whatever the designer makes is a survey that phones can read (SURVEY-15, SURVEY-21, SURVEY-23, SURVEY-27)."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.database import db
from core.models import Study, Survey, SurveyDraft
from core.surveys.content import decoded_content, questions_for_phones, questions_to_store
from core.surveys.rules.conditions import comparisons_of
from core.surveys.rules.survey import check_survey
from tests.browser.navigator import Portal
from tests.browser.surveys.designer import drafted
from tests.browser.surveys.test_designer import OFTEN, REST, SCALE, WHY, opened
from tests.support.factories import Factory
from tests.support.paths import VECTORS

pytestmark = pytest.mark.usefixtures("quick_passwords")

MONKEY = (Path(__file__).parent / "monkey.js").read_text()
TEXTS = ["Pain?", "😀 Grüße", "שלום", "<b>bold</b>", "{{ 7*7 }}", "a; b", "1", "\\u0000 'x' \"y\""]
TYPED = {"bad_slider_range", "no_answers"}  # what a person may type, and the designer shows as wrong


@pytest.fixture
def study(factory: Factory) -> Study:
    study = factory.study("Mood and movement")
    factory.researcher("mlopez", study=study)
    return study


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 30), marks=pytest.mark.long)], ids=["few", "many"])
def test_whatever_is_clicked_and_typed_is_readable_by_phones(
    portal: Portal, study: Study, factory: Factory, seeds: range
):
    """SURVEY-20, SURVEY-23: no reference forward, none to nothing, nothing that crashes an app; kept exactly."""
    seen = 0
    for seed in seeds:
        survey = factory.survey(study, content=json.dumps([OFTEN, SCALE, WHY, REST]))
        opened(portal, survey)
        steps = portal.page.evaluate(MONKEY, {"seed": seed * 7919 + 1, "steps": 250, "texts": TEXTS})
        settles(portal.page)
        content = decoded_content(survey_draft(survey))
        findings = check_survey("tracking_survey", content, {})
        wrong = [f for f in findings if (f.level == "error" and f.kind not in TYPED) or f.kind == "crashes_ios"]
        assert not wrong, (seed, wrong, steps, content)
        assert questions_for_phones(content) == questions_to_store(content) == content
        seen += sum(len(list(comparisons_of(question.get("display_if")))) for question in content)
    assert seen > len(seeds), "hardly any condition was made"
    portal.console_said()


def settles(page: Page) -> None:
    """Waits until all is saved, or the draft is as published."""
    page.keyboard.press("Control+s")
    expect(page.locator(".designer-bar [role=status]")).to_have_text(re.compile("Draft, saved|as published"))


def survey_draft(survey: Survey) -> str:
    db.session.rollback()
    row = db.session.get(SurveyDraft, survey.id)
    return row.content if row else survey.content


def published_contents() -> list[Any]:
    """Contents of golden surveys, and one whose numbers no browser writes as they are stored."""
    file = json.loads((VECTORS / "surveys" / "export_current.json").read_text())
    whys = {**WHY, "display_if": {"==": ["often", 2.0]}}
    odd = [OFTEN, {**SCALE, "min": 0, "max": 10.0, "note": 12345678901234567890}, whys]
    contents = [survey["content"] for survey in file["surveys"] if survey["survey_type"] == "tracking_survey"]
    return [content for content in contents if content] + [odd]


@pytest.mark.long
def test_what_was_changed_and_undone_keeps_every_byte(portal: Portal, study: Study, factory: Factory):
    """SURVEY-27, CLAR-50: also another question's, when one question is changed for good."""
    for content in published_contents():
        stored = json.dumps(content, indent=1)
        survey = factory.survey(study, content=stored)
        designer = opened(portal, survey)
        last = len(content) - 1
        designer.chooses(last)
        portal.page.get_by_label("Text", exact=True).fill("Changed")
        designer.is_saved()
        assert [json.dumps(question) for question in drafted(survey)[:last]] == [json.dumps(q) for q in content[:last]]
        portal.presses("Control+z")
        expect(portal.page.locator(".designer-bar [role=status]")).to_have_text("as published")
        assert survey_draft(survey) == stored
        portal.page.get_by_role("button", name="Publish version").click()
        expect(portal.page.get_by_text("Nothing changed.")).to_be_visible()


FOLLOW = """async (cases) => {
  const { answered } = await import("/static/js/designer/questions.js");
  return cases.map(({ questions, answers, from }) => {
    const { asking, questions: after } = answered(questions, 0, answers, from);
    const proposals = asking.map((ask) => ({ place: ask.place, proposals: ask.proposals }));
    return { asking: proposals, after };
  });
}"""
MEETS = {
    "==": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def case_of(chance: random.Random) -> dict[str, Any]:
    """Answers, a condition on each of two questions, and one edit: inserted, deleted or moved."""
    count = chance.randint(2, 5)
    texts = [{"text": f"answer {n}"} for n in range(count)]
    operators = [chance.choice(list(MEETS)) for _ in range(2)]
    asked = {**OFTEN, "question_type": chance.choice(["radio_button", "checkbox"]), "answers": texts}
    others = [
        {**REST, "question_id": f"r{n}", "display_if": {operator: ["often", chance.randrange(count)]}}
        for n, operator in enumerate(operators)
    ]
    places: list[int | None] = list(range(count))
    at = chance.randrange(count)
    match chance.randrange(3):
        case 0:
            places.insert(at, None)
        case 1:
            places.pop(at)
        case _:
            places.insert(chance.randrange(count), places.pop(at))
    answers = [{"text": "new"} if old is None else texts[old] for old in places]
    return {"questions": [asked, *others], "answers": answers, "from": places}


def meeting(logic: Any, count: int) -> set[int]:
    """Indices of the answers that meet the condition."""
    ((operator, operand),) = logic.items()
    if operator == "or":
        return set().union(*(meeting(part, count) for part in operand))
    return {index for index in range(count) if MEETS[operator](index, operand[1])}


@pytest.mark.long
def test_conditions_keep_their_meaning_when_answers_move(portal: Portal, study: Study):
    """SURVEY-27: the answers that met a condition meet it afterwards; where that cannot be, the designer asks."""
    chance = random.Random(27)
    cases = [case_of(chance) for _ in range(3000)]
    portal.opens("/")
    results = portal.page.evaluate(FOLLOW, cases)
    asked = 0
    for case, result in zip(cases, results, strict=True):
        old_count, places = len(case["questions"][0]["answers"]), case["from"]
        asking = {ask["place"]: ask["proposals"] for ask in result["asking"]}
        for place in (1, 2):
            before = case["questions"][place]["display_if"]
            kept = {places.index(old) for old in meeting(before, old_count) if old in places}
            new = {index for index, old in enumerate(places) if old is None}
            ((operator, (_, number)),) = before.items()
            if place in asking:
                asked += 1
                is_named_gone = number not in places
                assert is_named_gone or operator != "==", (case, result)
                logic = asking[place][0]
                assert logic is None or meeting(logic, len(places)) - new == kept, (case, result)
            else:
                assert meeting(result["after"][place]["display_if"], len(places)) - new == kept, (case, result)
    assert 300 < asked < 3000


def test_the_example_of_the_specification(portal: Portal, study: Study):
    """SURVEY-27: "rarely" inserted at 1 makes `== 2` into `== 3`."""
    portal.opens("/")
    case = {
        "questions": [OFTEN, WHY],
        "answers": [{"text": text} for text in ("never", "rarely", "some", "often")],
        "from": [0, None, 1, 2],
    }
    ((result),) = portal.page.evaluate(FOLLOW, [case])
    assert result["after"][1]["display_if"] == {"==": ["often", 3]} and not result["asking"]


@pytest.mark.parametrize("step", [25, pytest.param(1, marks=pytest.mark.long)], ids=["few", "all"])
def test_the_designer_opens_every_golden_content(portal: Portal, study: Study, factory: Factory, step: int):
    """SURVEY-22: also content with errors of all kinds is shown, and nothing of it is lost by looking."""
    cases = json.loads((VECTORS / "surveys" / "skip_logic.json").read_text())["cases"]
    for case in cases[::step]:
        stored = json.dumps(case["content"])
        survey = factory.survey(study, content=stored)
        opened(portal, survey)
        questions = case["content"] if isinstance(case["content"], list) else []
        expect(portal.page.locator(".question-list > ol > li")).to_have_count(len(questions))
        for place in range(len(questions)):
            portal.page.locator(f"#question-{place}").click()
        assert survey_draft(survey) == stored
