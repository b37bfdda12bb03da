"""A table of phones' requests and the answers to them: run by test_conformance.py, shown in docs/phone-api.md."""

from tests.webapp.phone.conformance.case import Case
from tests.webapp.phone.conformance.cases import CASES
from tests.webapp.phone.conformance.page import DOCUMENT, page

__all__ = ["CASES", "DOCUMENT", "Case", "page"]
