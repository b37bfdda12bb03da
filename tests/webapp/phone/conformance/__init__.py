"""What phones ask and what they are told, as a table: run by test_phone_conformance.py, shown by docs/phone-api.md."""

from tests.webapp.phone.conformance.case import Case
from tests.webapp.phone.conformance.cases import CASES
from tests.webapp.phone.conformance.page import DOCUMENT, page

__all__ = ["CASES", "DOCUMENT", "Case", "page"]
