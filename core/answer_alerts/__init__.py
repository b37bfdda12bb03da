"""Alerts on answers: rules of a study team, what matched them, and telling named people until one acts (CLAR-58)."""
