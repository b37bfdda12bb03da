"""Daily measures as people look at them: of participants by day, and of a study as medians (CLAR-82)."""
