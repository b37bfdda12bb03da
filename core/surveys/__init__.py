"""Surveys: saving them, their schedules, the events that follow from these, and the timings that phones get.

Nothing is imported here: commands over files alone use the pure modules without the database's.
"""
