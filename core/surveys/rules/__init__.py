"""Rules of surveys as pure functions: what content may be (SURVEY-15 to SURVEY-24)."""
