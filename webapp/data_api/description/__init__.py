"""The description of the data API: an OpenAPI 3.1 document from the code, and a page to read it (DATA-1 to DATA-72).

`models` are the fields and answers, `endpoints` says which belong to which view, `document` builds the document,
`pages` serves both.
"""

from webapp.data_api.description.pages import api_description

__all__ = ["api_description"]
