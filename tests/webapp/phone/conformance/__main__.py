"""`python -m tests.webapp.phone.conformance` writes docs/phone-api.md anew."""

from tests.webapp.phone.conformance.page import DOCUMENT, page

if __name__ == "__main__":
    DOCUMENT.write_text(page())
