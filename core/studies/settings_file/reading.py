"""Reading settings files of any age (SURVEY-51 to SURVEY-53). Pure, without the database."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from core.models.app_settings import CONSENT_SECTIONS
from core.models.survey import SurveyType
from core.storable import not_storable, readable
from core.studies.app_settings import RULE_OF, setting_problem
from core.studies.names import NameRefused, checked_label
from core.studies.settings_file.languages import (
    LanguageInFile,
    TranslationInFile,
    read_languages,
    read_scores,
    read_translations,
)
from core.surveys.content import ContentRefused, decoded_content, decoded_settings
from core.surveys.rules.answerable import LEAST_MINUTES, MOST_MINUTES
from core.surveys.rules.checking import check_questions
from core.surveys.rules.settings import check_settings
from core.surveys.rules.warnings import warnings_of
from core.surveys.schedules import Arm, Relative, ScheduleKind, Timing
from core.surveys.timing_lists import TimingRefused, arm_problem, read_timings
from core.zones import known_zones

KNOWN_KEYS = ("surveys", "device_settings", "interventions", "study_time_zone", "languages", "language_field")
# Keys of old files that are dropped without a word (SURVEY-51).
DROPPED = frozenset(
    ("_id", "id", "pk", "created_on", "last_updated", "object_id", "deleted", "study", "study_id", "last_modified")
)
SURVEY_KEYS = frozenset(
    (
        "content",
        "settings",
        "survey_type",
        "name",
        "timings",
        "absolute_timings",
        "relative_timings",
        "random_timings",
        "arm_timings",
        "expiry_minutes",
        "translations",
        "scores",
    )
)
TIMINGS = {
    "timings": ScheduleKind.WEEKLY,
    "absolute_timings": ScheduleKind.ABSOLUTE,
    "relative_timings": ScheduleKind.RELATIVE,
    "random_timings": ScheduleKind.RANDOM,
}
LONGEST_NAME = 500


class FileUnreadable(Exception):
    """The file is no JSON object; the message says where it stops being one."""


@dataclass(frozen=True)
class Told:
    """An error or a warning with its place in the file, such as `surveys[0].timings`."""

    place: str
    message: str


@dataclass
class ArmInFile:
    """The timings of one arm of a survey, which goes by the name and value of a custom field (CLAR-55)."""

    place: str
    arm: Arm
    timings: dict[ScheduleKind, list[Timing]]


@dataclass
class SurveyInFile:
    """A survey as read; relative timings name interventions, or hold the integers of old files.

    `timings` are those for everybody. `expiry_minutes` is None where the survey has the study's time.
    """

    place: str
    name: str
    survey_type: SurveyType | None
    content: list[Any]
    settings: dict[str, Any]
    timings: dict[ScheduleKind, list[Timing]]
    arms: list[ArmInFile] = field(default_factory=list)
    expiry_minutes: int | None = None
    translations: list[TranslationInFile] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)

    def all_timings(self) -> Iterator[tuple[str, Arm | None, ScheduleKind, list[Timing]]]:
        """The place in the file, the arm if there is one, the kind, and the timings of it."""
        for place, arm, timings in (
            (self.place, None, self.timings),
            *((a.place, a.arm, a.timings) for a in self.arms),
        ):
            yield from ((place, arm, kind, listed) for kind, listed in timings.items())


@dataclass
class StudyFile:
    """A settings file as read. With errors it is not imported. What the file does not say is None or empty."""

    surveys: list[SurveyInFile] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    interventions: list[str] = field(default_factory=list)
    timezone_name: str | None = None
    languages: list[LanguageInFile] = field(default_factory=list)
    language_field: str | None = None
    errors: list[Told] = field(default_factory=list)
    warnings: list[Told] = field(default_factory=list)

    def refuse(self, place: str, message: str) -> None:
        self.errors.append(Told(readable(place), readable(message)))

    def warn(self, place: str, message: str) -> None:
        self.warnings.append(Told(readable(place), readable(message)))


def read_study_file(data: bytes) -> StudyFile:
    """Reads a file; all that is wrong in it is listed in `errors`. Raises FileUnreadable."""
    try:
        parsed = json.loads(data.decode("utf-8-sig"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise FileUnreadable(f"The file is not UTF-8 (byte {error.start + 1}).") from None
    except json.JSONDecodeError as error:
        raise FileUnreadable(f"The file is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except (ValueError, RecursionError) as error:
        raise FileUnreadable(f"The file is not JSON: {error}.") from None
    if not isinstance(parsed, dict):
        raise FileUnreadable("A settings file is a JSON object with surveys and device_settings.")
    file = StudyFile()
    for key in parsed.keys() - set(KNOWN_KEYS) - DROPPED:
        file.warn(key, "is not known, and left out")
    _read_interventions(file, parsed.get("interventions"))
    _read_settings(file, parsed.get("device_settings"))
    _read_zone(file, parsed.get("study_time_zone"))
    if parsed.get("languages") is not None:
        file.languages = read_languages(parsed["languages"], file.refuse, file.warn)
    _read_language_field(file, parsed.get("language_field"))
    surveys = parsed.get("surveys")
    if surveys is not None and not isinstance(surveys, list):
        file.refuse("surveys", "a list is expected")
    for number, survey in enumerate(surveys if isinstance(surveys, list) else []):
        _read_survey(file, f"surveys[{number}]", survey)
    _refuse_what_cannot_be_stored(file)
    return file


def _refuse_what_cannot_be_stored(file: StudyFile) -> None:
    """Looks at all that would be stored as it was decoded, so that texts within JSON texts are seen too."""
    parts: list[tuple[str, Any]] = [("interventions", file.interventions), ("device_settings", file.settings)]
    parts += [(language.place, dict(language.texts)) for language in file.languages]
    for survey in file.surveys:
        parts.append((f"{survey.place}.name", survey.name))
        parts += [(f"{survey.place}.content", survey.content), (f"{survey.place}.settings", survey.settings)]
        parts += [(t.place, [t.name, t.texts]) for t in survey.translations]
        parts += [(f"{survey.place}.scores", survey.scores)]
        for place, arm, _, listed in survey.all_timings():
            named = [t.intervention for t in listed if isinstance(t, Relative)]
            parts += [(f"{place}.relative_timings", named)] if named else []
            parts += [(f"{place}.field", arm.field), (f"{place}.value", arm.value)] if arm else []
    for place, part in parts:
        for at, why in not_storable(part, place):
            file.refuse(at, why)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number in JSON")


def _read_interventions(file: StudyFile, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        file.refuse("interventions", "a list of names is expected")
        return
    for number, name in enumerate(value):
        try:
            if not isinstance(name, str):
                raise NameRefused("a name is a text")
            name = checked_label(name)
            if name.lower() not in [known.lower() for known in file.interventions]:
                file.interventions.append(name)
        except NameRefused as refused:
            file.refuse(f"interventions[{number}]", str(refused))


def _read_language_field(file: StudyFile, value: Any) -> None:
    if value is None:
        return
    try:
        if not isinstance(value, str):
            raise NameRefused("a name is a text")
        file.language_field = checked_label(value)
    except NameRefused as refused:
        file.refuse("language_field", str(refused))


def _read_zone(file: StudyFile, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, str) or value not in known_zones():
        file.refuse("study_time_zone", f"{value!r} is not a time zone, such as America/New_York")
        return
    file.timezone_name = value


def _read_settings(file: StudyFile, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        file.refuse("device_settings", "an object is expected")
        return
    for name, given in value.items():
        place = f"device_settings.{name}"
        if name in DROPPED:
            continue
        if name not in RULE_OF:
            file.warn(place, "is not a setting, and left out")
        elif name == "consent_sections":
            _read_sections(file, place, given)
        elif problem := setting_problem(name, given):
            file.refuse(place, problem.removeprefix(f"{name}: "))
        else:
            file.settings[name] = given


def _read_sections(file: StudyFile, place: str, value: Any) -> None:
    try:
        sections = decoded_settings(value)
    except ContentRefused:
        file.refuse(place, "an object, or a JSON text of one, is expected")
        return
    kept: dict[str, dict[str, str]] = {}
    for name, section in sections.items():
        if name not in CONSENT_SECTIONS:
            file.warn(f"{place}.{name}", "is not a section, and left out")
        elif not isinstance(section, dict) or not all(isinstance(text, str) for text in section.values()):
            file.refuse(f"{place}.{name}", "an object with the texts `text` and `more` is expected")
        else:
            kept[name] = {part: section.get(part, "") for part in ("text", "more")}
    file.settings["consent_sections"] = kept


def _read_survey(file: StudyFile, place: str, value: Any) -> None:
    if not isinstance(value, dict):
        file.refuse(place, "an object is expected")
        return
    for key in value.keys() - SURVEY_KEYS - DROPPED:
        file.warn(f"{place}.{key}", "is not known, and left out")
    survey = SurveyInFile(place, "", None, [], {}, {})
    name = value.get("name") or ""
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        file.refuse(f"{place}.name", f"a text of at most {LONGEST_NAME} characters is expected")
    else:
        survey.name = name
    if value.get("survey_type") in list(SurveyType):
        survey.survey_type = SurveyType(value["survey_type"])
    else:
        file.refuse(f"{place}.survey_type", f"{value.get('survey_type')!r} is no type of survey")
    _read_content(file, survey, value)
    survey.timings = _read_timings(file, place, value)
    _read_arms(file, survey, value.get("arm_timings"))
    expiry = value.get("expiry_minutes")
    if expiry is not None and (type(expiry) is not int or not LEAST_MINUTES <= expiry <= MOST_MINUTES):
        file.refuse(f"{place}.expiry_minutes", f"a whole number from {LEAST_MINUTES} to {MOST_MINUTES:,} is expected")
    else:
        survey.expiry_minutes = expiry
    if value.get("translations") is not None:
        survey.translations = read_translations(
            f"{place}.translations", value["translations"], survey.content, file.languages, file.refuse, file.warn
        )
    if value.get("scores") is not None:
        survey.scores = read_scores(f"{place}.scores", value["scores"], file.refuse)
    file.surveys.append(survey)


def _read_timings(file: StudyFile, place: str, value: dict[str, Any]) -> dict[ScheduleKind, list[Timing]]:
    timings: dict[ScheduleKind, list[Timing]] = {}
    for key, kind in TIMINGS.items():
        if value.get(key) is not None:
            try:
                timings[kind] = read_timings(kind, value[key])
            except TimingRefused as refused:
                file.refuse(f"{place}.{key}", str(refused))
    return timings


def _read_arms(file: StudyFile, survey: SurveyInFile, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        file.refuse(f"{survey.place}.arm_timings", "a list is expected")
        return
    for number, entry in enumerate(value):
        place = f"{survey.place}.arm_timings[{number}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("field"), str):
            file.refuse(place, "an object with the texts `field` and `value` is expected")
            continue
        for key in entry.keys() - {"field", "value", *TIMINGS}:
            file.warn(f"{place}.{key}", "is not known, and left out")
        if not isinstance(entry.get("value"), str):
            file.refuse(f"{place}.value", "a text is expected")
            continue
        if problem := arm_problem(entry["value"]):
            file.refuse(f"{place}.value", problem)
        try:
            arm = Arm(checked_label(entry["field"]), entry["value"])
        except NameRefused as refused:
            file.refuse(f"{place}.field", str(refused))
            continue
        survey.arms.append(ArmInFile(place, arm, _read_timings(file, place, entry)))


def _read_content(file: StudyFile, survey: SurveyInFile, value: dict[str, Any]) -> None:
    try:
        survey.settings = decoded_settings(value.get("settings"), is_null_empty=True)
    except ContentRefused as refused:
        file.refuse(f"{survey.place}.settings", str(refused))
    if survey.survey_type is not None:
        for finding in check_settings(survey.settings, survey.survey_type):
            file.refuse(f"{survey.place}.settings", finding.message)
    try:
        survey.content = decoded_content(value.get("content"), is_null_empty=True)
    except ContentRefused as refused:
        file.refuse(f"{survey.place}.content", str(refused))
        return
    if survey.survey_type is SurveyType.TRACKING:
        findings = check_questions(survey.content)
        for finding in findings:
            file.refuse(f"{survey.place}.content, question {finding.question_id}", finding.message)
        for warning in () if findings else warnings_of(survey.content, survey.settings):
            file.warn(f"{survey.place}.content, question {warning.question_id}", warning.message)
    elif survey.survey_type is SurveyType.AUDIO:
        prompts = [p for p in survey.content if isinstance(p, dict) and isinstance(p.get("prompt"), str)]
        if len(survey.content) > 1 or len(prompts) != len(survey.content):
            file.refuse(f"{survey.place}.content", "a list of one prompt is expected")


def old_numbers(file: StudyFile) -> list[int]:
    """The integers that stand for interventions in old files, in order (SURVEY-51)."""
    return sorted({timing.intervention for timing in _relative(file) if isinstance(timing.intervention, int)})


def named_interventions(file: StudyFile) -> dict[str, str]:
    """Names that relative timings use, each with the first place that does."""
    found: dict[str, str] = {}
    for survey in file.surveys:
        for place, _, _, listed in survey.all_timings():
            for timing in listed:
                if isinstance(timing, Relative) and isinstance(timing.intervention, str):
                    found.setdefault(timing.intervention, f"{place}.relative_timings")
    return found


def named_fields(file: StudyFile) -> list[str]:
    """Names of the custom fields by which arms are divided, each once, whatever its case."""
    found: dict[str, str] = {}
    for survey in file.surveys:
        for in_file in survey.arms:
            found.setdefault(str(in_file.arm.field).lower(), str(in_file.arm.field))
    return list(found.values())


def _relative(file: StudyFile) -> Iterator[Relative]:
    for survey in file.surveys:
        for _, _, _, listed in survey.all_timings():
            yield from (timing for timing in listed if isinstance(timing, Relative))
