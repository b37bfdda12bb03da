"""Surveys of a study: the list, one survey, its versions; creating, renaming, saving, deleting, restoring."""
