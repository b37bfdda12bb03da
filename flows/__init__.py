"""Prefect flows, one file per deployment: a recipe that calls core, with retries, tags and artifacts."""
