"""Names of files that browsers store."""

import unicodedata
from urllib.parse import quote

from flask import Response


def attach(response: Response, name: str) -> None:
    """Has a browser store the answer under this name, which may hold any letters.

    Headers hold ASCII alone: gunicorn refuses others with a 500. So the name is given encoded (RFC 8187) beside one
    with the letters that remain.
    """
    names = {"filename": name}
    if not name.isascii():
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        names = {"filename": plain, "filename*": f"UTF-8''{quote(name, safe='')}"}
    response.headers.set("Content-Disposition", "attachment", **names)
