"""The table of app settings from which forms are made (SURVEY-40, SURVEY-50)."""

import pytest

from core.models.app_settings import APP_SETTINGS
from core.studies.app_settings import MOST, RULE_OF, SETTING_RULES, SettingGroup, setting_problem

DEFAULTS = {setting.name: setting.default for setting in APP_SETTINGS}
NUMBERS = [name for name, default in DEFAULTS.items() if type(default) is int]


def test_every_setting_of_the_phones_has_its_row_and_only_these():
    """SURVEY-50, CLAR-30: 51, the consent sections among them."""
    assert len(SETTING_RULES) == 51
    assert sorted(rule.name for rule in SETTING_RULES) == sorted([*DEFAULTS, "consent_sections"])


def test_none_lacks_what_study_staff_need():
    """SURVEY-40: label, group, help, and for numbers a unit and a range that holds the default."""
    for rule in SETTING_RULES:
        assert rule.label and rule.help.endswith("."), rule
        assert isinstance(rule.group, SettingGroup)
        is_number = rule.name in NUMBERS
        assert bool(rule.unit) == is_number == (rule.least is not None) == (rule.most is not None), rule
        if rule.least is not None and rule.most is not None:
            assert rule.least <= int(DEFAULTS[rule.name]) <= rule.most, rule
    assert len({rule.label for rule in SETTING_RULES}) == len(SETTING_RULES), "no two have one label"
    assert {rule.group for rule in SETTING_RULES} == set(SettingGroup)


def test_what_needs_a_switch_comes_after_it_in_its_group():
    """SURVEY-40: a switch, then what belongs to it."""
    names = [rule.name for rule in SETTING_RULES]
    for rule in SETTING_RULES:
        if rule.switch:
            assert isinstance(DEFAULTS[rule.switch], bool)
            assert RULE_OF[rule.switch].group is rule.group
            assert names.index(rule.switch) < names.index(rule.name)
    groups = [rule.group for rule in SETTING_RULES]
    assert groups == sorted(groups, key=list(SettingGroup).index), "a group stands together"


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_held_to_their_range(name: str):
    """PHONE-40, SURVEY-42."""
    least = RULE_OF[name].least
    assert least is not None
    assert setting_problem(name, least) is None
    assert setting_problem(name, MOST) is None
    assert setting_problem(name, least - 1) == f"{name}: at least {least}"
    assert setting_problem(name, MOST + 1) == f"{name}: at most {MOST}"
    for wrong in (True, "10", 10.0, None):
        assert setting_problem(name, wrong) == f"{name}: a int is expected"
