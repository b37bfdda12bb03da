"""The section's blueprint."""

from webapp.portal.frame.section import Section

downloads = Section("downloads", __name__)
PATH = "/data_access_web_form/<number:study_number>"
