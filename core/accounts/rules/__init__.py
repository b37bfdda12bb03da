"""Rules about accounts that know no models (CLAR-8)."""
