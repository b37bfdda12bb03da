"""Researchers' accounts, invitations, the team of a study, and who may do what (PORTAL-190 to PORTAL-195)."""
