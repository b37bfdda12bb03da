"""Daily measures over time: of a study, and of participants beside each other (CLAR-82)."""
