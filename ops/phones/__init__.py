"""Simulated phones: an independent implementation of the apps' side of the phone API (spec PHONE-1 … PHONE-124).

It imports nothing of the server, so that it cannot share the server's mistakes about the protocol; but for the rules
by which apps show questions and write answers (`core.surveys.rules`), which are about the apps and not the protocol.
Used by `make demo`, the tests and the benchmarks; `python -m ops.phones --help` lists the options.
"""

from ops.phones.fleet import run_fleet
from ops.phones.ledger import Ledger, regenerate
from ops.phones.load import LoadReport, run_load
from ops.phones.member import FleetOptions
from ops.phones.phone import Phone
from ops.phones.platforms import Platform
from ops.phones.transport import Transport

__all__ = [
    "FleetOptions",
    "Ledger",
    "LoadReport",
    "Phone",
    "Platform",
    "Transport",
    "regenerate",
    "run_fleet",
    "run_load",
]
