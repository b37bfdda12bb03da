"""`device decrypt`: reads files as phones upload them, without a database or server."""

import sys
from pathlib import Path

import click

from webapp.commands.output import CommandGroup, fail

device_commands = CommandGroup("device", help="Read files as phones upload them.")


@device_commands.command("decrypt")
@click.option(
    "--private-key",
    "key_file",
    required=True,
    metavar="PEM",
    type=click.Path(path_type=Path),
    help="The participant's private key.",
)
@click.argument("file", type=click.Path(path_type=Path))
def decrypt(key_file: Path, file: Path) -> None:
    """Decrypt one device FILE to standard output.

    A file that processing would set aside prints nothing and gives exit status 1. Standard error says how many lines
    could not be decrypted and were left out.
    """
    from core.crypto.device_file import NothingInFile, NoUsableKey, decrypt_device_file
    from core.crypto.participant_keys import DevicePrivateKey, UnreadableKey

    try:
        key = DevicePrivateKey.from_pem(key_file.read_bytes())
        decrypted = decrypt_device_file(file.read_bytes(), key)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    except UnreadableKey as error:
        fail(f"{key_file}: {error}")
    except (NothingInFile, NoUsableKey) as error:
        fail(f"{file}: {error}")
    if decrypted.failed_lines:
        kinds = ", ".join(sorted({error.kind for error in decrypted.line_errors}))
        click.echo(f"{decrypted.failed_lines} of {decrypted.total_lines} lines were left out: {kinds}", err=True)
    sys.stdout.buffer.write(decrypted.plaintext)
    sys.stdout.buffer.flush()
