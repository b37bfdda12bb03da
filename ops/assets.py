"""Copies the files of npm packages that the portal serves to `webapp/static/vendor`; run it after `npm ci`.

Only what is listed here is served: scripts, the two Latin font files, and one SVG sprite of the icons in use.
"""

import re
import shutil
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MODULES = REPOSITORY / "node_modules"
VENDOR = REPOSITORY / "webapp" / "static" / "vendor"

FONTS = "@fontsource-variable/atkinson-hyperlegible"
FILES = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "preact.js": "htm/preact/standalone.module.js",
    "simplewebauthn.min.js": "@simplewebauthn/browser/dist/bundle/index.umd.min.js",
    "sortable.min.js": "sortablejs/Sortable.min.js",
    "uplot.min.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.min.css": "uplot/dist/uPlot.min.css",
    "hyperlegible-next.woff2": f"{FONTS}-next/files/atkinson-hyperlegible-next-latin-wght-normal.woff2",
    "hyperlegible-mono.woff2": f"{FONTS}-mono/files/atkinson-hyperlegible-mono-latin-wght-normal.woff2",
}
ICONS = (
    "arrow-down",
    "arrow-up",
    "bell",
    "calendar-days",
    "chart-column",
    "chart-line",
    "check",
    "chevron-left",
    "chevron-right",
    "chevrons-up-down",
    "circle-alert",
    "circle-user-round",
    "clipboard-list",
    "clock",
    "columns-3",
    "copy",
    "cpu",
    "download",
    "eye",
    "file-text",
    "fingerprint-pattern",
    "folder-cog",
    "folder-open",
    "folder-plus",
    "grip-vertical",
    "history",
    "key-round",
    "languages",
    "layout-dashboard",
    "list-filter",
    "log-out",
    "menu",
    "mic",
    "minus",
    "pencil",
    "plus",
    "power",
    "printer",
    "redo-2",
    "scroll-text",
    "search",
    "send",
    "shield-check",
    "sliders-horizontal",
    "smartphone",
    "star",
    "tag",
    "trash-2",
    "trees",
    "triangle-alert",
    "undo-2",
    "upload",
    "user-plus",
    "users",
    "webhook",
    "x",
)
SPRITE = "icons.svg"
OUTSIDE = re.compile(r"<!--.*?-->|</?svg[^>]*>", re.DOTALL)


def main() -> None:
    """Brings the folder up to date; unchanged files are left alone. Exits with 1 if the packages are missing."""
    try:
        wanted = {name: (MODULES / source).read_bytes() for name, source in FILES.items()} | {SPRITE: _sprite()}
    except FileNotFoundError as missing:
        sys.exit(f"{missing.filename} is missing: `npm ci` installs it")
    VENDOR.mkdir(parents=True, exist_ok=True)
    for stale in served() - wanted.keys():
        path = VENDOR / stale
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, contents in wanted.items():
        path = VENDOR / name
        if not path.exists() or path.read_bytes() != contents:
            path.write_bytes(contents)


def served() -> set[str]:
    """Names of the files in the folder, except the installer's own, which begin with a dot."""
    return {path.name for path in VENDOR.iterdir() if not path.name.startswith(".")}


def _sprite() -> bytes:
    """One SVG file with a `<symbol>` per icon; the style sheet sets stroke width and colour."""
    symbols = (
        f'<symbol id="{name}" viewBox="0 0 24 24">{_shapes((MODULES / f"lucide-static/icons/{name}.svg").read_text())}'
        "</symbol>"
        for name in ICONS
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'.encode()


def _shapes(svg: str) -> str:
    return re.sub(r"\s+", " ", OUTSIDE.sub("", svg)).strip()


if __name__ == "__main__":
    main()
