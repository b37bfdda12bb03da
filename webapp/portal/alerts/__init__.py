"""Alerts on answers: what somebody must look at, and the rules by which answers raise them (CLAR-58)."""
