"""What a form in a page would send, as a browser reads it."""

from html.parser import HTMLParser


class _Form(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id = form_id
        self.is_inside = False
        self.textarea: str | None = None
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form":
            self.is_inside = found.get("id") == self.form_id
        name = found.get("name")
        if not self.is_inside or not name:
            return
        if tag == "textarea":
            self.textarea, self.fields[name] = name, ""
        elif tag == "input" and (found.get("type") != "checkbox" or "checked" in found):
            self.fields[name] = found.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self.textarea:
            self.fields[self.textarea] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self.textarea:
            self.fields[self.textarea] = self.fields[self.textarea].removeprefix("\r\n").removeprefix("\n")
            self.textarea = None
        if tag == "form":
            self.is_inside = False


def fields_of(page: str, form_id: str) -> dict[str, str]:
    """The fields of the form with that id and their values; ticks that are off are left out."""
    form = _Form(form_id)
    form.feed(page)
    return form.fields
