"""Data quantities: bytes of processed data by participant, stream and day of the study's zone (PORTAL-220 to 226).

`days` says which days a page shows, `marking` how cells are coloured and flagged, `tables` reads them from the daily
summaries, `hours` adds the hours with data, `expected` says how many the app settings let expect, `defaults` keeps a
stream's colours and flags.
"""
