"""The portal: pages for researchers."""

from flask import Flask


def init_portal(app: Flask) -> None:
    """Adds the portal's pages and sign-in."""
