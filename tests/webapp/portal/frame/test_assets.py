"""Third-party assets: only what is used, from the lock file (no CDN, nothing committed)."""

import json
import re

from core.config import REPOSITORY
from ops.assets import FILES, ICONS, served
from webapp.portal.frame.navigation import ACCOUNT_NAVIGATION, STUDY_NAVIGATION

TEMPLATES = [path.read_text() for path in (REPOSITORY / "templates" / "portal").rglob("*.html")]

SCRIPTS = [path.read_text() for path in (REPOSITORY / "webapp" / "static" / "js" / "designer").glob("*.js")]


def test_the_sprite_holds_the_icons_in_use_and_no_others():
    used = {name for text in TEMPLATES for call in re.findall(r"icon\(([^)]*)\)", text) for name in quoted(call)}
    used |= {name for text in TEMPLATES for name in re.findall(r"icons\.svg'\) }}#([a-z0-9-]+)", text)}
    used |= {name for text in SCRIPTS for name in icons_of_script(text)}
    used |= {item.icon for item in (*STUDY_NAVIGATION, *ACCOUNT_NAVIGATION)}
    assert used == set(ICONS)


def test_the_lock_file_names_no_registry_and_every_package():
    lock = json.loads((REPOSITORY / "package-lock.json").read_text())["packages"]
    wanted = json.loads((REPOSITORY / "package.json").read_text())["dependencies"]
    assert {f"node_modules/{name}": version for name, version in wanted.items()} == {
        path: package["version"] for path, package in lock.items() if path
    }
    assert all("resolved" not in package and package.get("integrity") for path, package in lock.items() if path)


def test_the_fonts_in_the_style_sheet_have_the_version_of_their_package():
    """It is what makes browsers fetch a new file after an update."""
    version = json.loads((REPOSITORY / "package.json").read_text())["dependencies"][
        "@fontsource-variable/atkinson-hyperlegible-next"
    ]
    sheet = (REPOSITORY / "webapp" / "static" / "css" / "tokens.css").read_text()
    assert re.findall(r"woff2\?v=([0-9.]+)", sheet) == [version, version]
    assert any(f"v='{version}'" in text for text in TEMPLATES)


def test_nothing_else_is_served_from_the_packages(assets: None):
    assert served() == {*FILES, "icons.svg"}


def quoted(call: str) -> list[str]:
    """Names in a call of the macro; those of states and messages are keys of a mapping, not icons."""
    return re.findall(r"(?<!\{)(?<!, )'([a-z0-9-]+)'(?!:)", call) + re.findall(r": '([a-z0-9-]+)'", call)


def icons_of_script(script: str) -> list[str]:
    """Names of icons in the designer's views: as attributes, and in both branches of a choice."""
    choices = re.findall(r'name=\$\{[^}]*\? "([a-z0-9-]+)" : "([a-z0-9-]+)"\}', script)
    named = re.findall(r'(?:Icon\} name|icon)="([a-z0-9-]+)"', script)
    return named + [name for choice in choices for name in choice]
