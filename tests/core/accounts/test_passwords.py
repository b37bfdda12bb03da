"""Passwords that researchers choose (PORTAL-40)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.accounts.passwords import password_problem, password_rules, password_score


@pytest.mark.parametrize("password", ["aA1 aaaa", "Correct horse 1", "Ünderwegs 7 Mal", "x" * 100 + "aA1!" + "y" * 24])
def test_passwords_with_all_kinds_of_characters_are_accepted(password: str):
    assert password_problem(password, 8) is None


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("aA1 aaa", "At least 8"),
        ("a" * 129, "At most 128"),
        ("aaaa1111!", "upper-case"),
        ("AAAA1111!", "lower-case"),
        ("aaaaAAAA!", "digit"),
        ("aaaaAAAA1", "other character"),
        ("Password1!", "too easy to guess"),
        ("Qwerty123!@#", "too easy to guess"),
        ("P@ssw0rd", "too easy to guess"),
    ],
)
def test_a_refusal_says_which_rule_is_broken(password: str, sentence: str):
    assert sentence in (password_problem(password, 8) or "")


def test_ones_own_name_is_easy_to_guess():
    assert password_problem("Mlopez-2024", 8) is None
    assert password_score("Mlopez-2024", "mlopez") < password_score("Mlopez-2024")


def test_estimates_beside_each_other_do_not_mix_names():
    with ThreadPoolExecutor(8) as threads:
        names = [f"person{n}xyz" for n in range(40)]
        scores = list(threads.map(lambda name: password_score(name, name), names))
    assert scores == [0] * 40


def test_rules_follow_the_typing():
    assert [is_kept for _, is_kept in password_rules("", 8)] == [False] * 6
    assert [is_kept for _, is_kept in password_rules("Correct horse 1", 8)] == [True] * 6
