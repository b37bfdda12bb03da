"""Many phones at once: register, upload the history, go on live, upload the rest, report."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ops.phones.history import Habit, collect_day, habit_of, past_days, platform_of
from ops.phones.ledger import Ledger
from ops.phones.live import live_members, run_live
from ops.phones.member import FleetOptions, Member, for_each, upload
from ops.phones.phone import Phone
from ops.phones.platforms import Platform
from ops.phones.report import endpoint_report
from ops.phones.transport import Meter, Transport

SIGN_IN_TRIES = 60


def run_fleet(
    options: FleetOptions, stop: threading.Event, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Runs the fleet until its work is done, its time is over or `stop` is set; returns the report (JSON types)."""
    meter, ledger = Meter(), Ledger(options.ledger_path)
    transport = Transport(options.server, connections=options.threads * Platform.IOS.uploads_in_flight, meter=meter)
    members = make_members(options, transport, ledger)
    begin = time.monotonic()
    try:
        active = _sign_in(options, members, stop, say)
        if options.backfill_days and active:
            _backfill(options, active, stop, say)
        files_before = ledger.files
        live_seconds = run_live(options, live_members(active), stop, say)
        live_files = ledger.files - files_before
        if not stop.is_set():
            _drain(options, active, stop)
    finally:
        ledger.close()
        transport.close()
    seconds = time.monotonic() - begin
    report = _report(members, meter, ledger, seconds)
    # Times of the live part where there is one: registering and making history files say nothing about the server.
    files, within = (live_files, live_seconds) if live_seconds else (ledger.files, seconds)
    return {**report, "uploads_per_second": round(files / within, 2)}


def make_members(options: FleetOptions, transport: Transport, ledger: Ledger) -> list[Member]:
    """Creates the phones. Their habits differ only when there is a history."""
    members = []
    for i, (patient_id, password) in enumerate(options.participants):
        platform = options.platform_of.get(patient_id) or platform_of(i, options.platforms)
        habit = habit_of(i, len(options.participants)) if options.backfill_days else Habit.STEADY
        phone = Phone(patient_id, password, platform, transport, seed=options.seed, zone=options.zone, ledger=ledger)
        members.append(Member(phone, habit))
    return members


def _sign_in(
    options: FleetOptions, members: list[Member], stop: threading.Event, say: Callable[[str], None]
) -> list[Member]:
    """Registers all phones that ever register and fetches settings and surveys. Returns the registered ones."""

    def sign_in(member: Member) -> None:
        phone = member.phone
        for attempt in range(SIGN_IN_TRIES):
            answer = phone.register()
            # A refused password is not tried again; a server that does not answer is.
            if phone.is_registered or (answer.status is not None and answer.status < 500) or stop.is_set():
                break
            if attempt == 0:
                say(f"{phone.patient_id} waits for the server: {answer.status or answer.error}")
            stop.wait(options.pause_seconds)
        if not phone.is_registered:
            say(f"{phone.patient_id} could not register: {answer.status or answer.error}")
            return
        member.fetch_all()

    willing = [member for member in members if member.habit is not Habit.NEVER_REGISTERS]
    for_each(options, willing, sign_in)
    registered = [member for member in willing if member.phone.is_registered]
    say(f"{len(registered)} of {len(members)} phones registered")
    return registered


def _backfill(options: FleetOptions, members: list[Member], stop: threading.Event, say: Callable[[str], None]) -> None:
    """Uploads the history day by day."""
    now = datetime.now(UTC)
    for midnight in past_days(options.backfill_days, options.zone, now):

        def one_day(member: Member, midnight: datetime = midnight) -> None:
            if stop.is_set():
                return
            collect_day(member.phone, member.habit, midnight, now)
            member.phone.upload_round(stop)

        for_each(options, members, one_day)
        if stop.is_set():
            return
        waiting = sum(len(member.phone.outbox) for member in members)
        say(f"{midnight.date()}: uploaded, {waiting} files wait for another round")


def _drain(options: FleetOptions, members: list[Member], stop: threading.Event) -> None:
    """Uploads in further rounds until nothing waits, or the time for it is over."""
    ends = time.monotonic() + options.drain_seconds
    waiting = [member for member in members if len(member.phone.outbox)]
    while waiting and not stop.is_set() and time.monotonic() < ends:
        for_each(options, waiting, lambda member: upload(member, stop))
        waiting = [member for member in waiting if len(member.phone.outbox)]
        if waiting:
            stop.wait(options.pause_seconds)


def _report(members: list[Member], meter: Meter, ledger: Ledger, seconds: float) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 3),
        "phones": len(members),
        "registered": sum(member.phone.is_registered for member in members),
        "habits": {member.phone.patient_id: f"{member.phone.platform}, {member.habit}" for member in members},
        "acknowledged_files": ledger.files,
        "acknowledged_bytes": ledger.encrypted_bytes,
        "acknowledged_plaintext_bytes": ledger.plaintext_bytes,
        "acknowledged_with": dict(ledger.answers),
        "files_waiting": sum(len(member.phone.outbox) for member in members),
        "endpoints": endpoint_report(meter),
        "errors": dict(meter.errors),
        "problems": sorted({problem for member in members for problem in member.phone.problems}),
        "ledger": str(ledger.path) if ledger.path else None,
    }
