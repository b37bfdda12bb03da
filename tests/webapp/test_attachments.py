import re
from pathlib import Path
from urllib.parse import unquote, urlencode

import urllib3
from flask import Flask

import webapp
from tests.support.factories import Factory
from tests.support.gunicorn import gunicorn


def test_a_studys_name_in_any_script_names_its_file(app: Flask, factory: Factory):
    """SURVEY-50: through gunicorn, which refuses headers that are not ASCII."""
    study = factory.study(name="Children’s sleep – 睡眠")
    key = factory.api_key(factory.researcher(study=study))
    body = urlencode({**key, "study_id": study.object_id})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    with gunicorn() as address:
        answer = urllib3.request("POST", f"{address}/get-study-settings/v1", body=body, headers=kind)
    assert answer.status == 200
    sent = answer.headers["Content-Disposition"]
    assert "filename=Childrens_sleep_" in sent
    assert unquote(re.search(r"filename\*=UTF-8''(\S+)", sent)[1]).startswith("Children’s_sleep_–_睡眠")


def test_names_of_files_are_set_in_one_place():
    found = [p.name for p in Path(webapp.__file__).parent.rglob("*.py") if 'set("Content-Disposition"' in p.read_text()]
    assert found == ["attachments.py"]
