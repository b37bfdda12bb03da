"""Confirming who sits at the browser before a change that matters: password, and second factor where there is one."""

from flask import g, request

from core.accounts.failed_sign_ins import forget_failures, is_locked, note_failure
from core.accounts.second_factor import check_code, tidied_code
from core.crypto.passwords import verify_password
from core.database import db
from webapp.portal.access.second_factor import has_second_factor, shown_factor

SOURCE, FACTOR_SOURCE = "signed in", "signed in: second factor"
"""Failures of a signed-in person are counted by themselves, so that strangers cannot cause a lock (CLAR-11). Those of
the second factor are counted apart: else each right password would allow ten more guesses of a code.
"""

NOT_YOURS = "This is not your current password."
LOCKED = "Too many attempts failed. Wait ten minutes, then try again."


def identity_problem(password: str, *, with_factor: bool = False) -> str:
    """Why the signed-in person is not confirmed; empty if the password is right.

    `with_factor`: accounts with a second factor must also show it, in the form's `mfa_code` or `passkey`. Wrong answers
    are counted in the database: after ten in a row the next ten minutes are refused unchecked (PORTAL-22). Commits the
    count; the caller commits a used factor with its change.
    """
    if _is_locked():
        return LOCKED
    name, asks_factor = g.researcher.username, with_factor and has_second_factor(g.researcher)
    if not verify_password(password, g.researcher.password_hash):
        _count_failure(SOURCE)
        return NOT_YOURS
    if asks_factor and (problem := _factor_problem()):
        db.session.rollback()
        _count_failure(FACTOR_SOURCE)
        return problem
    forget_failures(db.session(), name, SOURCE)
    if asks_factor:
        forget_failures(db.session(), name, FACTOR_SOURCE)
    return ""


def is_code_right(code: str) -> bool | None:
    """Whether this code of the signed-in person's app or list is right, without using it up; None during a lock.

    Wrong codes count like wrong answers of `identity_problem`; else a stolen session could guess the next right code.
    """
    if _is_locked():
        return None
    if check_code(db.session(), g.researcher, code, g.now) is not None:
        return True
    _count_failure(FACTOR_SOURCE)
    return False


def _is_locked() -> bool:
    return any(is_locked(db.session(), g.researcher.username, source, g.now) for source in (SOURCE, FACTOR_SOURCE))


def _count_failure(source: str) -> None:
    note_failure(db.session(), g.researcher.username, source, g.now)
    db.session.commit()


def _factor_problem() -> str:
    """Why the second factor in the form does not count; empty if it is right, and used up with the caller's commit."""
    code, answer = request.form.get("mfa_code", ""), request.form.get("passkey", "")
    if not answer and tidied_code(code) is None:
        return "Type the six digits that your app shows, or a recovery code."
    proof = shown_factor(g.researcher, code, answer, g.now)
    if proof is None or not proof.use(db.session(), g.now):
        return "This code or passkey is wrong, or was used already."
    return ""
