"""How the section's pages name trees and states."""

from core.forest.night_report import Missing
from core.models import TaskState, TreeName

TREES = {
    TreeName.JASMINE: ("Jasmine", "Where people are and how they move, from GPS"),
    TreeName.OAK: ("Oak", "Walking time, steps and cadence, from the accelerometer"),
    TreeName.SYCAMORE: ("Sycamore", "How surveys are answered"),
    TreeName.WILLOW: ("Willow", "Calls and text messages"),
}
STATES = {
    TaskState.QUEUED: "Queued",
    TaskState.RUNNING: "Running",
    TaskState.SUCCESS: "Done",
    TaskState.ERROR: "Failed",
    TaskState.CANCELLED: "Cancelled",
}
CLASSES = {
    TaskState.QUEUED: "",
    TaskState.RUNNING: "warn",
    TaskState.SUCCESS: "good",
    TaskState.ERROR: "bad",
    TaskState.CANCELLED: "",
}
"""The look of a state, beside its word."""
MISSING = {
    Missing.FAILED: ("Failed", "Their task failed; the night’s list below has the reason."),
    Missing.CANCELLED: ("Cancelled", "Somebody cancelled their task; the next night tries again."),
    Missing.WAITING: ("Waiting", "Their task waits or runs."),
    Missing.CAME_LATER: ("Nothing found", "There are data, of which nothing was made, or which came after the night."),
    Missing.NO_DATA: ("No data", "Their phones sent nothing of that day for this analysis yet."),
}
"""Why participants have no measures of a day: a word for the table, and a sentence."""
