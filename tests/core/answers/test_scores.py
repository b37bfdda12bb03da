"""Scores: defined, computed when answers come and anew, with missing and reversed items (CLAR-55, CLAR-57)."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from core.answers import scoring
from core.answers.rules.scoring import (
    GivenAnswer,
    Scored,
    ScoreRefused,
    definition_from,
    score_of,
)
from core.answers.scores import recompute_score, remove_score, save_score, scores_of_survey
from core.answers.scoring import compute_open_runs, continue_run, open_runs
from core.answers.submitted import submissions_of
from core.audit import SERVER
from core.database import db
from core.models import AuditRecord, Participant, ScoreValue, ScoreVersion, Survey
from core.streams import Platform
from core.surveys.saving import add_version
from tests.support.answering import MOOD, file_of, process, submits
from tests.support.commands import command
from tests.support.factories import Factory
from tests.support.this_hour import this_hour

HOUR = timedelta(hours=1)
OPTIONS = [{"text": text} for text in ("never", "some days", "more than half", "nearly every day")]
CONTENT: list[dict[str, Any]] = [
    {"question_id": f"i{n}", "question_type": "radio_button", "question_text": f"Item {n}?", "answers": OPTIONS}
    for n in range(1, 4)
] + [{"question_id": "s", "question_type": "slider", "question_text": "S?", "min": "0", "max": "10"}]


def definition(*items: Any, combination: str = "sum", least: int | None = None) -> dict[str, Any]:
    listed = [item if isinstance(item, dict) else {"question_id": item} for item in items]
    return {"combination": combination, "items": listed, "least_answered": len(listed) if least is None else least}


def radio(choice: int) -> GivenAnswer:
    return GivenAnswer("radio_button", 4, None, None, None, [choice])


def slider(number: float) -> GivenAnswer:
    return GivenAnswer("slider", 0, 0, 10, number, None)


REVERSED = {"question_id": "i2", "is_reversed": True}


@pytest.mark.parametrize(
    ("of", "answers", "value", "count"),
    [
        (definition("i1", "i2", "i3"), {"i1": radio(0), "i2": radio(1), "i3": radio(3)}, 4, 3),
        (definition("i1", "i2", combination="mean"), {"i1": radio(0), "i2": radio(3)}, 1.5, 2),
        (definition("i1", REVERSED), {"i1": radio(1), "i2": radio(3)}, 1, 2),  # 0 + 3 - 3
        (definition("i1", "i2", "i3", least=2), {"i1": radio(1), "i3": radio(3)}, 6, 2),  # prorated: 2 x 3
        (definition("i1", "i2", "i3", least=3), {"i1": radio(1), "i3": radio(3)}, None, 2),
        (definition("i1", "i2", combination="mean", least=1), {"i2": radio(2)}, 2, 1),
        (definition({"question_id": "i1", "values": [1, 2, 4, 8]}), {"i1": radio(3)}, 8, 1),
        (definition({"question_id": "i1", "values": [5, 4, 3, 1], "is_reversed": True}), {"i1": radio(0)}, 1, 1),
        (definition({"question_id": "s", "is_reversed": True}), {"s": slider(3)}, 7, 1),
        (definition({"question_id": "s", "is_reversed": True, "least": 1, "most": 5}), {"s": slider(2)}, 4, 1),
        (definition({"question_id": "i1", "values": [1, 2]}), {"i1": radio(0)}, None, 0),  # codes of other options
        (definition("x"), {}, None, 0),
        (
            definition({"question_id": "c", "values": [1, 10, 100]}),
            {"c": GivenAnswer("checkbox", 3, None, None, None, [0, 2])},
            101,
            1,
        ),
    ],
)
def test_scores_by_hand(of: dict[str, Any], answers: dict[str, GivenAnswer], value: float | None, count: int):
    """CLAR-57: sum, mean, reversed items, codes, prorated or null."""
    assert score_of(definition_from(of), answers) == Scored(value, count)


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=12), st.data())
def test_reversing_all_items_turns_the_score(choices: list[int | None], data: st.DataObject):
    """CLAR-57: both are null together, and add up to the range."""
    least = data.draw(st.integers(1, len(choices)))
    answers = {str(n): radio(choice) for n, choice in enumerate(choices) if choice is not None}
    plain = definition_from(definition(*(str(n) for n in range(len(choices))), least=least))
    turned = [{"question_id": str(n), "is_reversed": True} for n in range(len(choices))]
    one, other = score_of(plain, answers), score_of(definition_from(definition(*turned, least=least)), answers)
    assert (one.value is None) == (other.value is None) == (len(answers) < least)
    if one.value is not None and other.value is not None:
        assert one.value + other.value == pytest.approx(3 * len(choices))
    assert definition_from(plain.as_json()) == plain


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {"combination": "product", "items": [{"question_id": "a"}]},
        {"combination": "sum", "items": []},
        definition("a", "a"),
        definition("a", least=0),
        definition("a", least=2),
        definition("a", least=True),
        definition({"question_id": "a", "values": ["x"]}),
        definition({"question_id": "a", "values": []}),
        definition({"question_id": "a", "least": 1}),
        definition({"question_id": "a", "least": 2, "most": 1}),
        definition({"question_id": "a", "least": float("nan"), "most": 1}),
        definition({"question_id": "a", "other": 1}),
        definition({"question_id": ""}),
        definition({"question_id": "a", "is_reversed": 1}),
    ],
)
def test_definitions_that_cannot_be_are_refused(wrong: Any):
    with pytest.raises(ScoreRefused):
        definition_from(wrong)


@pytest.fixture
def participant(factory: Factory) -> Participant:
    return factory.participant()


@pytest.fixture
def survey(factory: Factory, participant: Participant) -> Survey:
    return factory.survey(participant.study, content=json.dumps(CONTENT))


def save(survey: Survey, of: dict[str, Any], score_id: int | None = None, variable: str = "total") -> int:
    score = save_score(db.session(), survey, score_id, name="Total", variable=variable, definition=of, actor=SERVER)
    db.session.commit()
    return score.id


def answers(participant: Participant, survey: Survey, n: int, **given: int) -> None:
    submits(participant, survey, this_hour() - n * HOUR, file_of(given, Platform.ANDROID, CONTENT))
    process()


def shown(survey: Survey) -> list[float | None]:
    found = submissions_of(db.session(), survey.id)
    return [each.scores[0].value if each.scores else None for each in found]


def test_scores_come_with_answers_and_after_a_change_for_all(app: Flask, participant: Participant, survey: Survey):
    """CLAR-57: versions of a score and of its recalculation are kept."""
    answers(participant, survey, 3, i1=1, i2=2, i3=3)
    score = save(survey, definition("i1", "i2", "i3"))
    assert shown(survey) == [None]
    answers(participant, survey, 2, i1=1, i2=1, i3=1)
    answers(participant, survey, 1, i1=1, i2=1)
    assert shown(survey) == [None, 3, None]
    (run,) = compute_open_runs(db.session())
    assert (run.submissions, run.changed, run.is_done) == (3, 1, True)
    assert shown(survey) == [None, 3, 6]
    assert save(survey, definition("i1", "i2", "i3"), score) == score and open_runs(db.session()) == []
    save(survey, definition("i1", "i2", "i3", combination="mean", least=2), score)
    assert command("scores", "compute")[0]["changed"] == 3
    db.session.commit()
    assert shown(survey) == [1, 1, 2]
    versions = db.session.scalars(sa.select(ScoreVersion).order_by(ScoreVersion.number)).all()
    assert [version.number for version in versions] == [1, 2]
    kept = sa.select(sa.func.count()).select_from(ScoreValue).group_by(ScoreValue.score_version_id)
    assert db.session.scalars(kept).all() == [3, 3]
    recompute_score(db.session(), survey, score, actor=SERVER)
    assert [run.changed for run in compute_open_runs(db.session())] == [0]
    remove_score(db.session(), survey, score, this_hour(), actor=SERVER)
    db.session.commit()
    assert shown(survey) == [None, None, None] and scores_of_survey(db.session(), survey.id) == []
    actions = db.session.scalars(sa.select(AuditRecord.action).order_by(AuditRecord.id)).all()
    assert actions[-5:] == ["score.save", "score.save", "score.save", "score.compute", "score.remove"]


def test_a_recalculation_is_continued_where_it_was_stopped(
    app: Flask, participant: Participant, survey: Survey, monkeypatch: pytest.MonkeyPatch
):
    for n in range(5):
        submits(participant, survey, this_hour() - n * HOUR, file_of({"i1": 1}, Platform.ANDROID, CONTENT))
    process()
    save(survey, definition("i1"))
    monkeypatch.setattr(scoring, "SUBMISSIONS_AT_ONCE", 2)
    (number,) = open_runs(db.session())
    seen = [continue_run(db.session(), number) for _ in range(4)]
    assert [each.submissions for each in seen] == [2, 4, 5, 5]
    assert [each.is_done for each in seen] == [False, False, False, True]
    assert continue_run(db.session(), number) == seen[-1]


def test_which_versions_of_the_survey_a_score_fits(app: Flask, survey: Survey):
    """CLAR-57: codes of other options, and questions that are gone, are named."""
    coded = {"question_id": "i1", "values": [0, 1, 2, 3]}
    score = save(survey, definition(coded, "i2"))
    survey.content = json.dumps([CONTENT[0] | {"answers": OPTIONS[:3]}, MOOD])
    add_version(db.session(), survey, this_hour())
    db.session.commit()
    (found,) = scores_of_survey(db.session(), survey.id)
    assert (found.id, found.fits, found.version, found.waiting_runs) == (score, (1,), 1, 1)
    assert found.misfits == ("Item 1?: it has 3 answers, and 4 codes.", "i2: the survey does not ask it.")


@pytest.mark.parametrize("variable", ["", "Total", "q1", "1x", "with", "a b", "x" * 32])
def test_names_that_statistics_programs_do_not_take_are_refused(app: Flask, survey: Survey, variable: str):
    with pytest.raises(ScoreRefused):
        save(survey, definition("i1"), variable=variable)
    db.session.rollback()


def test_a_score_of_another_survey_and_a_taken_variable_are_refused(app: Flask, factory: Factory, survey: Survey):
    score = save(survey, definition("i1"))
    with pytest.raises(ScoreRefused):
        save(survey, definition("i2"))
    other = factory.survey(factory.study())
    for refused in (
        lambda: save(other, definition("i1"), score),
        lambda: remove_score(db.session(), other, score, this_hour(), actor=SERVER),
        lambda: recompute_score(db.session(), other, score, actor=SERVER),
    ):
        with pytest.raises(ScoreRefused):
            refused()
    db.session.rollback()
