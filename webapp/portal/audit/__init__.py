"""The audit trail, the log of data access and the log of sign-ins: their pages for a study and for the site."""
