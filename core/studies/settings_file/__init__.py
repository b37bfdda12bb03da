"""The settings file of a study: app settings, surveys and interventions (SURVEY-50 to SURVEY-56).

`writing` exports, `reading` understands files of any age, `importing` says what an import would do and does it in one
transaction.
"""
