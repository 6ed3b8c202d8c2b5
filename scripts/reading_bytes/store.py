"""A read-only S3 store on loopback that serves a directory and counts every byte it sends.

Local files are mapped into memory or cached, and nobody can tell what was read of them. What a store sends is known.
This one knows listings, HEAD and GET with ranges, which is all that reading takes, and looks at no signature.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "lake"
_PIECE = 64 * 1024
_PAGE = 1000


@dataclass(frozen=True)
class Sent:
    """An answer that a client got."""

    method: str
    # Of the object; none for a listing.
    key: str | None
    # Of the bytes that were sent: the first, and the one after the last.
    start: int
    end: int

    @property
    def bytes(self) -> int:
        return self.end - self.start


class CountingStore:
    """Serves the files below a directory as the objects of a bucket."""

    def __init__(self, root: Path) -> None:
        self.sizes = {
            path.relative_to(root).as_posix(): path.stat().st_size for path in root.rglob("*") if path.is_file()
        }
        self.keys = sorted(self.sizes)
        self._lock = threading.Lock()
        self._sent: list[Sent] = []
        store = self

        class Handler(_Handler):
            pass

        Handler.store, Handler.root = store, root
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def address(self) -> str:
        host, port = self._server.server_address[:2]
        return f"{host}:{port}"

    def count(self, sent: Sent) -> None:
        with self._lock:
            self._sent.append(sent)

    def take(self) -> list[Sent]:
        """What was sent since this was asked last."""
        with self._lock:
            taken, self._sent = self._sent, []
        return taken

    def __enter__(self) -> CountingStore:
        threading.Thread(target=self._server.serve_forever, name="counting-store", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave at once; otherwise each small answer waits for an acknowledgement.
    wbufsize = _PIECE
    disable_nagle_algorithm = True
    store: CountingStore
    root: Path

    def setup(self) -> None:
        # What a client leaves unread would otherwise wait here and count, up to megabytes of it.
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE)
        super().setup()

    def handle(self) -> None:
        # A client that has enough goes away in the middle of an answer.
        with contextlib.suppress(ConnectionError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().finish()

    def log_message(self, *_: object) -> None:
        """Nobody wants to read this."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if bucket != BUCKET:
            self._error(404, "NoSuchBucket")
        elif key:
            self._object(key)
        elif self.command == "HEAD":
            self._head(200, 0)
        else:
            self._list({name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()})

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _error(self, status: int, code: str) -> None:
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()
        self._head(status, len(body), Content_Type="application/xml")
        if self.command != "HEAD":
            self.wfile.write(body)

    def _object(self, key: str) -> None:
        size = self.store.sizes.get(key)
        if size is None:
            self._error(404, "NoSuchKey")
            return
        start, end, status = 0, size, 200
        if asked := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")):
            status = 206
            if not asked[1]:
                start = max(0, size - int(asked[2]))
            else:
                start = int(asked[1])
                end = min(size, int(asked[2]) + 1) if asked[2] else size
            if start >= end:
                self._error(416, "InvalidRange")
                return
        more = {"Content_Range": f"bytes {start}-{end - 1}/{size}"} if status == 206 else {}
        written = datetime.fromtimestamp((self.root / key).stat().st_mtime, UTC)
        self._head(
            status,
            end - start,
            ETag=_etag(key, size),
            Last_Modified=written.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            Accept_Ranges="bytes",
            Content_Type="application/octet-stream",
            **more,
        )
        if self.command == "HEAD":
            self.store.count(Sent("HEAD", key, 0, 0))
            return
        sent = start
        try:
            for piece in _pieces(self.root / key, start, end):
                self.wfile.write(piece)
                sent += len(piece)
            self.wfile.flush()
        finally:
            self.store.count(Sent("GET", key, start, sent))

    def _list(self, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        limit = min(_PAGE, int(query.get("max-keys", _PAGE)))

        def written(text: str) -> str:
            return quote(text) if query.get("encoding-type") == "url" else escape(text)

        entries: list[str] = []
        groups: list[str] = []
        last = ""
        truncated = False
        for key in self.store.keys:
            if not key.startswith(prefix) or key <= after:
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            group = key[: cut + len(delimiter)] if cut >= 0 else None
            if group is not None and (group in groups or after.startswith(group)):
                last = key
                continue
            if len(entries) + len(groups) == limit:
                truncated = True
                break
            last = key
            if group is not None:
                groups.append(group)
                continue
            size = self.store.sizes[key]
            when = datetime.fromtimestamp((self.root / key).stat().st_mtime, UTC)
            entries.append(
                f"<Contents><Key>{written(key)}</Key><LastModified>{when:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
                f"<ETag>{escape(_etag(key, size))}</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass>"
                "</Contents>"
            )
        more = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if truncated else ""
        common = "".join(f"<CommonPrefixes><Prefix>{written(group)}</Prefix></CommonPrefixes>" for group in groups)
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{written(prefix)}</Prefix><KeyCount>{len(entries) + len(groups)}</KeyCount>"
            f"<MaxKeys>{limit}</MaxKeys><IsTruncated>{str(truncated).lower()}</IsTruncated>{more}"
            f"{''.join(entries)}{common}</ListBucketResult>"
        ).encode()
        self._head(200, len(body), Content_Type="application/xml")
        self.wfile.write(body)
        self.wfile.flush()
        self.store.count(Sent("LIST", None, 0, len(body)))


def _etag(key: str, size: int) -> str:
    # Names of data files are bound to their bytes.
    return f'"{abs(hash((key, size))):x}"'


def _pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (piece := file.read(min(_PIECE, end - start))):
            yield piece
            start += len(piece)
