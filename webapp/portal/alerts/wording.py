"""Conditions of alerts in words."""

from core.models import AlertRule, Comparison

COMPARISONS = {
    Comparison.ABOVE: "above",
    Comparison.AT_LEAST: "at least",
    Comparison.BELOW: "below",
    Comparison.AT_MOST: "at most",
    Comparison.EQUAL: "exactly",
}


def condition_in_words(rule: AlertRule) -> str:
    """Such as `above 3`, or the answers that match."""
    if rule.comparison == Comparison.ANY_OF:
        return " or ".join(f"“{text}”" for text in rule.options)
    return f"{COMPARISONS[Comparison(rule.comparison)]} {rule.value:g}"
