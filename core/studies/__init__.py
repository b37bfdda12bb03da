"""Studies: creating and changing them. Every change is one function, which leaves the commit to its caller."""

from core.studies.creating import StudyRefused, apply_app_settings, create_study

__all__ = ["StudyRefused", "apply_app_settings", "create_study"]
