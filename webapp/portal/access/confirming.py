"""Confirming who sits at the browser before a change that matters: password, and second factor where there is one."""

from flask import g, request

from core.accounts.failed_sign_ins import forget_failures, is_locked, note_failure
from core.accounts.second_factor import check_code, tidied_code
from core.crypto.passwords import verify_password
from core.database import db
from webapp.portal.access.second_factor import has_second_factor, shown_factor

SOURCE = "signed in"
"""Failures of a signed-in person are counted by themselves, so that strangers cannot cause a lock (CLAR-11)."""

NOT_YOURS = "This is not your current password."
LOCKED = "Too many attempts failed. Wait ten minutes, then try again."


def identity_problem(password: str, *, with_factor: bool = False) -> str:
    """Why the signed-in person is not confirmed; empty if the password is right.

    `with_factor`: accounts with a second factor must also show it, in the form's `mfa_code` or `passkey`. Wrong answers
    are counted in the database: after ten in a row the next ten minutes are refused unchecked (PORTAL-22). Commits the
    count; the caller commits a used factor with its change.
    """
    name = g.researcher.username
    if is_locked(db.session(), name, SOURCE, g.now):
        return LOCKED
    problem = _problem(password, with_factor=with_factor)
    if problem:
        db.session.rollback()
        note_failure(db.session(), name, SOURCE, g.now)
        db.session.commit()
    else:
        forget_failures(db.session(), name, SOURCE)
    return problem


def is_code_right(code: str) -> bool | None:
    """Whether this code of the signed-in person's app or list is right, without using it up; None during a lock.

    Wrong codes count like wrong answers of `identity_problem`; else a stolen session could guess the next right code.
    """
    name = g.researcher.username
    if is_locked(db.session(), name, SOURCE, g.now):
        return None
    if check_code(db.session(), g.researcher, code, g.now) is not None:
        return True
    note_failure(db.session(), name, SOURCE, g.now)
    db.session.commit()
    return False


def _problem(password: str, *, with_factor: bool) -> str:
    if not verify_password(password, g.researcher.password_hash):
        return NOT_YOURS
    if not with_factor or not has_second_factor(g.researcher):
        return ""
    code, answer = request.form.get("mfa_code", ""), request.form.get("passkey", "")
    if not answer and tidied_code(code) is None:
        return "Type the six digits that your app shows, or a recovery code."
    proof = shown_factor(g.researcher, code, answer, g.now)
    if proof is None or not proof.use(db.session(), g.now):
        return "This code or passkey is wrong, or was used already."
    return ""
