"""The permission matrix (PERM-4, PERM-10 to PERM-19, PERM-30). The first test fails for a route that is not in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.access import TABLE, Capability, Role, Scope, SiteLimit
from core.accounts.links import LinkKind, make_link
from core.accounts.roles import set_role
from core.audit import SERVER
from core.database import db
from core.models import CustomField, FieldValue, Participant, ParticipantBatch, Researcher, Study, Survey, SurveyType
from core.participants.batches import ask_for_batch
from core.surveys.saving import create_survey, delete_survey
from tests.core.test_access import LETTERS, ROWS
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from webapp.portal import SECTIONS
from webapp.portal.access.rules import access_rule_of

PHONE, PUBLIC = "phone", "public"

# The visitors of the matrix, and their roles in its study. `admin_elsewhere` leads another study, `none` has no role
# anywhere, `out` is not signed in. The role of `limited_researcher` is limited to a site, which the study's participant
# is of (PERM-95).
ROLES: dict[str, Role | None] = {
    "site_admin": Role.SITE_ADMIN,
    "study_admin": Role.STUDY_ADMIN,
    "study_researcher": Role.STUDY_RESEARCHER,
    "study_analyst": Role.STUDY_ANALYST,
    "study_viewer": Role.STUDY_VIEWER,
    "limited_researcher": Role.STUDY_RESEARCHER,
    "researcher_elsewhere": None,
    "admin_elsewhere": None,
    "none": None,
}
ELSEWHERE = {"researcher_elsewhere": Role.STUDY_RESEARCHER, "admin_elsewhere": Role.STUDY_ADMIN}
LIMITED = "limited_researcher"
CONCERNS_WHOLE_STUDY = frozenset({"survey.edit", "intervention.edit", "field.edit", "alerts.manage"})
STRANGERS = frozenset({*ELSEWHERE, "none"})
LETTER = {Role.SITE_ADMIN: "s"} | {role: letter for letter, role in LETTERS.items()}
WHO_BY_PERM_90 = dict(ROWS)


def who_may(capability: Capability) -> frozenset[str]:
    """The visitors who have a capability, by the table of permissions.md, section 8, and not by our code."""
    letters = WHO_BY_PERM_90.get(capability)
    if letters is None:
        return frozenset(ROLES)  # one's own account
    counted = dict(ROLES) if TABLE[capability].scope is Scope.STUDY else ROLES | ELSEWHERE
    lacks = {LIMITED} if capability in CONCERNS_WHOLE_STUDY else frozenset()
    return frozenset(who for who, role in counted.items() if role and LETTER[role] in letters) - lacks


@dataclass(frozen=True)
class Page:
    """A route of the portal and the capability that it needs; None: it is for anybody.

    `passed`: the answer to those who have the capability. `asks_form`: the form names the participant.
    """

    capability: Capability | None
    path: str
    method: str = "GET"
    passed: int = 200
    is_return_page: bool = False
    asks_form: bool = False

    @property
    def is_about_study(self) -> bool:
        return self.capability is not None and TABLE[self.capability].scope is Scope.STUDY


@dataclass(frozen=True)
class Key:
    """A route of the data API, and the capability that it needs in the study; None: a right key is enough.

    `has_headers`: it is a GET whose headers hold the key. `passed` and `refused` are the answers to those who have the
    capability, and to others.
    """

    path: str
    capability: Capability | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    is_of_participant: bool = False
    has_headers: bool = False
    passed: int = 200
    refused: int = 403

    def ask(self, app: Flask, key: Mapping[str, str], study: Study, participant: Participant | None) -> int:
        """The status that a program with this key gets for the study, or for a participant of it."""
        client = app.test_client()
        if self.has_headers:
            headers = {"X-Access-Key-Id": key["access_key"], "X-Access-Key-Secret": key["secret_key"]}
            return client.get(self.path.format(study=study.object_id), headers=headers).status_code
        named = {"participant_id": participant.patient_id if participant else ""}
        asked = named if self.is_of_participant else {"study_id": study.object_id}
        return client.post(self.path, data={**key, **asked, **self.fields}).status_code


LIST, ADD = Capability.STUDY_VIEW, Capability.PARTICIPANT_CREATE
FIELDS, RESET = Capability.PARTICIPANT_FIELDS, Capability.PARTICIPANT_RESET_DEVICE
OWN = "/view_study/{study}/participant/{participant}"
PEOPLE = "/view_study/{study}/participants"
DOWNLOADS = "/data_access_web_form/{study}"
SETTINGS = "/device_settings/{study}"
EDIT_SURVEY = Capability.SURVEY_EDIT
ANSWERS = Capability.ANSWERS_READ
MEASURES, STATISTICS = Capability.MEASURES_VIEW, Capability.STATISTICS_READ
WEBHOOKS = Capability.WEBHOOK_MANAGE
OF_WEBHOOK = "/view_study/{study}/webhooks/999999"
OF_SURVEY = "/view_study/{study}/survey/{survey}/answers"
FOREST, FOREST_FILES = Capability.FOREST_RUN, Capability.FOREST_DOWNLOAD
TASKS = "/studies/{study}/forest/tasks"
AUDIT = "/view_study/{study}/audit"
BATCH = "/view_study/{study}/batches/{batch}"
MATRIX: dict[str, str | Page | Key] = {
    "static": PUBLIC,
    "health.healthz": PUBLIC,
    "health.readyz": PUBLIC,
    "metrics.metrics": PUBLIC,  # by a token or an address: test_metrics.py
    "health.background_processing_status": PUBLIC,
    "phone.register_user": PHONE,
    "phone.upload": PHONE,
    "phone.get_latest_device_settings": PHONE,
    "phone.download_surveys": PHONE,
    "phone.set_password": PHONE,
    "phone.mobile_heartbeat": PHONE,
    "phone.set_fcm_token": PHONE,
    "phone.test_notification": PHONE,
    "phone.send_survey_notification": PHONE,
    "phone.graph": PHONE,
    "phone_pages.download": PUBLIC,
    "phone_pages.privacy_policy": PUBLIC,
    "data_api.check_my_credentials": Key("/check-my-credentials/v1"),
    "data_api.get_studies": Key("/get-studies/v1"),
    "data_api.get_participant_ids": Key("/get-participant-ids/v1", Capability.STUDY_VIEW),
    "data_api.get_data": Key("/get-data/v1", Capability.DATA_DOWNLOAD),
    "api_description.page": PUBLIC,  # nothing of a study
    "api_description.openapi": PUBLIC,
    "data_api.summary_statistics_connector": PUBLIC,  # pages without data, for Tableau (DATA-72)
    "data_api.participant_table_connector": PUBLIC,
    "data_api.get_data_compressed": Key("/get-data/v2", Capability.DATA_DOWNLOAD),
    "data_api.manifest": Key("/get-data/v3/manifest?study_id={study}", Capability.DATA_DOWNLOAD, has_headers=True),
    "data_api.contents": Key(
        "/get-data/v3/objects/{study}/999999", Capability.DATA_DOWNLOAD, has_headers=True, passed=404
    ),
    "data_api.get_study_settings": Key("/get-study-settings/v1", Capability.STUDY_VIEW),
    "data_api.get_participant_data_quantities": Key("/get-participant-data-quantities/v1", Capability.STATISTICS_READ),
    "data_api.get_interventions": Key("/get-interventions/v1", Capability.STATISTICS_READ),
    "data_api.get_survey_history": Key("/get-survey-history/v1", Capability.STUDY_VIEW),
    "data_api.get_participant_table_data": Key(
        "/get-participant-table-data/v1", Capability.STATISTICS_READ, {"data_format": "json"}
    ),
    **{
        f"data_api.get_participant_{name}": Key(
            f"/get-participant-{name.replace('_', '-')}/v1", Capability.DATA_HISTORIES, is_of_participant=True
        )
        for name in (
            "upload_history",
            "heartbeat_history",
            "version_history",
            "device_status_history",
            "notification_history",
            "file_hashes",
        )
    },
    "data_api.tableau_summary_statistics": Key(
        "/tableau/summary-statistics/v1/{study}", Capability.STATISTICS_READ, has_headers=True, refused=404
    ),
    "data_api.tableau_participant_table": Key(
        "/tableau/participant-table/v1/{study}", Capability.STATISTICS_READ, has_headers=True, refused=404
    ),
    "data_api.tableau_participant_columns": Key(
        "/tableau/participant-table-columns/v1/{study}", Capability.STATISTICS_READ, has_headers=True, refused=404
    ),
    "data_api.get_summary_statistics": Key("/get-summary-statistics/v1", Capability.STATISTICS_READ),
    "access.sign_in": Page(None, "/"),
    "access.validate_login": Page(None, "/validate_login", "POST", passed=302),
    "access.passkey_challenge": Page(None, "/passkey_challenge", "POST"),
    "access.sign_out": Page(None, "/logout"),
    "studies.choose": Page(Capability.OWN_STUDIES, "/choose_study"),
    "notifications.study": Page(LIST, "/view_study/{study}/notifications", is_return_page=True),
    "notifications.not_reached_file": Page(
        Capability.STUDY_EXPORT, "/view_study/{study}/notifications/not_reached.csv"
    ),
    "notifications.change_quiet_hours": Page(
        EDIT_SURVEY, "/view_study/{study}/notifications/quiet_hours", "POST", passed=302
    ),
    "notifications.message": Page(Capability.PARTICIPANT_PUSH, "/view_study/{study}/notifications/message"),
    "notifications.send_message": Page(
        Capability.PARTICIPANT_PUSH, "/view_study/{study}/notifications/message", "POST", passed=422
    ),
    "notifications.credentials": Page(Capability.PUSH_CREDENTIALS, "/manage_firebase_credentials", is_return_page=True),
    "notifications.store": Page(Capability.PUSH_CREDENTIALS, "/upload_backend_firebase_cert", "POST", passed=422),
    "notifications.remove": Page(Capability.PUSH_CREDENTIALS, "/delete_backend_firebase_cert", "POST", passed=302),
    "notifications.check": Page(Capability.PUSH_CREDENTIALS, "/check_fcm", "POST", passed=302),
    "notifications.send_test_message": Page(Capability.PUSH_CREDENTIALS, "/send_test_message", "POST", passed=422),
    "site.alerts": Page(Capability.PUSH_CREDENTIALS, "/alerts", is_return_page=True),
    "site.test_alert": Page(Capability.PUSH_CREDENTIALS, "/alerts/test", "POST", passed=302),
    "site.send_again": Page(Capability.PUSH_CREDENTIALS, "/alerts/again", "POST", passed=404),
    "studies.languages": Page(LIST, "/view_study/{study}/languages", is_return_page=True),
    "studies.set_field": Page(EDIT_SURVEY, "/view_study/{study}/languages/field", "POST", passed=302),
    "studies.save_a_language": Page(EDIT_SURVEY, "/view_study/{study}/languages", "POST", passed=422),
    "studies.remove_a_language": Page(EDIT_SURVEY, "/view_study/{study}/languages/remove", "POST", passed=404),
    "account.set_mail_address": Page(Capability.OWN_PASSWORD, "/set_mail_address", "POST", passed=302),
    "forest.log": Page(Capability.FOREST_LOG, TASKS, is_return_page=True),
    "forest.log_state": Page(Capability.FOREST_LOG, f"{TASKS}/state", passed=302),
    "forest.nightly": Page(Capability.FOREST_LOG, "/studies/{study}/forest/nightly"),
    "forest.switch_nightly": Page(Capability.FOREST_NIGHTLY, "/studies/{study}/forest/nightly", "POST", passed=302),
    "forest.detail": Page(Capability.FOREST_LOG, f"{TASKS}/no-uuid/about", passed=404),
    "forest.form": Page(FOREST, f"{TASKS}/create"),
    "forest.create": Page(FOREST, f"{TASKS}/create", "POST"),
    "forest.copy": Page(FOREST, f"{TASKS}/copy", "POST", passed=404),
    "forest.cancel": Page(FOREST, f"{TASKS}/no-uuid/cancel", "POST", passed=404),
    "forest.log_file": Page(FOREST, f"{TASKS}/download"),
    "forest.input_file": Page(FOREST_FILES, f"{TASKS}/no-uuid/download", passed=404),
    "forest.output_file": Page(FOREST_FILES, f"{TASKS}/no-uuid/download_output", passed=404),
    "forest.summary_file": Page(FOREST_FILES, "/studies/{study}/download_summary_statistics_csv"),
    "forest.tree_file": Page(FOREST_FILES, "/studies/{study}/download_participant_tree_data/no-uuid", passed=404),
    "webhooks.list": Page(WEBHOOKS, "/view_study/{study}/webhooks", is_return_page=True),
    "webhooks.new_webhook": Page(WEBHOOKS, "/view_study/{study}/webhooks/new"),
    "webhooks.make_webhook": Page(WEBHOOKS, "/view_study/{study}/webhooks/new", "POST", passed=422),
    "webhooks.form": Page(WEBHOOKS, f"{OF_WEBHOOK}/change", passed=404),
    "webhooks.change_webhook": Page(WEBHOOKS, f"{OF_WEBHOOK}/change", "POST", passed=404),
    "webhooks.new_key": Page(WEBHOOKS, f"{OF_WEBHOOK}/key", "POST", passed=404),
    "webhooks.log": Page(WEBHOOKS, OF_WEBHOOK, passed=404, is_return_page=True),
    "webhooks.test": Page(WEBHOOKS, f"{OF_WEBHOOK}/test", "POST", passed=404),
    "webhooks.switch": Page(WEBHOOKS, f"{OF_WEBHOOK}/switch", "POST", passed=404),
    "webhooks.again": Page(WEBHOOKS, f"{OF_WEBHOOK}/again", "POST", passed=404),
    "webhooks.delete": Page(WEBHOOKS, f"{OF_WEBHOOK}/delete", "POST", passed=404),
    "alerts.list": Page(Capability.ANSWERS_READ, "/view_study/{study}/alerts", is_return_page=True),
    "alerts.alert": Page(Capability.ANSWERS_READ, "/view_study/{study}/alerts/999999", passed=404, is_return_page=True),
    "alerts.acknowledge": Page(
        Capability.NOTES_EDIT, "/view_study/{study}/alerts/999999/acknowledge", "POST", passed=404
    ),
    "alerts.rules": Page(Capability.ANSWERS_READ, "/view_study/{study}/alerts/rules"),
    "alerts.new_rule": Page(Capability.ALERTS_MANAGE, "/view_study/{study}/alerts/rules/new"),
    "alerts.make_rule": Page(Capability.ALERTS_MANAGE, "/view_study/{study}/alerts/rules/new", "POST", passed=404),
    "alerts.rule": Page(Capability.ALERTS_MANAGE, "/view_study/{study}/alerts/rules/999999", passed=404),
    "alerts.change_rule": Page(Capability.ALERTS_MANAGE, "/view_study/{study}/alerts/rules/999999", "POST", passed=404),
    "alerts.remove": Page(
        Capability.ALERTS_MANAGE, "/view_study/{study}/alerts/rules/999999/remove", "POST", passed=404
    ),
    "measures.study": Page(MEASURES, "/view_study/{study}/measures", is_return_page=True),
    "measures.study_file": Page(STATISTICS, "/view_study/{study}/measures.csv"),
    "measures.person": Page(MEASURES, f"{OWN}/measures", is_return_page=True),
    "measures.mobility": Page(MEASURES, f"{OWN}/measures/mobility", is_return_page=True),
    "measures.track": Page(Capability.LOCATION_VIEW, f"{OWN}/measures/mobility/track", is_return_page=True),
    "measures.person_file": Page(STATISTICS, f"{OWN}/measures.csv"),
    "answers.page": Page(ANSWERS, OF_SURVEY, is_return_page=True),
    "answers.questions": Page(ANSWERS, f"{OF_SURVEY}/questions"),
    "answers.submissions": Page(ANSWERS, f"{OF_SURVEY}/submissions"),
    "answers.submission": Page(ANSWERS, f"{OF_SURVEY}/submissions/999999", passed=404, is_return_page=True),
    "answers.file": Page(Capability.DATA_DOWNLOAD, f"{OF_SURVEY}/submissions/999999/file", passed=404),
    "answers.recording": Page(Capability.RECORDINGS_PLAY, f"{OF_SURVEY}/submissions/999999/recording", passed=404),
    "answers.person": Page(ANSWERS, f"{OWN}/answers"),
    "answers.scores": Page(ANSWERS, f"{OF_SURVEY}/scores"),
    "answers.new_score": Page(EDIT_SURVEY, f"{OF_SURVEY}/scores/new"),
    "answers.make_score": Page(EDIT_SURVEY, f"{OF_SURVEY}/scores/new", "POST", passed=422),
    "answers.score": Page(ANSWERS, f"{OF_SURVEY}/scores/999999", passed=404),
    "answers.change_score": Page(EDIT_SURVEY, f"{OF_SURVEY}/scores/999999", "POST", passed=404),
    "answers.remove_score": Page(EDIT_SURVEY, f"{OF_SURVEY}/scores/999999/remove", "POST", passed=404),
    "answers.compute_score": Page(EDIT_SURVEY, f"{OF_SURVEY}/scores/999999/compute", "POST", passed=404),
    "answers.codebook": Page(ANSWERS, f"{OF_SURVEY}/codebook"),
    "answers.codebook_file": Page(Capability.EXPORT_CREATE, f"{OF_SURVEY}/codebook.csv"),
    "answers.export": Page(Capability.EXPORT_CREATE, f"{OF_SURVEY}/export"),
    "answers.make_export": Page(Capability.EXPORT_CREATE, f"{OF_SURVEY}/export", "POST", passed=422),
    "site.downtime": Page(Capability.DOWNTIME, "/downtime"),
    "site.set_downtime": Page(Capability.DOWNTIME, "/set_downtime", "POST", passed=302),
    "account.page": Page(Capability.OWN_PASSWORD, "/manage_credentials"),
    "account.change_password": Page(Capability.OWN_PASSWORD, "/self_change_password", "POST", passed=400),
    "account.password_strength": Page(Capability.OWN_PASSWORD, "/password_strength", "POST"),
    "account.show_app_secret": Page(Capability.OWN_PASSWORD, "/manage_credentials", "POST", passed=422),
    "account.set_appearance": Page(Capability.OWN_PASSWORD, "/set_appearance", "POST", passed=302),
    "account.self_reset_mfa": Page(Capability.OWN_MFA, "/self_reset_mfa", "POST", passed=422),
    "account.test_mfa": Page(Capability.OWN_MFA, "/test_mfa", "POST", passed=422),
    "account.new_recovery_codes": Page(Capability.OWN_MFA, "/renew_recovery_codes", "POST", passed=422),
    "account.passkey_options": Page(Capability.OWN_MFA, "/passkey_options", "POST", passed=422),
    "account.add_passkey": Page(Capability.OWN_MFA, "/add_passkey", "POST", passed=422),
    "account.remove_passkey": Page(Capability.OWN_MFA, "/remove_passkey", "POST", passed=422),
    "account.generate_api_key": Page(Capability.OWN_KEYS, "/generate_api_key", "POST"),
    "account.disable_api_key": Page(Capability.OWN_KEYS, "/disable_api_key", "POST", passed=302),
    "account.end_sessions": Page(Capability.OWN_SESSIONS, "/end_sessions", "POST", passed=302),
    "account.stay": Page(Capability.OWN_SESSIONS, "/stay_signed_in", "POST"),
    "account.left": Page(Capability.OWN_SESSIONS, "/session_left"),
    "studies.manage": Page(Capability.RESEARCHER_LIST, "/manage_studies", is_return_page=True),
    "studies.star": Page(LIST, "/star_study/{study}", "POST", passed=302),
    "studies.unhide": Page(Capability.STUDY_UNHIDE, "/unhide_study/{study}", passed=404),
    "studies.bring_back": Page(Capability.STUDY_UNHIDE, "/unhide_study/{study}", "POST", passed=404),
    "studies.create": Page(Capability.STUDY_CREATE, "/create_study"),
    "studies.make": Page(Capability.STUDY_CREATE, "/create_study", "POST", passed=422),
    "studies.edit": Page(Capability.STUDY_RENAME, "/edit_study/{study}", is_return_page=True),
    "studies.rename": Page(Capability.STUDY_RENAME, "/rename_study/{study}", "POST", passed=422),
    "studies.change_zone": Page(Capability.STUDY_TIMEZONE, "/set_study_timezone/{study}", "POST", passed=422),
    "studies.change_end": Page(Capability.STUDY_END_DATE, "/update_end_date/{study}", "POST", passed=422),
    "studies.toggle_stop": Page(Capability.STUDY_STOP, "/toggle_end_study/{study}", "POST", passed=422),
    "studies.hide": Page(Capability.STUDY_HIDE, "/hide_study/{study}", "POST", passed=422),
    "studies.toggle_forest": Page(
        Capability.STUDY_FOREST_SWITCH, "/toggle_study_forest_enabled/{study}", "POST", passed=302
    ),
    "studies.toggle_easy": Page(
        Capability.STUDY_EASY_ENROLLMENT, "/toggle_easy_enrollment_study/{study}", "POST", passed=302
    ),
    "studies.security": Page(Capability.STUDY_SECURITY, "/edit_study_security/{study}"),
    "studies.change_security": Page(
        Capability.STUDY_SECURITY, "/change_study_security_settings/{study}", "POST", passed=422
    ),
    "studies.export_file": Page(Capability.STUDY_EXPORT, "/export_study_settings_file/{study}"),
    "studies.import_page": Page(Capability.STUDY_IMPORT, "/import_study_settings_file/{study}"),
    "studies.import_file": Page(Capability.STUDY_IMPORT, "/import_study_settings_file/{study}", "POST", passed=422),
    "studies.overview": Page(LIST, "/view_study/{study}", is_return_page=True),
    "studies.overview_figures": Page(LIST, "/view_study/{study}/figures", passed=302),
    "studies.consort_file": Page(Capability.STUDY_EXPORT, "/view_study/{study}/consort.csv"),
    "studies.processing": Page(Capability.STUDY_STATUS, "/view_study/{study}/processing", is_return_page=True),
    "studies.processing_state": Page(Capability.STUDY_STATUS, "/view_study/{study}/processing/state", passed=302),
    "studies.retry_processing": Page(
        Capability.PROCESSING_RETRY, "/view_study/{study}/processing/try_again", "POST", passed=302
    ),
    "surveys.list": Page(LIST, "/view_study/{study}/surveys", is_return_page=True),
    "surveys.page": Page(LIST, "/edit_survey/{study}/{survey}", is_return_page=True),
    "surveys.versions": Page(LIST, "/edit_survey/{study}/{survey}/versions"),
    "surveys.preview": Page(LIST, "/edit_survey/{study}/{survey}/preview"),
    "surveys.step": Page(LIST, "/edit_survey/{study}/{survey}/preview", "POST"),
    "surveys.questions": Page(EDIT_SURVEY, "/edit_survey/{study}/{survey}/questions", is_return_page=True),
    "surveys.schedule": Page(LIST, "/edit_survey/{study}/{survey}/schedule", is_return_page=True),
    "surveys.change_schedule": Page(EDIT_SURVEY, "/edit_survey/{study}/{survey}/schedule", "POST"),
    "surveys.change_time_to_answer": Page(
        EDIT_SURVEY, "/view_study/{study}/surveys/time_to_answer", "POST", passed=422
    ),
    "surveys.calendar": Page(LIST, "/view_study/{study}/surveys/calendar", is_return_page=True),
    "surveys.calendar_download": Page(LIST, "/view_study/{study}/surveys/calendar.ics"),
    "surveys.save": Page(EDIT_SURVEY, "/edit_survey/{study}/{survey}/draft", "PUT", passed=400),
    "surveys.compare_draft": Page(EDIT_SURVEY, "/edit_survey/{study}/{survey}/draft/compare", "POST", passed=400),
    "surveys.publish": Page(EDIT_SURVEY, "/edit_survey/{study}/{survey}/publish", "POST", passed=400),
    "surveys.discard": Page(EDIT_SURVEY, "/edit_survey/{study}/{survey}/discard", "POST", passed=400),
    "surveys.keep_draft": Page(EDIT_SURVEY, "/edit_survey/{study}/{survey}/keep_draft", "POST", passed=400),
    "surveys.templates": Page(LIST, "/view_study/{study}/surveys/templates"),
    "surveys.template": Page(LIST, "/view_study/{study}/surveys/templates/phq-9"),
    "surveys.use_template": Page(EDIT_SURVEY, "/view_study/{study}/surveys/templates/phq-9", "POST", passed=302),
    "surveys.remove_a_template": Page(
        EDIT_SURVEY, "/view_study/{study}/surveys/templates/999999/remove", "POST", passed=404
    ),
    "surveys.keep_form": Page(EDIT_SURVEY, "/edit_survey/{study}/{survey}/keep"),
    "surveys.keep": Page(EDIT_SURVEY, "/edit_survey/{study}/{survey}/keep", "POST", passed=422),
    "surveys.translations": Page(LIST, "/edit_survey/{study}/{survey}/translations"),
    "surveys.translation": Page(LIST, "/edit_survey/{study}/{survey}/translations/999999", passed=404),
    "surveys.save_a_translation": Page(
        EDIT_SURVEY, "/edit_survey/{study}/{survey}/translations/999999", "POST", passed=404
    ),
    "surveys.translation_file": Page(LIST, "/edit_survey/{study}/{survey}/translations/999999.csv", passed=404),
    "surveys.upload_translation": Page(
        EDIT_SURVEY, "/edit_survey/{study}/{survey}/translations/999999.csv", "POST", passed=404
    ),
    "surveys.copy": Page(LIST, "/edit_survey/{study}/{survey}/copy"),
    "surveys.make_copy": Page(LIST, "/edit_survey/{study}/{survey}/copy", "POST", passed=422),
    "surveys.bring_in": Page(EDIT_SURVEY, "/edit_survey/{study}/{survey}/bring_in"),
    "surveys.bring": Page(EDIT_SURVEY, "/edit_survey/{study}/{survey}/bring_in", "POST", passed=422),
    "surveys.create": Page(EDIT_SURVEY, "/create_survey/{study}/tracking_survey", "POST", passed=302),
    "surveys.rename": Page(EDIT_SURVEY, "/rename_survey/{study}/{survey}", "POST", passed=400),
    "surveys.update": Page(EDIT_SURVEY, "/update_survey/{study}/{survey}", "POST", passed=201),
    "surveys.delete": Page(EDIT_SURVEY, "/delete_survey/{study}/{survey}", "POST", passed=302),
    "surveys.restore": Page(EDIT_SURVEY, "/restore_survey/{study}/{survey}", "POST", passed=302),
    "interventions.list": Page(LIST, "/interventions/{study}", is_return_page=True),
    "interventions.add": Page(Capability.INTERVENTION_EDIT, "/interventions/{study}", "POST", passed=422),
    "interventions.rename": Page(Capability.INTERVENTION_EDIT, "/edit_intervention/{study}", "POST", passed=400),
    "interventions.delete": Page(Capability.INTERVENTION_EDIT, "/delete_intervention/{study}", "POST", passed=400),
    "interventions.fields": Page(LIST, "/study_fields/{study}", is_return_page=True),
    "interventions.add_field": Page(Capability.FIELD_EDIT, "/study_fields/{study}", "POST", passed=422),
    "interventions.rename_field": Page(Capability.FIELD_EDIT, "/edit_custom_field/{study}", "POST", passed=400),
    "interventions.delete_field": Page(Capability.FIELD_EDIT, "/delete_field/{study}", "POST", passed=400),
    "participants.list": Page(LIST, "/view_study/{study}/participants", is_return_page=True),
    "participants.figures": Page(LIST, "/view_study/{study}/participants/figures", passed=302),
    "participants.columns": Page(LIST, f"{PEOPLE}/columns", "POST", passed=302),
    "participants.export": Page(Capability.STUDY_EXPORT, f"{PEOPLE}.csv"),
    "participants.export_selected": Page(Capability.STUDY_EXPORT, f"{PEOPLE}/csv", "POST"),
    "participants.choose_values": Page(FIELDS, f"{PEOPLE}/values", "POST", passed=302),
    "participants.choose_reset": Page(
        Capability.PARTICIPANT_RESET_DEVICE, f"{PEOPLE}/reset_phones", "POST", passed=302
    ),
    "participants.choose_retire": Page(Capability.PARTICIPANT_RETIRE, f"{PEOPLE}/retire", "POST", passed=302),
    "participants.undo_edit": Page(FIELDS, f"{PEOPLE}/undo/99", "POST", passed=404),
    "participants.edit_value": Page(FIELDS, f"{OWN}/values/field:99", passed=404),
    "participants.save_value": Page(FIELDS, f"{OWN}/values/field:99", "POST", passed=404),
    "participants.detail": Page(Capability.PARTICIPANT_VIEW, OWN, is_return_page=True),
    "participants.detail_figures": Page(Capability.PARTICIPANT_VIEW, f"{OWN}/figures", passed=302),
    "participants.notified": Page(Capability.PARTICIPANT_VIEW, f"{OWN}/notification_history"),
    "participants.why_not_sent": Page(Capability.PARTICIPANT_VIEW, f"{OWN}/notification_history/why", passed=404),
    "participants.send_now": Page(
        Capability.PARTICIPANT_PUSH, "/{study}/send_survey_notification/{participant}", "POST", passed=400
    ),
    "participants.about": Page(Capability.PARTICIPANT_VIEW, f"{OWN}/about"),
    "participants.save_fields": Page(FIELDS, OWN, "POST", passed=302),
    "participants.problems": Page(Capability.PARTICIPANT_VIEW, f"{OWN}/problems"),
    "participants.try_problem_again": Page(
        Capability.PROCESSING_RETRY, f"{OWN}/problems/99/try_again", "POST", passed=404
    ),
    "participants.notes": Page(Capability.PARTICIPANT_VIEW, f"{OWN}/notes"),
    "participants.write_note": Page(Capability.NOTES_EDIT, f"{OWN}/notes", "POST", passed=422),
    "participants.history": Page(Capability.PARTICIPANT_VIEW, f"{OWN}/history"),
    "participants.manage": Page(Capability.PARTICIPANT_VIEW, f"{OWN}/manage"),
    "participants.clear_device_id": Page(RESET, "/clear_device_id", "POST", passed=302, asks_form=True),
    "participants.toggle_easy_enrollment": Page(
        Capability.PARTICIPANT_EASY_ENROLLMENT, "/toggle_easy_enrollment", "POST", passed=302, asks_form=True
    ),
    "participants.toggle_test": Page(Capability.PARTICIPANT_TEST, f"{OWN}/test", "POST", passed=302),
    "participants.save_external_id": Page(FIELDS, f"{OWN}/external_id", "POST", passed=302),
    "participants.retire": Page(Capability.PARTICIPANT_RETIRE, "/retire_participant", "POST", 302, asks_form=True),
    "participants.unretire": Page(Capability.PARTICIPANT_RETIRE, f"{OWN}/unretire", "POST", passed=302),
    "participants.leave": Page(Capability.PARTICIPANT_WITHDRAW, f"{OWN}/leave", "POST", passed=422),
    "participants.take_back_leave": Page(Capability.PARTICIPANT_WITHDRAW, f"{OWN}/leave/take_back", "POST", passed=302),
    "participants.pause": Page(Capability.PARTICIPANT_PAUSE, f"{OWN}/pause", "POST", passed=302),
    "participants.resume": Page(Capability.PARTICIPANT_PAUSE, f"{OWN}/resume", "POST", passed=302),
    "participants.new_phone": Page(Capability.PARTICIPANT_NEW_PHONE, f"{OWN}/new_phone"),
    "participants.prepare_phone": Page(Capability.PARTICIPANT_NEW_PHONE, f"{OWN}/new_phone", "POST", passed=422),
    "participants.new_password": Page(
        Capability.PARTICIPANT_RESET_PASSWORD, "/reset_participant_password", "POST", asks_form=True
    ),
    "participants.batch_sheets": Page(ADD, f"{BATCH}/sheets", "POST", passed=302),
    "participants.purge": Page(Capability.PARTICIPANT_PURGE, f"{OWN}/purge"),
    "participants.delete_participant": Page(
        Capability.PARTICIPANT_PURGE, "/delete_participant", "POST", passed=422, asks_form=True
    ),
    "participants.take_back": Page(Capability.PARTICIPANT_PURGE, f"{OWN}/purge/take_back", "POST", passed=302),
    "participants.purge_state": Page(Capability.PARTICIPANT_PURGE, f"{OWN}/purge/progress", passed=404),
    "participants.import_fields": Page(FIELDS, "/view_study/{study}/import_participants"),
    "participants.import_file": Page(FIELDS, "/view_study/{study}/import_participants", "POST", passed=422),
    "participants.add_from_file": Page(ADD, "/view_study/{study}/add_participants_from_file"),
    "participants.add_file": Page(ADD, "/view_study/{study}/add_participants_from_file", "POST", passed=422),
    "participants.add": Page(ADD, "/view_study/{study}/add_participants"),
    "participants.create_one": Page(ADD, "/create_new_participant", "POST"),
    "participants.batch": Page(ADD, BATCH),
    "participants.batch_progress": Page(ADD, f"{BATCH}/progress", passed=302),
    "participants.batch_passwords": Page(ADD, f"{BATCH}/passwords", "POST", passed=302),
    "participants.create_many": Page(ADD, "/create_many_patients/{study}", "POST", passed=422),
    "researchers.list": Page(Capability.RESEARCHER_LIST, "/manage_researchers", is_return_page=True),
    "researchers.edit": Page(Capability.RESEARCHER_LIST, "/edit_researcher/{colleague}", is_return_page=True),
    "researchers.create": Page(Capability.RESEARCHER_CREATE, "/create_new_researcher"),
    "researchers.invite": Page(Capability.RESEARCHER_CREATE, "/create_new_researcher", "POST", passed=422),
    "researchers.add_to_study": Page(Capability.RELATION_ADD, "/add_researcher_to_study", "POST", passed=400),
    "researchers.change_role": Page(Capability.RELATION_REMOVE, "/set_researcher_role", "POST", passed=400),
    "researchers.elevate": Page(Capability.RELATION_ELEVATE, "/elevate_researcher", "POST", passed=400),
    "researchers.demote": Page(Capability.RELATION_DEMOTE, "/demote_researcher", "POST", passed=400),
    "researchers.remove_from_study": Page(
        Capability.RELATION_REMOVE, "/remove_researcher_from_study", "POST", passed=400
    ),
    "researchers.set_password": Page(
        Capability.RESEARCHER_SET_PASSWORD, "/set_researcher_password", "POST", passed=400
    ),
    "researchers.reset_mfa": Page(
        Capability.RESEARCHER_RESET_MFA, "/reset_researcher_mfa/{colleague}", "POST", passed=302
    ),
    "researchers.withdraw_link": Page(
        Capability.RESEARCHER_SET_PASSWORD, "/withdraw_researcher_link/{colleague}", "POST", passed=302
    ),
    "researchers.change_active": Page(
        Capability.RESEARCHER_DEACTIVATE, "/set_researcher_active/{colleague}", "POST", passed=400
    ),
    "researchers.change_site_admin": Page(
        Capability.RESEARCHER_SITE_ADMIN, "/set_site_administrator/{colleague}", "POST", passed=400
    ),
    "researchers.delete": Page(Capability.RESEARCHER_DELETE, "/delete_researcher/{colleague}", "POST", passed=403),
    "researchers.open_link": Page(None, "/invitation/{token}"),
    "researchers.accept": Page(None, "/invitation/{token}", "POST", passed=422),
    "researchers.switch": Page(None, "/invitation/{token}/switch", "POST", passed=302),
    "researchers.team": Page(LIST, "/view_study/{study}/team", is_return_page=True),
    "researchers.add_to_team": Page(Capability.RELATION_ADD, "/view_study/{study}/team", "POST", passed=422),
    "researchers.rights": Page(Capability.OWN_STUDIES, "/who_may_do_what"),
    "downloads.choose": Page(Capability.OWN_STUDIES, "/data_access_web_form", is_return_page=True),
    "downloads.page": Page(Capability.DATA_DOWNLOAD, DOWNLOADS, is_return_page=True),
    "downloads.size": Page(Capability.DATA_DOWNLOAD, f"{DOWNLOADS}/size", "POST"),
    "downloads.download": Page(Capability.DATA_DOWNLOAD, f"{DOWNLOADS}/download", "POST"),
    "downloads.prepare": Page(Capability.DATA_DOWNLOAD, f"{DOWNLOADS}/exports", "POST", passed=422),
    "downloads.exports": Page(Capability.DATA_DOWNLOAD, f"{DOWNLOADS}/exports"),
    "downloads.exports_state": Page(Capability.DATA_DOWNLOAD, f"{DOWNLOADS}/exports/state", passed=302),
    "downloads.export_file": Page(Capability.DATA_DOWNLOAD, f"{DOWNLOADS}/exports/1/file", passed=404),
    "downloads.export_again": Page(Capability.DATA_DOWNLOAD, f"{DOWNLOADS}/exports/1/again", "POST", passed=404),
    "downloads.export_cancel": Page(Capability.DATA_DOWNLOAD, f"{DOWNLOADS}/exports/1/cancel", "POST", passed=404),
    "downloads.export_delete": Page(Capability.DATA_DOWNLOAD, f"{DOWNLOADS}/exports/1/delete", "POST", passed=404),
    "quantities.study": Page(LIST, "/dashboard/{study}", is_return_page=True),
    "quantities.stream": Page(LIST, "/dashboard/{study}/data_stream/gps", is_return_page=True),
    "quantities.save": Page(LIST, "/dashboard/{study}/data_stream/gps", "POST", passed=302, is_return_page=True),
    "quantities.stream_file": Page(Capability.STATISTICS_READ, "/dashboard/{study}/data_stream/gps/table.csv"),
    "quantities.participant": Page(LIST, "/dashboard/{study}/patient/{participant}", is_return_page=True),
    "quantities.participant_file": Page(
        Capability.STATISTICS_READ, "/dashboard/{study}/patient/{participant}/table.csv"
    ),
    "audit.study_changes": Page(Capability.AUDIT_STUDY, AUDIT, is_return_page=True),
    "audit.study_changes_file": Page(Capability.AUDIT_STUDY, f"{AUDIT}/changes.csv"),
    "audit.study_access": Page(Capability.AUDIT_STUDY, f"{AUDIT}/access", is_return_page=True),
    "audit.study_access_file": Page(Capability.AUDIT_STUDY, f"{AUDIT}/access.csv"),
    "audit.site_changes": Page(Capability.AUDIT_ALL, "/audit", is_return_page=True),
    "audit.site_changes_file": Page(Capability.AUDIT_ALL, "/audit/changes.csv"),
    "audit.site_access": Page(Capability.AUDIT_ALL, "/audit/access", is_return_page=True),
    "audit.site_access_file": Page(Capability.AUDIT_ALL, "/audit/access.csv"),
    "audit.site_sign_ins": Page(Capability.AUDIT_ALL, "/audit/sign_ins", is_return_page=True),
    "audit.site_sign_ins_file": Page(Capability.AUDIT_ALL, "/audit/sign_ins.csv"),
    "settings.page": Page(LIST, SETTINGS, is_return_page=True),
    "settings.save": Page(Capability.STUDY_APP_SETTINGS, SETTINGS, "POST", passed=422),
    "settings.preview": Page(Capability.STUDY_APP_SETTINGS, f"{SETTINGS}/preview", "POST"),
    "settings.history": Page(LIST, f"{SETTINGS}/history"),
    "settings.version": Page(LIST, f"{SETTINGS}/history/99999", passed=404),
    "settings.rollout": Page(LIST, f"{SETTINGS}/rollout"),
    "settings.consents": Page(LIST, f"{SETTINGS}/consent"),
    "settings.consent": Page(LIST, f"{SETTINGS}/consent/1"),
}
PORTAL = {endpoint: page for endpoint, page in MATRIX.items() if isinstance(page, Page)}
pages = pytest.mark.parametrize("endpoint", PORTAL)


@dataclass
class World:
    """A study with a participant, a hidden one, one that nobody here belongs to, and one visitor of each kind."""

    study: Study
    hidden: Study
    participant: Participant
    stranger: Participant
    batch: ParticipantBatch
    strange_batch: ParticipantBatch
    colleague: Researcher
    token: str
    visitors: dict[str, Researcher | None]
    sessions: dict[str, Visitor] = field(default_factory=dict)

    def signed_in(self, app: Flask, who: str) -> Visitor:
        """One session of this visitor, for pages of studies, which end no session."""
        if who not in self.sessions:
            self.sessions[who] = Visitor(app, self.visitors[who])
        return self.sessions[who]


@pytest.fixture
def world(factory: Factory, quick_passwords: None) -> World:
    study, hidden, other = factory.study(), factory.study(), factory.study()
    hidden.hidden_at = db.func.now()
    study.has_forest = hidden.has_forest = True
    visitors: dict[str, Researcher | None] = {"out": None}
    for name, role in ROLES.items():
        is_site_admin = role is Role.SITE_ADMIN
        in_study = {"study": study, "role": role} if role and not is_site_admin else {}
        if name in ELSEWHERE:
            in_study = {"study": other, "role": ELSEWHERE[name]}
        visitors[name] = factory.researcher(is_site_admin=is_site_admin, **in_study)
    # Works in both studies, so that administrators of either may see the account.
    colleague = factory.researcher("colleague", study=study)
    factory.role(colleague, other, Role.STUDY_RESEARCHER)
    site = CustomField(study_id=study.id, name="Site")
    db.session.add(site)
    db.session.flush()
    rows = [{"external_id": None, "values": {f"field:{site.id}": "Here"}}] * 99
    batches = [
        ask_for_batch(db.session(), study, 99, "a batch", rows=rows, actor=SERVER),
        ask_for_batch(db.session(), other, 99, "a batch", actor=SERVER),
    ]
    limited, limit = visitors[LIMITED], SiteLimit(site.id, ("Here",))
    assert limited
    set_role(db.session(), study, limited, Role.STUDY_RESEARCHER, limit=limit, actor=SERVER)
    token = make_link(db.session(), factory.researcher("invited"), LinkKind.RESET, datetime.now(UTC), actor=SERVER)
    db.session.commit()
    people = factory.participant(study), factory.participant(other)
    db.session.add(FieldValue(participant_id=people[0].id, field_id=site.id, value="Here"))
    db.session.commit()
    return World(study, hidden, *people, *batches, colleague, token, visitors)


def ask(
    app: Flask,
    world: World,
    page: Page,
    who: str,
    *,
    study: int | None = None,
    participant: str | None = None,
    batch: int | None = None,
) -> TestResponse:
    number = study or world.study.id
    path = path_of(world, page, study=number, participant=participant, batch=batch)
    visitor = world.signed_in(app, who) if page.is_about_study else Visitor(app, world.visitors[who])
    fields = {"study_id": str(number), "number_of_new_patients": "none"}
    if page.asks_form:
        fields["patient_id"] = participant or world.participant.patient_id
    return visitor.send(page.method, path, **fields)


def a_survey(study: Study, *, is_deleted: bool = False) -> Survey:
    """A new survey, because a route of the matrix may delete it."""
    survey = create_survey(db.session(), study, SurveyType.TRACKING, datetime.now(UTC), actor=SERVER)
    if is_deleted:
        delete_survey(db.session(), survey, datetime.now(UTC), actor=SERVER)
    db.session.commit()
    return survey


def path_of(
    world: World, page: Page, *, study: int | None = None, participant: str | None = None, batch: int | None = None
) -> str:
    survey = a_survey(world.study, is_deleted="restore" in page.path).id if "{survey}" in page.path else None
    return page.path.format(
        survey=survey,
        study=study or world.study.id,
        participant=participant or world.participant.patient_id,
        batch=batch or world.batch.id,
        colleague=world.colleague.id,
        token=world.token,
    )


def test_every_route_is_in_the_matrix(app: Flask):
    """PERM-4: a new route needs a line here."""
    routed = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert {endpoint.removesuffix("_ios") for endpoint in routed} == set(MATRIX)


def test_each_kind_of_route_is_where_it_belongs(app: Flask):
    """PERM-33: phones, keys and sessions are each checked in their own place."""
    sections = {section.name for section in SECTIONS}
    for endpoint, row in MATRIX.items():
        blueprint = endpoint.partition(".")[0]
        assert (blueprint in sections) == isinstance(row, Page)
        is_of_api = blueprint == "data_api" and not endpoint.endswith("_connector")
        assert (row == PHONE, isinstance(row, Key)) == (blueprint == "phone", is_of_api)


def test_each_page_asks_for_the_capability_of_its_row(app: Flask):
    """PERM-4, PERM-93: for every capability of a route the matrix says who has it."""
    for endpoint, page in PORTAL.items():
        rule = access_rule_of(endpoint)
        assert rule is not None
        assert (rule.capability, rule.is_return_page) == (page.capability, page.is_return_page), endpoint


@pytest.mark.parametrize("who", ROLES)
def test_a_key_gets_what_its_owner_may_do(app: Flask, world: World, factory: Factory, who: str):
    """PERM-35, PERM-37."""
    owner = world.visitors[who]
    assert owner is not None
    key = factory.api_key(db.session.get_one(Researcher, owner.id))
    for row in MATRIX.values():
        if isinstance(row, Key):
            status = row.ask(app, key, world.study, world.participant)
            is_viewers = row.capability is not None and who == "study_viewer"  # PERM-94
            is_allowed = row.capability is None or (who in who_may(row.capability) and not is_viewers)
            assert status == (row.passed if is_allowed else row.refused), (who, row)
            if row.capability and not row.is_of_participant:
                assert row.ask(app, key, world.hidden, None) == 404, (who, row)


def test_nobody_enters_without_signing_in(app: Flask, world: World):
    """PERM-11, PORTAL-24."""
    for page in PORTAL.values():
        answer = ask(app, world, page, "out")
        if page.capability is None:
            assert answer.status_code in (200, 302, page.passed)
            continue
        path = answer.request.path
        assert answer.status_code == 302, page
        assert answer.location == (f"/?page={path}" if page.is_return_page else "/")


def expected(page: Page, who: str) -> int:
    """The status that the matrix says for this visitor: that of the page, or the refusal."""
    if page.capability and who not in who_may(page.capability):
        return 403
    has_one_study = ROLES[who] not in (None, Role.SITE_ADMIN) or who in ELSEWHERE
    has_download = has_one_study and ROLES[who] is not Role.STUDY_VIEWER
    if page.path == "/" or (page.path == "/choose_study" and has_one_study):
        return 302
    if page.path == "/data_access_web_form" and has_download:
        return 302
    if page.path == "/invitation/{token}" and page.method == "POST":
        return 200  # says that the link is for somebody else
    if page.path == "/create_new_researcher" and page.method == "POST" and who == "admin_elsewhere":
        return 403  # the form names a study of others
    return page.passed


@pytest.mark.parametrize("who", ROLES)
def test_every_kind_of_researcher_gets_what_its_role_allows(app: Flask, world: World, who: str):
    """PERM-12, PERM-34, PERM-60, PERM-94."""
    for page in sorted(PORTAL.values(), key=lambda page: not page.is_about_study):  # the others end sessions
        assert ask(app, world, page, who).status_code == expected(page, who), (who, page)


# Each asks for every page: three stand for all, and the others are in the long lane.
HERE, IN_LONG_LANE = ("study_admin", "study_researcher", "researcher_elsewhere"), pytest.mark.long


@pytest.mark.parametrize("who", [who if who in HERE else pytest.param(who, marks=IN_LONG_LANE) for who in ROLES])
def test_stopping_a_study_changes_no_right(app: Flask, world: World, who: str):
    """PERM-51."""
    world.study.is_stopped_by_hand = True
    db.session.commit()
    for page in PORTAL.values():
        if page.is_about_study and page.path not in ("/toggle_end_study/{study}", "/hide_study/{study}"):
            assert ask(app, world, page, who).status_code == expected(page, who), (who, page)


@pytest.mark.parametrize("who", [who if who in HERE else pytest.param(who, marks=IN_LONG_LANE) for who in ROLES])
def test_hidden_and_unknown_studies_are_not_there_for_anybody(app: Flask, world: World, who: str):
    """PERM-12, PERM-19: 404 comes before 403."""
    for page in PORTAL.values():
        if page.is_about_study:
            is_open = page.capability is Capability.STUDY_UNHIDE or page.path == "/edit_study/{study}"
            may_unhide = is_open and who == "site_admin"
            for study in (99_999,) if may_unhide else (world.hidden.id, 99_999):
                assert ask(app, world, page, who, study=study).status_code == 404, (who, page)


def test_a_participant_of_another_study_is_not_there(app: Flask, world: World):
    """PORTAL-131, PERM-71."""
    for page in PORTAL.values():
        if "{participant}" in page.path or page.asks_form:
            for patient_id in (world.stranger.patient_id, "nobody11"):
                answer = ask(app, world, page, "site_admin", participant=patient_id)
                assert answer.status_code == 404, page


def test_a_batch_of_another_study_is_not_there(app: Flask, world: World):
    """PERM-19, PERM-71, CLAR-32."""
    for page in PORTAL.values():
        if "{batch}" in page.path:
            for batch in (world.strange_batch.id, 99_999):
                assert ask(app, world, page, "site_admin", batch=batch).status_code == 404, page


def test_a_survey_of_another_study_is_not_there(app: Flask, world: World):
    """PORTAL-210, PERM-19, PERM-72; nor is a deleted one, but for restoring it, and for its answers, which stay."""
    other = db.session.get_one(Study, world.stranger.study_id)
    for page in PORTAL.values():
        if "{survey}" in page.path:
            is_restoring, has_answers = "restore" in page.path, page.path.startswith(OF_SURVEY)
            for survey in (
                a_survey(other, is_deleted=is_restoring),
                a_survey(world.study, is_deleted=not is_restoring),
            ):
                path = page.path.format(study=world.study.id, survey=survey.id)
                visitor = Visitor(app, world.visitors["site_admin"])
                status = visitor.send(page.method, path).status_code
                is_there = has_answers and survey.study_id == world.study.id
                assert status == (page.passed if is_there else 404), (page, survey.study_id)


def test_nothing_is_inline(app: Flask, world: World):
    """PORTAL-8: the policy forbids it, so no page of the matrix holds any, its fragments included."""
    seen = 0
    pages_shown = [page for page in PORTAL.values() if page.method == "GET"]
    for page in pages_shown:
        visitor = Visitor(app, None if page.path == "/" else world.visitors["site_admin"])
        for answer in (visitor.get(path_of(world, page)), visitor.swap(path_of(world, page))):
            seen += answer.status_code == 200
            for inline in (" style=", "<style", "<script>", " onclick=", "hx-on", "javascript:"):
                assert inline not in answer.text, (page, inline)
    assert seen > len(pages_shown)


def test_a_study_number_in_another_form_is_no_page(app: Flask, world: World):
    """PORTAL-3."""
    visitor = Visitor(app, world.visitors["site_admin"])
    for number in ("0", "-1", "x", "1.0", f"00{world.study.id}", f"+{world.study.id}", "9" * 19):
        assert visitor.get(f"/view_study/{number}").status_code == 404, number
        if number != f"00{world.study.id}":
            assert visitor.post("/create_new_participant", study_id=number).status_code == 404, number


def test_what_changes_something_is_not_reached_by_get(app: Flask, world: World):
    """PERM-10, PERM-31: 405 before any look at the session."""
    shown = {page.path for page in PORTAL.values() if page.method == "GET"}
    for page in PORTAL.values():
        if page.method != "GET" and page.path not in shown:
            path = path_of(world, page)
            assert Visitor(app).get(path).status_code == 405, page
            assert Visitor(app, world.visitors["site_admin"]).get(path).status_code == 405, page


def test_a_change_without_a_token_is_refused(app: Flask, world: World):
    """PERM-30, PORTAL-6."""
    for page in PORTAL.values():
        if page.method != "GET" and page.path not in ("/validate_login", "/invitation/{token}"):
            visitor = Visitor(app, world.visitors["site_admin"])
            fields = {"study_id": str(world.study.id), "number_of_new_patients": "1"}
            answer = visitor.open(path_of(world, page), method=page.method, data=fields)
            assert answer.status_code == 403, page
    assert db.session.scalar(db.select(db.func.count()).select_from(Participant)) == 2


def test_both_forms_of_every_path_are_answered_alike(app: Flask, world: World):
    """PORTAL-1."""
    for page in PORTAL.values():
        if page.method == "GET" and page.path != "/":
            path = path_of(world, page)
            visitor = Visitor(app, world.visitors["site_admin"])
            assert visitor.get(path).status_code == visitor.get(path + "/").status_code, page


def test_a_forced_password_change_comes_before_every_page(app: Flask, world: World, factory: Factory):
    """PORTAL-41, PERM-41: refusals come first, a POST is not carried out."""
    forced = factory.researcher(is_site_admin=True, must_change_password=True)
    world.visitors["forced"] = forced
    for page in PORTAL.values():
        if page.is_about_study or page.path == "/choose_study":
            assert ask(app, world, page, "forced").location == "/manage_credentials", page
    assert db.session.scalar(db.select(db.func.count()).select_from(Participant)) == 2
    assert ask(app, world, PORTAL["participants.list"], "forced", study=99_999).status_code == 404


def test_htmx_is_led_away_and_gets_nothing_to_swap(app: Flask, world: World):
    """PERM-18; a client that asks for JSON is told 401."""
    path = f"/view_study/{world.study.id}"
    answer = Visitor(app).swap(path)
    assert (answer.status_code, answer.headers["HX-Redirect"], answer.data) == (204, f"/?page={path}", b"")
    assert Visitor(app).get(path, headers={"Accept": "application/json"}).status_code == 401
