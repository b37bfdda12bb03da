"""Wrong settings of a bucket end in one line that names the one to look at, and what the store said (STORE-8)."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.config import REPOSITORY

XML = '<?xml version="1.0"?><Error><Code>{}</Code><Message>secret words</Message><Region>eu-west-1</Region></Error>'
PAGE = "<html><body>secret words</body></html>"


class Answers(BaseHTTPRequestHandler):
    """Gives one answer to every request."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = self.server.given
        content = b"" if self.command == "HEAD" else body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def said(tmp_path: Path, **settings: str) -> str:
    """What a command says that needs the store, as a user meets it."""
    own = {
        "VAR_DIR": str(tmp_path),
        "S3_BUCKET": "bucket",
        "S3_REGION_NAME": "us-east-1",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "hidden-key",
        "NO_PROXY": "",
        "http_proxy": "http://127.0.0.1:9",
    }
    code = "from core.config import *; from core.storage import *; import sys\ntry: open_store(get_settings()).check()"
    code += "\nexcept (StoreUnavailable, ConfigurationError) as error: sys.exit(str(error))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=os.environ | own | settings, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    for hidden in ("secret words", "hidden-key"):
        assert hidden not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("status", "body", "names", "words"),
    [
        (301, XML.format("PermanentRedirect"), "S3_REGION_NAME", "PermanentRedirect to PutObject"),
        (400, XML.format("AuthorizationHeaderMalformed"), "S3_REGION_NAME", "eu-west-1"),
        (403, XML.format("AccessDenied"), "S3_BUCKET", "AccessDenied to PutObject"),
        (403, XML.format("InvalidAccessKeyId"), "S3_ACCESS_CREDENTIALS_USER", "InvalidAccessKeyId"),
        (404, XML.format("NoSuchBucket"), "S3_BUCKET", "NoSuchBucket"),
        (404, PAGE, "S3_ENDPOINT", "404"),
        (404, "", "S3_ENDPOINT", "404"),
        (405, PAGE, "S3_ENDPOINT", "405"),
        (200, PAGE, "S3_ENDPOINT", "no S3"),
        (200, "", "S3_ENDPOINT", "no S3"),
    ],
)
def test_a_refusal_names_the_setting(
    endpoint: ThreadingHTTPServer, tmp_path: Path, status: int, body: str, names: str, words: str
):
    """STORE-8: another region, no permission, wrong keys, and what is no S3; a proxy does not stand in between."""
    endpoint.given = (status, body)
    line = said(tmp_path, S3_ENDPOINT=f"http://127.0.0.1:{endpoint.server_port}")
    assert line.startswith(names), line
    assert words in line


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"S3_ENDPOINT": "http://127.0.0.1:9"}, "S3_ENDPOINT"),
        ({"S3_ENDPOINT": "minio:9000"}, "S3_ENDPOINT"),
        ({"S3_BUCKET": "no bucket name/", "S3_ENDPOINT": "http://127.0.0.1:9"}, "S3_BUCKET"),
        ({"S3_REGION_NAME": "no region!"}, "S3_REGION_NAME"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(tmp_path: Path, settings: dict[str, str], names: str):
    """OPS-2, STORE-8."""
    line = said(tmp_path, **settings)
    assert names in line
    assert not any(value in line for value in settings.values() if value != "http://127.0.0.1:9")
