"""The S3 server that honours conditional writes: moto's, with what it lacks to be a fair judge of writers.

Moto keeps everything in memory and serves each request in a thread of its own. What it does as S3 does, and tests rely
on: If-None-Match and If-Match of PUT, If-Match of DELETE and of GET with a range (also with open end, and suffixes),
ListMultipartUploads with a prefix, ListObjectsV2 with pages, DeleteObjects, CompleteMultipartUpload with If-None-Match
and more than once, user metadata. What it does not, and what is done about it here:

- It looks whether an object is there and then writes it, with nothing between that keeps other threads out: of two
  conditional writes at once both could succeed. And an object is there before its metadata is. So requests are carried
  out one at a time, from the moment their body has arrived.
- It stores a body that was cut off, whatever Content-Length says. Refused here.
- It believes Content-MD5, x-amz-content-sha256 and x-amz-checksum-*. Checked here, but for CRC32C and CRC64NVME, which
  Python's standard library does not have.
- It answers 500 to CompleteMultipartUpload of an upload that is not there. NoSuchUpload here.

What stays different from S3: no signature, access key or session is looked at; CompleteMultipartUpload ignores
If-Match; parts may be of any size (S3_UPLOAD_PART_MIN_SIZE, set below); ListMultipartUploads and ListParts know no
pages; nothing is ever slow, and every connection is closed after one request.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterable
from typing import Any

# Moto reads these when it is imported.
os.environ["S3_UPLOAD_PART_MIN_SIZE"] = "1"
# Derived from the size above otherwise, and negative. Larger objects go to temporary files.
os.environ["MOTO_S3_DEFAULT_KEY_BUFFER_SIZE"] = str(16 * 1024 * 1024)
# The host of an address is never a bucket.
os.environ["S3_IGNORE_SUBDOMAIN_BUCKETNAME"] = "true"

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.exceptions import NoSuchUpload
from moto.s3.models import MultipartDict
from werkzeug.serving import make_server

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def crc32(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(4, "big")


# Headers whose value is a digest of the body, in base64.
DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "HTTP_CONTENT_MD5": lambda body: hashlib.md5(body).digest(),
    "HTTP_X_AMZ_CHECKSUM_CRC32": crc32,
    "HTTP_X_AMZ_CHECKSUM_SHA1": lambda body: hashlib.sha1(body).digest(),
    "HTTP_X_AMZ_CHECKSUM_SHA256": lambda body: hashlib.sha256(body).digest(),
}


def objection(environ: dict[str, Any], body: bytes) -> str | None:
    """The code of the error that S3 answers to a body that is not what its headers say."""
    if len(body) < int(environ.get("CONTENT_LENGTH") or 0):
        return "IncompleteBody"
    if environ.get("HTTP_CONTENT_ENCODING", "").startswith("aws-chunked"):
        # Wrapped; what the headers describe is inside.
        return None
    declared = environ.get("HTTP_X_AMZ_CONTENT_SHA256", "")
    # Otherwise a word such as UNSIGNED-PAYLOAD.
    if len(declared) == 64 and declared != hashlib.sha256(body).hexdigest():
        return "XAmzContentSHA256Mismatch"
    # The checksum of CompleteMultipartUpload is that of the object, not of this body.
    if environ["REQUEST_METHOD"] == "PUT":
        for header, digest in DIGESTS.items():
            value = environ.get(header)
            if value is not None and value != base64.b64encode(digest(body)).decode():
                return "BadDigest"
    return None


class OneAtATime:
    """Gives requests to an application one at a time, with whole and checked bodies."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            # A body in chunks is put together by werkzeug and ends by itself.
            chunked = environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked"
            body = environ["wsgi.input"].read(-1 if chunked else int(environ.get("CONTENT_LENGTH") or 0))
        except OSError:
            # The client went away; nobody hears the answer.
            body = b""
        if code := objection(environ, body):
            text = (
                f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>'
            )
            start_response("400 Bad Request", [("Content-Type", "application/xml")])
            return [text.encode()]
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        with self._lock:
            answer = self._application(environ, start_response)
            try:
                return list(answer)
            finally:
                if close := getattr(answer, "close", None):
                    close()


class Quiet(MotoRequestHandler):
    """Does not log requests that went well: a run makes tens of thousands."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if str(code).startswith("5"):
            super().log_request(code, size)


def no_such_upload(_: MultipartDict, upload: str) -> None:
    raise NoSuchUpload(upload_id=upload)


def main() -> None:
    MultipartDict.__missing__ = no_such_upload
    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    print(f"listening on http://127.0.0.1:{server.port}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
