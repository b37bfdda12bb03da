"""Settings files of all ages: exported, previewed, imported, refused (SURVEY-50 to SURVEY-56)."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import COMMAND_LINE
from core.database import db
from core.models import AppSettingsVersion, CustomField, Intervention, ScheduledEvent, Study, Survey, SurveyVersion
from core.studies.copying import copy_study
from core.studies.languages import save_language
from core.studies.settings_file.importing import ImportPlan, ImportRefused, Ticks, import_file, plan_import
from core.studies.settings_file.reading import FileUnreadable, read_study_file
from core.studies.settings_file.writing import study_file
from tests.support.factories import Factory
from tests.support.paths import VECTORS
from tests.support.this_hour import this_hour

FOLDER = VECTORS / "surveys"


def data(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes()


def plan_of(study: Study, contents: bytes, ticks: Ticks = Ticks()) -> ImportPlan:  # noqa: B008  immutable
    return plan_import(db.session(), study, read_study_file(contents), ticks)


def bring_in(study: Study, contents: bytes, ticks: Ticks = Ticks()) -> dict[str, Any]:  # noqa: B008  immutable
    """Imports, and exports again."""
    import_file(db.session(), study, plan_of(study, contents, ticks), this_hour(), actor=COMMAND_LINE)
    db.session.commit()
    return json.loads(json.dumps(study_file(db.session(), study)))


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    return factory.study()


@pytest.mark.parametrize("name", ["export_current", "export_all_questions", "export_schedules"])
def test_a_file_of_today_survives_import_and_export_exactly(study: Study, name: str):
    """SURVEY-50, SURVEY-56."""
    exported = bring_in(study, data(name), Ticks(timezone=True))
    assert exported == json.loads(data(name))
    assert bring_in(study, data(name), Ticks(surveys=False)) == exported


def test_the_zone_is_taken_only_when_it_is_ticked(study: Study):
    """SURVEY-51, PORTAL-97."""
    bring_in(study, data("export_schedules"))
    assert study.timezone_name == "America/New_York"


def test_a_file_of_old_integers_gets_named_interventions(study: Study):
    """SURVEY-51, SURVEY-52: what the file does not say keeps the study's values."""
    before = study_file(db.session(), study)["device_settings"]
    exported, wanted = bring_in(study, data("export_old_integers")), json.loads(data("imported_old_integers"))
    assert exported["interventions"] == wanted["interventions"] and exported["surveys"] == wanted["surveys"]
    given = wanted["device_settings"]
    sections = before["consent_sections"] | given.get("consent_sections", {})
    assert exported["device_settings"] == before | given | {"consent_sections": sections}


def test_an_old_file_comes_in_and_its_null_content_is_empty(study: Study):
    """SURVEY-51."""
    exported = bring_in(study, data("export_old"))
    assert exported["interventions"] == ["Intervention 0", "Intervention 1"]
    given = json.loads(data("export_old"))["surveys"]
    empty = [place for place, survey in enumerate(given) if survey["content"] is None]
    assert empty and all(exported["surveys"][place]["content"] == [] for place in empty)


def test_a_name_that_is_taken_gets_a_suffix(study: Study, factory: Factory):
    """SURVEY-51."""
    factory.intervention(study, "intervention 0")
    exported = bring_in(study, data("export_old_integers"))
    assert exported["interventions"] == ["intervention 0", "Intervention 0 (2)", "Intervention 1"]


@pytest.mark.parametrize(
    ("name", "places"),
    [
        (
            "export_bad",
            [
                "surveys[0].content, question 00000002-0000-4000-8000-000000000000",
                "surveys[0].timings",
                "surveys[0].absolute_timings",
                "surveys[0].relative_timings",
                "surveys[1].survey_type",
            ],
        ),
        (
            "export_malformed",
            [
                "surveys[0].timings",
                "surveys[1].absolute_timings",
                "surveys[2].content, question 00000005-0000-4000-8000-000000000001",
                "surveys[3].survey_type",
                "surveys[6]",
                "device_settings.gps",
                "device_settings.accelerometer_frequency",
                "device_settings.resend_period_minutes",
                "device_settings.heartbeat_timer_minutes",
                "device_settings.consent_sections",
                "interventions[1]",
                "interventions[2]",
            ],
        ),
    ],
)
def test_a_wrong_file_is_refused_whole_with_each_place(study: Study, name: str, places: list[str]):
    """SURVEY-53."""
    before = study_file(db.session(), study)
    plan = plan_of(study, data(name))
    assert set(places) <= {told.place for told in plan.errors}, plan.errors
    with pytest.raises(ImportRefused):
        import_file(db.session(), study, plan, this_hour(), actor=COMMAND_LINE)
    db.session.rollback()
    assert study_file(db.session(), study) == before
    assert db.session.scalars(sa.select(Survey)).all() == []


def test_what_is_not_json_says_line_and_column():
    """SURVEY-53."""
    with pytest.raises(FileUnreadable, match=r"line \d+, column \d+"):
        read_study_file(data("export_truncated"))
    for other in (b"[]", b"\xff", b"", b'{"surveys": NaN}'):
        with pytest.raises(FileUnreadable):
            read_study_file(other)


def test_unknown_keys_and_settings_are_warnings(study: Study):
    """SURVEY-52, SURVEY-53."""
    file = read_study_file(b'\xef\xbb\xbf{"newer": 1, "device_settings": {"colour": 2, "gps": false, "id": 5}}')
    assert {told.place for told in file.warnings} == {"newer", "device_settings.colour"} and not file.errors
    plan = plan_import(db.session(), study, file, Ticks())
    assert plan.settings == [("gps", True, False)]


def test_surveys_added_twice_have_questions_of_their_own(study: Study):
    """CLAR-50: sycamore joins answers by the questions' ids; logic follows."""
    exported = bring_in(study, data("export_current"))
    again = bring_in(study, data("export_current"))
    assert len(again["surveys"]) == 2 * len(exported["surveys"])
    ids = [q["question_id"] for s in again["surveys"] for q in s["content"] if "question_id" in q]
    assert len(ids) == len(set(ids))
    texts = [json.dumps(survey["content"]) for survey in again["surveys"]]
    assert all(text.count(i) >= 1 for i in ids for text in texts if i in text)
    assert not read_study_file(json.dumps(again).encode()).errors


def test_texts_that_are_equal_to_an_id_stay(study: Study):
    """CLAR-50: an id is replaced as a question's own and in comparisons, nowhere else."""
    mood = {"question_id": "mood", "question_type": "radio_button", "answers": [{"text": "mood"}]}
    mood["question_text"] = "mood"
    logic = {"not": {"and": [{"==": ["mood", 0]}, {"<": ["mood", 3]}]}}
    why = {"question_id": "why", "question_type": "info_text_box", "question_text": "why", "display_if": logic}
    contents = json.dumps({"surveys": [{"survey_type": "tracking_survey", "content": [mood, why]}]}).encode()
    first, second = (bring_in(study, contents)["surveys"][-1]["content"] for _ in range(2))
    new = second[0]["question_id"]
    assert new != "mood" and second[1]["display_if"] == {"not": {"and": [{"==": [new, 0]}, {"<": [new, 3]}]}}
    without = [{k: v for k, v in q.items() if k not in ("question_id", "display_if")} for q in second]
    assert without == [{k: v for k, v in q.items() if k not in ("question_id", "display_if")} for q in first]


def test_each_survey_has_one_version_and_events_follow(study: Study, factory: Factory):
    """SURVEY-54, PHONE-57."""
    factory.participant(study)
    bring_in(study, data("export_current"))
    surveys = db.session.scalar(sa.select(sa.func.count()).select_from(Survey))
    assert db.session.scalar(sa.select(sa.func.count()).select_from(SurveyVersion)) == surveys
    assert db.session.scalars(sa.select(ScheduledEvent)).first() is not None


def test_settings_alone_leave_surveys_and_write_one_version(study: Study):
    """PORTAL-97: interventions of the file come whatever is ticked."""
    bring_in(study, data("export_current"), Ticks(surveys=False))
    assert db.session.scalars(sa.select(Survey)).all() == []
    assert db.session.scalars(sa.select(Intervention)).all()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(AppSettingsVersion)) == 2


@pytest.mark.parametrize(
    "text", ['"a\\u0000"', '"\\ud83d"', "1e999", "[" * 200 + "]" * 200], ids=["nul", "half a pair", "large", "deep"]
)
def test_what_the_database_cannot_keep_is_refused_with_its_place(study: Study, text: str):
    """SURVEY-53: in the open, and in a JSON text."""
    contents = f'{{"surveys": [{{"survey_type": "audio_survey", "content": [{{"prompt": "p", "k": {text}}}]}}]}}'
    errors = plan_of(study, contents.encode()).errors
    assert errors and errors[0].place.startswith("surveys[0].content[0].k")
    within = json.loads(contents) if text != "1e999" else {"surveys": [{"survey_type": "audio_survey"}]}
    within["surveys"][0]["settings"] = f'{{"s": {text}}}'
    within["surveys"][0]["content"] = []
    places = [told.place for told in plan_of(study, json.dumps(within).encode()).errors]
    assert places and places[0].startswith("surveys[0].settings")


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [
        ("tracking_survey", {"randomize": "yes"}),
        ("tracking_survey", {"number_of_random_questions": -1}),
        ("audio_survey", {"bit_rate": 5}),
        ("audio_survey", {"always_available": 1}),
    ],
)
def test_settings_that_no_survey_can_have_are_refused(study: Study, kind: str, chosen: dict):
    """SURVEY-53, SURVEY-22: `bad_settings`; settings of no known name are kept (SURVEY-11)."""
    survey = {"survey_type": kind, "settings": chosen, "content": None}
    errors = plan_of(study, json.dumps({"surveys": [survey]}).encode()).errors
    assert [told.place for told in errors] == ["surveys[0].settings"] and next(iter(chosen)) in errors[0].message
    survey["settings"] = {"colour": 5, "number_of_random_questions": 0}
    assert not plan_of(study, json.dumps({"surveys": [survey]}).encode()).errors


def test_places_and_names_that_cannot_be_shown_are_escaped(study: Study):
    """SURVEY-53."""
    contents = (
        b'{"\\ud800": 1, "interventions": ["\\ud800"], "surveys": [{"survey_type": "audio_survey", "name": "\\u0000"}]}'
    )
    plan = plan_of(study, contents)
    assert {told.place for told in plan.errors} == {"interventions[0]", "surveys[0].name"}
    assert [told.place for told in plan.file.warnings] == ["\\ud800"]


ARMED = {
    "field": "Group",
    "value": "A",
    "timings": [[32400], [], [], [], [], [], []],
    "absolute_timings": [[2030, 1, 31, 32400]],
    "relative_timings": [["Baseline", 3, 32400]],
    "random_timings": [[[0, 6], 32400, 75600, 3, 60]],
}
MORE = {"random_timings": [[[1, 2, 3], 0, 86340, 8, 90]], "arm_timings": [ARMED], "expiry_minutes": 90}


def with_more(more: dict[str, Any]) -> bytes:
    """A file of today whose first survey has these keys, too."""
    file = json.loads(data("export_schedules"))
    file["surveys"][0] |= more
    file["interventions"] = ["Baseline", *file["interventions"]]
    return json.dumps(file).encode()


def test_random_times_arms_and_expiry_survive_exactly_and_are_absent_when_unused(study: Study, factory: Factory):
    """CLAR-55: the field of arms is merged by its name, whatever its case; the preview names what is new."""
    plan = plan_of(study, with_more(MORE))
    assert (plan.errors, plan.fields, plan.as_json()["fields"]) == ([], ["Group"], ["Group"])
    exported = bring_in(study, with_more(MORE))
    assert exported["surveys"] == json.loads(with_more(MORE))["surveys"]
    other = factory.study()
    db.session.add(CustomField(study_id=other.id, name="GROUP"))
    again = with_more({**MORE, "arm_timings": [ARMED, {**ARMED, "field": "group", "value": "B"}]})
    assert plan_of(other, again).fields == [] and "fields" not in plan_of(other, again).as_json()
    surveys = bring_in(other, again)["surveys"]
    assert [(arm["field"], arm["value"]) for arm in surveys[0]["arm_timings"]] == [("GROUP", "A"), ("GROUP", "B")]
    plain = {"content", "settings", "survey_type", "name", "timings", "absolute_timings", "relative_timings"}
    assert all(set(survey) == plain for survey in surveys[1:]) and surveys[1:]
    copied = factory.study()
    copy_study(db.session(), study, copied, settings=False, surveys=True, now=this_hour(), actor=COMMAND_LINE)
    assert study_file(db.session(), copied)["surveys"] == exported["surveys"]
    assert plan_of(factory.study(), with_more(MORE), Ticks(surveys=False)).fields == []


QUESTION = "2c9c9eb5-8a0c-4a56-9b2c-2a1d1a2b0001"
SPOKEN = {
    "surveys": [
        {
            "content": [
                {
                    "question_id": QUESTION,
                    "question_type": "radio_button",
                    "question_text": "How are you?",
                    "answers": [{"text": "Well"}, {"text": "Badly 😀"}],
                    "display_if": None,
                    "required": False,
                }
            ],
            "settings": {},
            "survey_type": "tracking_survey",
            "name": "Evening",
            "timings": [[] for _ in range(7)],
            "absolute_timings": [],
            "relative_timings": [],
            "translations": [
                {"language": "he", "name": "ערב", "texts": {QUESTION: {"How are you?": "מה שלומך?", "Well": "טוב"}}}
            ],
            "scores": [
                {
                    "name": "Mood",
                    "variable": "mood",
                    "definition": {
                        "combination": "sum",
                        "items": [{"question_id": QUESTION, "is_reversed": True, "values": [1.0, 3.0]}],
                        "least_answered": 1,
                    },
                }
            ],
        }
    ],
    "languages": [{"code": "en", "name": "English"}, {"code": "he", "name": "עברית", "one_survey": "סקר"}],
    "language_field": "Language",
}


def test_languages_translations_and_scores_survive_exactly_and_follow_copies(study: Study, factory: Factory):
    """CLAR-55, CLAR-50: new ids of questions are followed; what the study has already stays."""
    contents = json.dumps(SPOKEN).encode()
    plan = plan_of(study, contents)
    assert (plan.errors, plan.file.warnings, plan.fields) == ([], [], ["Language"])
    assert plan.as_json()["languages"] == ["English", "עברית"]
    exported = bring_in(study, contents)
    assert {key: exported[key] for key in SPOKEN} == SPOKEN
    copied = factory.study()
    copy_study(db.session(), study, copied, settings=False, surveys=True, now=this_hour(), actor=COMMAND_LINE)
    assert {key: study_file(db.session(), copied)[key] for key in SPOKEN} == SPOKEN
    assert plan_of(study, contents).languages == [] and plan_of(study, contents).fields == []
    twice = bring_in(study, contents)
    second = twice["surveys"][1]
    (renewed,) = (question["question_id"] for question in second["content"])
    assert renewed != QUESTION and set(second["translations"][0]["texts"]) == {renewed}
    assert second["scores"][0]["definition"]["items"][0]["question_id"] == renewed
    assert twice["languages"] == SPOKEN["languages"]
    plain = study_file(db.session(), factory.study())
    assert not {"languages", "language_field"} & plain.keys()
    assert bring_in(factory.study(), contents, Ticks(surveys=False)).get("languages") is None


def with_change(*path: Any, value: Any) -> bytes:
    """The file above with another value at a place."""
    file = json.loads(json.dumps(SPOKEN))
    at = file
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(file).encode()


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("languages",), {}, "languages"),
        (("languages", 1), "he", "languages[1]"),
        (("languages", 1, "code"), "klingon!", "languages[1].code"),
        (("languages", 1, "name"), " ", "languages[1].name"),
        (("languages", 1, "title"), "x" * 200, "languages[1].title"),
        (("languages", 1, "name"), "ENGLISH", "languages[1]"),
        (("languages", 1, "title"), "a\0", "languages[1].title"),
        (("language_field",), 7, "language_field"),
        (("surveys", 0, "translations"), {}, "surveys[0].translations"),
        (("surveys", 0, "translations", 0), [], "surveys[0].translations[0]"),
        (("surveys", 0, "translations", 0, "language"), "en", "surveys[0].translations[0].language"),
        (("surveys", 0, "translations", 0, "language"), "fr", "surveys[0].translations[0].language"),
        (("surveys", 0, "translations", 0, "name"), 7, "surveys[0].translations[0].name"),
        (("surveys", 0, "translations", 0, "texts"), {QUESTION: "x"}, "surveys[0].translations[0].texts"),
        (
            ("surveys", 0, "translations", 0, "texts", QUESTION, "Badly 😀"),
            "טוב",
            "surveys[0].translations[0].texts",
        ),
        (("surveys", 0, "scores"), 7, "surveys[0].scores"),
        (("surveys", 0, "scores", 0, "name"), 7, "surveys[0].scores[0]"),
        (("surveys", 0, "scores", 0, "variable"), "q1", "surveys[0].scores[0]"),
        (("surveys", 0, "scores", 0, "definition", "combination"), "product", "surveys[0].scores[0]"),
        (("surveys", 0, "scores"), SPOKEN["surveys"][0]["scores"] * 2, "surveys[0].scores[1].variable"),
    ],
)
def test_what_is_wrong_in_languages_and_scores_is_named_with_its_place(
    study: Study, path: tuple[Any, ...], value: Any, place: str
):
    """CLAR-55, SURVEY-53."""
    plan = plan_of(study, with_change(*path, value=value))
    assert place in {told.place for told in plan.errors}, plan.errors


def test_a_study_with_another_base_language_refuses_the_file(study: Study):
    """CLAR-59: else texts of one language would stand for those of another."""
    save_language(db.session(), study, "fr", "Français", {}, actor=COMMAND_LINE)
    plan = plan_of(study, json.dumps(SPOKEN).encode())
    assert [told.place for told in plan.errors] == ["languages[0]"]
    assert plan_of(study, json.dumps(SPOKEN).encode(), Ticks(surveys=False)).errors == []


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"random_timings": [[[1], 0, 3600, 5, 60]]}, "surveys[0].random_timings"),
        ({"expiry_minutes": 5}, "surveys[0].expiry_minutes"),
        ({"expiry_minutes": "90"}, "surveys[0].expiry_minutes"),
        ({"arm_timings": {}}, "surveys[0].arm_timings"),
        ({"arm_timings": [ARMED, []]}, "surveys[0].arm_timings[1]"),
        ({"arm_timings": [{**ARMED, "field": " "}]}, "surveys[0].arm_timings[0].field"),
        ({"arm_timings": [{**ARMED, "value": None}]}, "surveys[0].arm_timings[0].value"),
        ({"arm_timings": [{**ARMED, "value": ""}]}, "surveys[0].arm_timings[0].value"),
        ({"arm_timings": [{**ARMED, "value": "a\0"}]}, "surveys[0].arm_timings[0].value"),
        ({"arm_timings": [{**ARMED, "timings": [[]]}]}, "surveys[0].arm_timings[0].timings"),
        (
            {"arm_timings": [{**ARMED, "relative_timings": [["Nowhere", 0, 0]]}]},
            "surveys[0].arm_timings[0].relative_timings",
        ),
    ],
)
def test_what_is_wrong_in_the_new_keys_is_named_with_its_place(study: Study, more: dict[str, Any], place: str):
    """CLAR-55, SURVEY-53."""
    plan = plan_of(study, with_more(more))
    assert place in {told.place for told in plan.errors}
    with pytest.raises(ImportRefused):
        import_file(db.session(), study, plan, this_hour(), actor=COMMAND_LINE)
