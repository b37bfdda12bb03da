"""The dashboard of data quantities (PORTAL-220 to PORTAL-226)."""
