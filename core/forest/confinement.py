"""Takes a process's network away, and limits its memory (CLAR-80). Linux only: elsewhere trees refuse to run."""

import ctypes
import os
import platform
import resource
import signal
import socket
import struct
from dataclasses import dataclass

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
SECCOMP_MODE_FILTER = 2
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
# Instructions and answers of seccomp filters, see the kernel's documentation of seccomp_filter.
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER_AT, MACHINE_AT = 0, 4
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | 13, 0x80000000  # 13: EACCES
NUMBERS_OF_X32 = 0x40000000


@dataclass(frozen=True)
class Machine:
    """A processor's name to the kernel, and its numbers of the system calls that are refused."""

    audit_number: int
    refused: tuple[int, ...]


# socket, connect and io_uring_setup reach the network; setsid and setpgid would hide children from being killed.
MACHINES = {
    "x86_64": Machine(0xC000003E, (41, 42, 425, 112, 109)),
    "aarch64": Machine(0xC00000B7, (198, 203, 425, 157, 154)),
}


class CannotConfine(Exception):
    """Neither a filter of system calls nor a network namespace can be had here."""


def confine(memory_bytes: int) -> None:
    """Takes the network from this process and all it will start, and limits each one's memory. Cannot be undone.

    Raises CannotConfine.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not _filter_calls() and not _leave_network():
        raise CannotConfine("This system can neither filter system calls (seccomp) nor take the network away.")


def end_with_parent() -> None:
    """Has the kernel kill this process when its parent ends."""
    _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _filter_calls() -> bool:
    """Refuses the calls that reach the network. Returns whether that works, which is tried."""
    machine = MACHINES.get(platform.machine())
    if machine is None:
        return False
    refused = machine.refused
    code = [
        (LOAD, 0, 0, MACHINE_AT),
        (JUMP_EQUAL, 1, 0, machine.audit_number),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        (JUMP_AT_LEAST, len(refused) + 1, 0, NUMBERS_OF_X32),
        *((JUMP_EQUAL, len(refused) - place, 0, number) for place, number in enumerate(refused)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    instructions = b"".join(struct.pack("=HBBI", *one) for one in code)
    buffer = ctypes.create_string_buffer(instructions)
    program = struct.pack("@HP", len(code), ctypes.addressof(buffer))
    libc = _libc()
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(program), 0, 0):
        return False
    try:
        socket.socket().close()
    except PermissionError:
        return True
    return False


def _leave_network() -> bool:
    """Moves the process into a network namespace of its own, which has no connection to any other."""
    libc = _libc()
    return bool(libc.unshare(CLONE_NEWNET) == 0 or libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) and os.getpid() > 0


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
