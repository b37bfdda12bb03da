"""Why an export cannot be built."""


class ExportImpossible(Exception):
    """The export cannot be built as it was asked for; the message says why, in words for everybody."""
