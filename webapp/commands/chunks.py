"""`chunks build`: makes chunks from raw files in folders, without a database or server."""

from pathlib import Path

import click

from core.streams import Platform
from webapp.commands.output import CommandGroup, fail

chunks_commands = CommandGroup("chunks", help="Make hourly chunks from raw files in folders.")

_FOLDER = click.Path(file_okay=False, path_type=Path)


@chunks_commands.command("build")
@click.option(
    "--os",
    "platform",
    required=True,
    type=click.Choice([platform.value for platform in Platform]),
    help="The participant's platform.",
)
@click.option("--existing", "existing_dir", type=_FOLDER, metavar="DIR", help="Chunks and registry of earlier runs.")
@click.option("--out", "out_dir", required=True, type=_FOLDER, metavar="DIR", help="Gets the chunks.")
@click.argument("input_dir", type=_FOLDER)
def build(platform: str, existing_dir: Path | None, out_dir: Path, input_dir: Path) -> None:
    """Make chunks from the plaintext files of one participant below INPUT_DIR.

    Files are laid out as stored: accel/1700000000000.csv, surveyTimings/<survey id>/1700000000000.csv. DIR of --out
    gets <stream>/<time>.csv, registry.json, and problems.json: what was dropped or failed.
    """
    from core.chunks.build import UnusableFolder, build_chunks

    try:
        build_chunks(input_dir, existing_dir, out_dir, Platform(platform))
    except UnusableFolder as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
