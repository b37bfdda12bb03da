"""A real Chromium, driven by Playwright."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from core.config import REPOSITORY
from core.crypto.passwords import PARTICIPANT_SCHEME, hash_password
from tests.browser.navigator import Portal

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The machine's Chromium, or the one Playwright keeps. Without either, browser tests are skipped, but not in CI."""
    installed = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=installed, args=ARGUMENTS)
        except Error as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no Chromium to drive: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh browser profile at a laptop's size; short waits, so that a broken page fails quickly."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Researchers' passwords are hashed in a thousandth of the time, for tests that are about something else."""
    for module in ("core.accounts.creating", "core.models.researcher"):
        monkeypatch.setattr(f"{module}.hash_password", hash_quickly)


def hash_quickly(password: str) -> str:
    return hash_password(password, PARTICIPANT_SCHEME)


@pytest.fixture(scope="session")
def assets() -> None:
    """The portal's third-party files, copied from `node_modules`."""
    subprocess.run([sys.executable, "-m", "ops.assets"], cwd=REPOSITORY, check=True)


@pytest.fixture
def portal(assets: None, server: str, page: Page) -> Iterator[Portal]:
    """The portal in a browser. Whatever the console says fails the test."""
    portal = Portal(page, server)
    yield portal
    portal.console_said()
