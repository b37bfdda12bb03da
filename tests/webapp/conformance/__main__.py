"""`python -m tests.webapp.conformance` writes docs/phone-api.md anew."""

from tests.webapp.conformance.page import DOCUMENT, page

if __name__ == "__main__":
    DOCUMENT.write_text(page())
