"""The page behind a one-time link: it sets the person's own password (PORTAL-191, CLAR-26).

It is for people who are not signed in. GET uses nothing up: programs that look at links in messages do no harm.
"""

from flask import abort, flash, g, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from core.accounts import password_problem
from core.accounts.links import LinkKind, LinkState, link_of, state_of_link, use_link
from core.accounts.people import roles_of_link
from core.accounts.requirements import account_rule
from core.database import db
from core.models import AccountLink
from webapp.portal.access.rules import public
from webapp.portal.access.sessions import end_session, is_from_elsewhere
from webapp.portal.frame.forms import PortalForm, SecretField
from webapp.portal.researchers.section import researchers

LINK = "/invitation/<token>"


class OwnPasswordForm(PortalForm):
    """A new password, twice. It needs no CSRF token: the address holds a secret of its own."""

    class Meta:
        csrf = False

    new_password = SecretField("Your password", "A password is needed.")
    confirm_new_password = SecretField("The same again", "Type it a second time.")


@researchers.get(LINK)
@public()
def open_link(token: str) -> ResponseReturnValue:
    """Says who made the link and for whom, with the form; or what has become of the link."""
    return _page(_link(token), token)


@researchers.post(LINK, endpoint="accept")
@public(needs_token=False)
def accept(token: str) -> ResponseReturnValue:
    """Sets the password and leads to sign-in; a second factor that was set up is still asked for there."""
    if is_from_elsewhere():
        abort(403)
    link = _link(token, lock=True)
    if _is_somebody_else(link) or state_of_link(link, g.now) is not LinkState.OPEN:
        return _page(link, token)
    form = OwnPasswordForm()
    new = form.new_password.data or ""
    if form.validate():
        if problem := password_problem(
            new, account_rule(db.session(), link.researcher).least, link.researcher.username
        ):
            form.refuse(form.new_password, problem)
        elif new != form.confirm_new_password.data:
            form.refuse(form.confirm_new_password, "The two passwords differ.")
    if not form.is_right:
        return _page(link, token, form)
    use_link(db.session(), link, new, g.now)
    if g.researcher:
        end_session()
    db.session.commit()
    flash("Your password is set. Sign in with it.", "good")
    return redirect(url_for("access.sign_in"))


@researchers.post(f"{LINK}/switch")
@public()
def switch(token: str) -> ResponseReturnValue:
    """Signs the current person out, and opens the link again."""
    end_session()
    db.session.commit()
    return redirect(url_for("researchers.open_link", token=token))


def _page(link: AccountLink, token: str, form: OwnPasswordForm | None = None) -> ResponseReturnValue:
    state = state_of_link(link, g.now)
    least = account_rule(db.session(), link.researcher).least
    form = form or OwnPasswordForm(formdata=None)
    form.new_password.description = (
        f"At least {least} characters, with a lower-case letter, an upper-case letter, a digit and one other"
        " character; a space counts."
    )
    page = render_template(
        "portal/researchers/link.html",
        link=link,
        token=token,
        state=state,
        is_invitation=link.kind == LinkKind.INVITATION.value,
        is_somebody_else=_is_somebody_else(link),
        roles=roles_of_link(db.session(), link.researcher) if state is LinkState.OPEN else [],
        form=form,
        least=least,
    )
    if state is not LinkState.OPEN:
        return page, 410
    return page, 200 if form.is_right else 422


def _link(token: str, *, lock: bool = False) -> AccountLink:
    return link_of(db.session(), token, lock=lock) or abort(404, "There is no such link. Is the address whole?")


def _is_somebody_else(link: AccountLink) -> bool:
    return g.researcher is not None and g.researcher.id != link.researcher_id
