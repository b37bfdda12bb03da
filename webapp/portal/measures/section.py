"""The blueprint of the section, and its paths."""

from webapp.portal.frame.section import Section

measures = Section("measures", __name__)
OF_STUDY = "/view_study/<number:study_number>/measures"
OF_PERSON = "/view_study/<number:study_number>/participant/<patient_id>/measures"
