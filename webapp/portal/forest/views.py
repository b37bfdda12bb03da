"""The log of tasks, and queueing, cancelling and repeating them (PORTAL-250 to PORTAL-252)."""

from datetime import date
from typing import Any

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.forest.listing import (
    PAGE_TASKS,
    TaskFilter,
    TaskPage,
    choosable_participants,
    days_with_summaries,
    task_page,
)
from core.forest.tasks import Cancel, ForestRefused, cancel_task, copy_task, create_tasks, task_of
from core.forest.trees import library_version
from core.models import ForestTask, Participant, TaskState, TreeName
from webapp.flow_runs import RUN_FOREST, start_run
from webapp.portal.access.rules import requires
from webapp.portal.forest.section import forest, require_forest
from webapp.portal.forest.wording import CLASSES, STATES, TREES
from webapp.portal.frame.pages import fragment_or_redirect
from webapp.portal.frame.wording import counted

OF = "/studies/<number:study_number>/forest/tasks"
ONE = f"{OF}/<task_id>"
MOST_LISTED = 500  # participants as a list of ticks; of more, ids are typed


@forest.get(OF)
@requires(Capability.FOREST_LOG, is_return_page=True)
def log(study_number: int) -> ResponseReturnValue:
    """The log: 50 tasks a page, newest first."""
    require_forest()
    return render_template("portal/forest/log.html", **_log())


@forest.get(f"{OF}/state")
@requires(Capability.FOREST_LOG, is_polled=True)
def log_state(study_number: int) -> ResponseReturnValue:
    """The tasks of the log, which the page polls. Its address carries what it shows: nothing new is 204 (CLAR-7)."""
    require_forest()
    values = _log()
    if request.args.get("version") == values["page"].version:
        return "", 204
    return fragment_or_redirect("portal/forest/_log.html", url_for("forest.log", **values["address"]), **values)


@forest.get(f"{OF}/create")
@requires(Capability.FOREST_RUN)
def form(study_number: int) -> ResponseReturnValue:
    """The form that queues tasks."""
    require_forest()
    return _form({}, None)


@forest.post(f"{OF}/create")
@requires(Capability.FOREST_RUN)
def create(study_number: int) -> ResponseReturnValue:
    """Queues a task for each participant and tree (FOREST-21). Typed ids are separated by spaces or commas."""
    require_forest()
    typed = request.form
    try:
        start, end = _day(typed.get("date_start", ""), "date_start"), _day(typed.get("date_end", ""), "date_end")
        ids = [part for text in typed.getlist("participant_patient_ids") for part in text.replace(",", " ").split()]
        if typed.get("everybody"):
            ids = [patient_id for patient_id, is_test in choosable_participants(db.session(), g.study) if not is_test]
        actor = actor_of(g.researcher)
        tasks = create_tasks(db.session(), g.study, ids, typed.getlist("trees"), start, end, actor=actor)
    except ForestRefused as refused:
        db.session.rollback()
        return _form(typed, refused)
    db.session.commit()
    start_run(RUN_FOREST)
    flash(f"{counted(len(tasks), 'task')} queued. The first begins within seconds.", "good")
    return redirect(url_for("forest.log", study_number=study_number))


@forest.post(f"{OF}/copy")
@requires(Capability.FOREST_RUN)
def copy(study_number: int) -> ResponseReturnValue:
    """Queues a task again, with the same participant, tree and days (FOREST-25)."""
    require_forest()
    task = _task_or_404(request.form.get("external_id", ""))
    try:
        copy_task(db.session(), g.study, task, actor=actor_of(g.researcher))
    except ForestRefused as refused:
        db.session.rollback()
        flash(str(refused), "warn")
        return _back()
    db.session.commit()
    start_run(RUN_FOREST)
    flash("The task was queued again.", "good")
    return _back()


@forest.post(f"{ONE}/cancel")
@requires(Capability.FOREST_RUN)
def cancel(study_number: int, task_id: str) -> ResponseReturnValue:
    """Cancels a queued or running task (PORTAL-252)."""
    require_forest()
    task = _task_or_404(task_id)
    done = cancel_task(db.session(), g.study, task, g.now, actor=actor_of(g.researcher))
    db.session.commit()
    if done is Cancel.DONE:
        flash("The task was cancelled.", "good")
    else:
        flash("The task has ended already.", "warn")
    return _back()


@forest.get(f"{ONE}/about")
@requires(Capability.FOREST_LOG)
def detail(study_number: int, task_id: str) -> ResponseReturnValue:
    """One task: times, sizes, report, and why it failed."""
    require_forest()
    task = _task_or_404(task_id)
    patient_id = db.session.get_one(Participant, task.participant_id).patient_id
    return render_template("portal/forest/task.html", task=task, patient_id=patient_id, **_words())


def _task_or_404(task_id: str) -> ForestTask:
    """The task of the page's study, or 404: also for another study's, an unknown and a malformed id."""
    task = task_of(db.session(), g.study, task_id)
    if task is None:
        abort(404)
    return task


def _back() -> ResponseReturnValue:
    return redirect(url_for("forest.log", study_number=g.study.id))


def _words() -> dict[str, Any]:
    return {"trees": TREES, "states": STATES, "classes": CLASSES}


def _log() -> dict[str, Any]:
    """What the log's templates need. 400 for a page that is no number, or beyond the last."""
    asked = request.args
    tree, state = asked.get("tree", ""), asked.get("state", "")
    wanted = TaskFilter(
        asked.get("patient", "").strip().lower()[:40],
        tree if tree in set(TreeName) else "",
        state if state in set(TaskState) else "",
    )
    number = asked.get("page", "1")
    page: TaskPage | None = None
    if number.isascii() and number.isdecimal() and len(number) < 8:
        page = task_page(db.session(), g.study, wanted, int(number))
    if page is None:
        abort(400)
    chosen = {name: value for name, value in vars(wanted).items() if value}
    address = {"study_number": g.study.id, **chosen}
    return {"page": page, "wanted": wanted, "address": address, "per_page": PAGE_TASKS, **_words()}


def _form(typed: Any, refused: ForestRefused | None) -> ResponseReturnValue:
    people = choosable_participants(db.session(), g.study)
    chosen = typed.getlist("participant_patient_ids") if typed else []
    return render_template(
        "portal/forest/form.html",
        typed=typed,
        refused=refused,
        people=people if len(people) <= MOST_LISTED else None,
        chosen=chosen,
        chosen_trees=typed.getlist("trees") if typed else [],
        days=days_with_summaries(db.session(), g.study),
        version=library_version(),
        **_words(),
    )


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ForestRefused("Choose a day, such as 2030-01-31.", field) from None
