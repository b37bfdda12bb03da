"""Interventions and custom fields of a study: what is kept of each participant (PORTAL-170 to PORTAL-173)."""
