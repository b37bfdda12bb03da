"""A study's participants: the list, one participant's page, adding one or many."""
