"""Connects to a port of this machine."""

import socket
import sys

from misbehaving import run_in_place_of_oak

run_in_place_of_oak(lambda job: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).close())
