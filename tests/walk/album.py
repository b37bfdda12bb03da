"""Pictures of a walk through the portal."""

import os
from html import escape
from pathlib import Path

from tests.browser.navigator import Portal

FOLDER = Path(os.environ.get("PICTURES", "var/walk"))


class Album:
    """Numbered pictures of the portal, each with a sentence."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.sentences: list[str] = []

    def takes(self, sentence: str) -> None:
        self.sentences.append(sentence)
        self.portal.page.wait_for_load_state()
        self.portal.has_no_sideways_scroll()
        self.portal.page.screenshot(path=FOLDER / f"{len(self.sentences):02}.png", full_page=True)

    def is_written(self, title: str) -> None:
        """Writes the page that shows all of them."""
        steps = "".join(
            f'<h2>{number}. {escape(sentence)}</h2><img src="{number:02}.png" alt="">'
            for number, sentence in enumerate(self.sentences, 1)
        )
        style = "body{max-width:60rem;margin:auto;font:16px sans-serif}img{width:100%;border:1px solid #ccc}"
        FOLDER.joinpath("index.html").write_text(
            f'<!doctype html><html lang="en"><title>{title}</title><style>{style}</style>{steps}'
        )
