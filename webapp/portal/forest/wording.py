"""How the section's pages name trees and states."""

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
