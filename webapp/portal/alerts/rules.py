"""Rules of alerts: the list, and the form of one, in three steps without JavaScript: survey, question, condition."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.answer_alerts.listing import RuleLine, rule_of, rules_of
from core.answer_alerts.managing import (
    Question,
    RuleForm,
    RuleRefused,
    edited_since,
    remove_rule,
    save_rule,
    watchable,
)
from core.answer_alerts.recipients import possible_recipients
from core.audit import actor_of
from core.database import db
from core.models import AlertRule, Comparison, Survey
from core.surveys.content import ContentRefused, decoded_content
from core.surveys.drafts import draft_of
from core.surveys.listing import survey_lines, survey_of_study
from webapp.portal.access.rules import requires
from webapp.portal.alerts.section import alerts
from webapp.portal.alerts.wording import COMPARISONS, condition_in_words
from webapp.portal.frame.wording import counted
from webapp.stores import settings

OF = "/view_study/<number:study_number>/alerts/rules"
ONE = f"{OF}/<number:rule_number>"


@alerts.get(OF)
@requires(Capability.ANSWERS_READ)
def rules(study_number: int) -> ResponseReturnValue:
    """The rules in force, those whose question was edited marked, and what alerts are not."""
    lines = rules_of(db.session(), g.study)
    questions = {line.rule.id: _question_of(line.rule) for line in lines}
    return render_template(
        "portal/alerts/rules.html",
        lines=lines,
        questions=questions,
        edited={line.rule.id for line in lines if edited_since(line.rule, questions[line.rule.id])},
        condition_in_words=condition_in_words,
        has_mail=settings().mail_url is not None,
        without_mail=_without_mail(lines),
    )


@alerts.get(f"{OF}/new")
@requires(Capability.ALERTS_MANAGE)
def new_rule(study_number: int) -> ResponseReturnValue:
    """The next step of a new rule: which survey, which question, and when somebody is told."""
    survey = _survey(request.args.get("survey", ""))
    question = _question(survey, request.args.get("question", "")) if survey else None
    return _form_page(None, survey, question)


@alerts.post(f"{OF}/new")
@requires(Capability.ALERTS_MANAGE)
def make_rule(study_number: int) -> ResponseReturnValue:
    """Makes a rule, and lists older submissions that match."""
    survey = _survey(request.form.get("survey", ""))
    question = _question(survey, request.form.get("question", "")) if survey else None
    if survey is None or question is None:
        abort(404)
    return _save(None, survey, question)


@alerts.get(ONE, endpoint="rule")
@requires(Capability.ALERTS_MANAGE)
def one_rule(study_number: int, rule_number: int) -> ResponseReturnValue:
    """The form of a rule."""
    rule = _rule(rule_number)
    return _form_page(rule, db.session.get_one(Survey, rule.survey_id), _question_of(rule))


@alerts.post(ONE)
@requires(Capability.ALERTS_MANAGE)
def change_rule(study_number: int, rule_number: int) -> ResponseReturnValue:
    """Changes a rule; a changed condition acts on what is uploaded from now on."""
    rule = _rule(rule_number)
    question = _question_of(rule)
    if question is None:
        flash("The question of this rule is no longer in the survey. Remove the rule, and make another.", "warn")
        return redirect(url_for("alerts.rules", study_number=study_number))
    return _save(rule, db.session.get_one(Survey, rule.survey_id), question)


@alerts.post(f"{ONE}/remove")
@requires(Capability.ALERTS_MANAGE)
def remove(study_number: int, rule_number: int) -> ResponseReturnValue:
    """Ends a rule; its alerts stay."""
    remove_rule(db.session(), g.study, _rule(rule_number), g.now, actor=actor_of(g.researcher))
    db.session.commit()
    flash("The rule was removed. Its alerts stay.", "good")
    return redirect(url_for("alerts.rules", study_number=study_number))


def _save(rule: AlertRule | None, survey: Survey, question: Question) -> ResponseReturnValue:
    form, actor = request.form, actor_of(g.researcher)
    try:
        saved, older = save_rule(
            db.session(),
            g.study,
            survey,
            question,
            _wanted(form),
            g.now,
            rule=rule,
            is_strict=settings().is_production,
            actor=actor,
        )
        db.session.commit()
    except RuleRefused as refused:
        db.session.rollback()
        return _form_page(rule, survey, question, refused)
    flash("The rule was saved. It acts on what is uploaded from now on.", "good")
    if older:
        flash(f"{counted(older, 'earlier submission')} would have matched: listed under Earlier, nobody is told.", "")
    if saved.webhook_key and (rule is None or form.get("webhook_address", "").strip()):
        return redirect(url_for("alerts.rule", study_number=g.study.id, rule_number=saved.id))
    return redirect(url_for("alerts.rules", study_number=g.study.id))


def _wanted(form: Mapping[str, str]) -> RuleForm:
    """The form as a rule; numbers that cannot be read count as missing."""
    comparison = form.get("comparison", Comparison.ANY_OF)
    return RuleForm(
        Comparison(comparison) if comparison in set(Comparison) else Comparison.ANY_OF,
        _decimal(form.get("value", "")),
        request.form.getlist("options"),
        _numbers(request.form.getlist("recipients")),
        _numbers(request.form.getlist("escalation")),
        _minutes(form.get("escalates_after_minutes", "")),
        form.get("webhook_address", "").strip() or None,
    )


def _form_page(
    rule: AlertRule | None, survey: Survey | None, question: Question | None, refused: RuleRefused | None = None
) -> ResponseReturnValue:
    line = next((each for each in rules_of(db.session(), g.study) if rule and each.rule.id == rule.id), None)
    page = render_template(
        "portal/alerts/rule.html",
        rule=rule,
        survey=survey,
        question=question,
        surveys=[each.survey for each in survey_lines(db.session(), g.study.id)],
        questions=_questions(survey) if survey else [],
        people=possible_recipients(db.session(), g.study),
        comparisons=COMPARISONS,
        refused=refused,
        values=_values(line, refused),
        has_mail=settings().mail_url is not None,
        is_edited=rule is not None and edited_since(rule, question),
    )
    return page, 422 if refused else 200


def _values(line: RuleLine | None, refused: RuleRefused | None) -> dict[str, Any]:
    """What the fields show: what was typed, or what is stored, or the defaults of a new rule."""
    if refused:
        typed = request.form
        people = {name: _numbers(typed.getlist(name)) for name in ("recipients", "escalation")}
        return {**typed.to_dict(), "options": typed.getlist("options"), **people}
    if line is None:
        return {"options": [], "recipients": [g.researcher.id], "escalation": [], "escalates_after_minutes": ""}
    rule = line.rule
    return {
        "comparison": rule.comparison,
        "value": f"{rule.value:g}" if rule.value is not None else "",
        "options": rule.options,
        "recipients": [person.id for person in line.recipients],
        "escalation": [person.id for person in line.escalation],
        "escalates_after_minutes": rule.escalates_after_minutes or "",
        "webhook_address": rule.webhook_address or "",
    }


def _without_mail(lines: Sequence[RuleLine]) -> list[str]:
    people = {person.username: person for line in lines for person in (*line.recipients, *line.escalation)}
    return sorted(name for name, person in people.items() if not person.mail_address)


def _rule(rule_number: int) -> AlertRule:
    rule = rule_of(db.session(), g.study, rule_number)
    if rule is None:
        abort(404)
    return rule


def _survey(number: str) -> Survey | None:
    if not number.isdecimal() or len(number) > 18:
        return None
    return survey_of_study(db.session(), g.study.id, int(number))


def _questions(survey: Survey) -> list[Question]:
    """The questions that phones have; those of the draft while nothing is published."""
    content = survey.content if survey.published_at else draft_of(db.session(), survey).content
    try:
        return watchable(decoded_content(content, is_null_empty=True))
    except ContentRefused:
        return []


def _question(survey: Survey, question_id: str) -> Question | None:
    return next((question for question in _questions(survey) if question.id == question_id), None)


def _question_of(rule: AlertRule) -> Question | None:
    """The rule's question as it is today; None if it is no longer in the survey."""
    return _question(db.session.get_one(Survey, rule.survey_id), rule.question_id)


def _numbers(listed: Sequence[str]) -> list[int]:
    return [int(number) for number in listed if number.isdecimal() and len(number) < 19]


def _decimal(text: str) -> float | None:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return None


def _minutes(text: str) -> int | None:
    """None for an empty field; 0, which is refused, for what is no whole number."""
    text = text.strip()
    return (int(text) if text.isdecimal() and len(text) < 9 else 0) if text else None
