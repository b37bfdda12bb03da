"""Pages about a study's participants: the list, one participant, adding one or many."""
