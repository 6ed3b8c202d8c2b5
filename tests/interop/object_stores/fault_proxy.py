"""A proxy between a client and an S3 server that makes things go wrong, repeatably, and keeps the books of it.

As a library:

    with FaultProxy(server, [Fault("slow-down", 0.1)], seed=7) as proxy:
        ...  # requests to proxy.endpoint
    print(proxy.counts)

As a program, until Ctrl-C, after which it prints what it did:

    PYTHONPATH=tests/interop python -m object_stores.fault_proxy --server http://127.0.0.1:9000 \\
        --seed 7 --fault slow-down:0.1 --fault lost-reset:1:PUT:manifest

Bodies pass piece by piece. Host stays as the client sent it, because its signature covers it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import signal
import socket
import struct
import sys
import threading
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from object_stores.faults import INTERNAL_ERROR, KINDS, OF_BODIES, SLOW_DOWN, Chance, Document, Fault
from object_stores.http_messages import (
    HEAD_LIMIT,
    HOP_BY_HOP,
    Head,
    Malformed,
    Request,
    answer_has_body,
    body_pieces,
    frame,
    read_answer,
    read_request,
    send_body,
    status,
)

# A slow body takes about this long, in pieces with pauses far below any sensible timeout.
SLOW_SECONDS = 0.6
SLOW_PIECES = 12
UNREACHABLE = Document(502, "BadGateway", "The fault proxy cannot reach the server.")


class ClientGone(Exception):
    """The client ended the connection in the middle of a request."""


class ServerGone(Exception):
    """The server ended the connection in the middle of an answer, or there is none."""


@dataclass
class Seen:
    """A request that the proxy saw, and what became of it."""

    method: str
    target: str
    # Of the answer that the client got; nothing where it got none.
    status: int | None = None
    # Of the answer's body, as sent to the client.
    bytes: int = 0
    fault: str | None = None

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass
class Answer:
    """What the server answered: a head, and a body that is still to be read."""

    head: Head
    pieces: AsyncIterator[bytes]
    # The server answered before it had the whole request, the rest of which still lies in the client's connection.
    early: bool


class FaultProxy:
    """A proxy in a thread of its own, on a free port unless one is named."""

    def __init__(
        self,
        server: str,
        faults: list[Fault] | None = None,
        seed: int = 0,
        port: int = 0,
        known_as: Callable[[str], str] = str,
        correct_ranges: bool = False,
    ) -> None:
        self.server = urlsplit(server)
        self._known_as = known_as
        # Of a server that answers 200 with Content-Range where HTTP wants 206.
        self._correct_ranges = correct_ranges
        self._chance = Chance(seed, faults or [], known_as)
        self._port = port
        self._address: tuple[str, int] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        # Faults by name, and what else went wrong.
        self.counts: Counter[str] = Counter()
        self.seen: list[Seen] = []

    # ---- from outside

    @property
    def endpoint(self) -> str:
        if self._address is None:
            raise RuntimeError("the proxy is not running")
        return f"http://{self._address[0]}:{self._address[1]}"

    def set_faults(self, faults: list[Fault], seed: int = 0) -> None:
        """Other faults from the next request on."""
        self._chance = Chance(seed, faults, self._known_as)

    def start(self) -> FaultProxy:
        ready = threading.Event()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                asyncio.run(self._run(ready))
            except BaseException as error:
                failures.append(error)
                ready.set()

        self._thread = threading.Thread(target=work, name="fault-proxy", daemon=True)
        self._thread.start()
        ready.wait()
        if failures:
            raise failures[0]
        return self

    def stop(self) -> None:
        if self._thread is not None and self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)

    def __enter__(self) -> FaultProxy:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- in the thread

    async def _run(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        connections: set[asyncio.Task[None]] = set()
        writers: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.add(writer)
            task = asyncio.ensure_future(self._connection(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", self._port, limit=HEAD_LIMIT, backlog=512)
        self._address = server.sockets[0].getsockname()[:2]
        ready.set()
        await self._stopping.wait()
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        # Also those of connections that came too late to be served.
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                if not await self._serve(request, reader, writer):
                    break
        except (Malformed, ClientGone, ConnectionError, asyncio.IncompleteReadError):
            self.counts["(client went away)"] += 1
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    async def _serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serves a request and tells whether the connection stays."""
        fault, chance = self._chance.draw(request.method, request.target)
        seen = Seen(request.method, request.target)
        self.seen.append(seen)
        if (request.head.get("expect") or "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = from_client(body_pieces(reader, request.head, False))
        kind = fault.kind if fault is not None and fault.kind not in OF_BODIES else None
        if fault is not None and kind is not None:
            self._happened(fault, seen)
        try:
            if fault is not None and kind in ("error", "slow-down", "reset", "answer"):
                await whole(body)
                if kind == "reset":
                    return reset(writer)
                return await self._document(fault, request, writer, seen)
            if kind == "duplicate":
                sent = await whole(body)
                first, connection = await self._ask(request, pieces_of(sent))
                async with connection:
                    await whole(first.pieces)
                body = pieces_of(sent)
            answer, connection = await self._ask(request, body)
            async with connection:
                if fault is not None and kind in ("lost-error", "lost-reset", "lost-answer"):
                    await whole(answer.pieces)
                    if kind == "lost-reset":
                        return reset(writer)
                    stays = await self._document(fault, request, writer, seen)
                elif fault is not None and kind != "duplicate" and answer_has_body(request.method, answer.head):
                    stays = await self._spoil(fault, chance, answer, reader, writer, seen)
                elif kind == "stalled":
                    stays = await until_gone(reader)
                else:
                    stays = await self._pass_on(request, answer, writer, seen)
                return stays and not answer.early
        except ServerGone as error:
            self.counts[f"({error})"] += 1
            if seen.status is not None:
                return reset(writer)
            return await self._document(Fault("answer", document=UNREACHABLE), request, writer, seen)

    def _happened(self, fault: Fault, seen: Seen) -> None:
        self.counts[fault.name] += 1
        seen.fault = fault.name

    async def _ask(
        self, request: Request, body: AsyncIterator[bytes]
    ) -> tuple[Answer, contextlib.AbstractAsyncContextManager[None]]:
        """Gives a request to the server. The answer's body is to be read before the connection is left."""
        tls = self.server.scheme == "https"
        try:
            server, to_server = await asyncio.open_connection(
                self.server.hostname, self.server.port or (443 if tls else 80), limit=HEAD_LIMIT, ssl=tls or None
            )
        except OSError as error:
            raise ServerGone("server cannot be reached") from error
        head = request.head.without(*HOP_BY_HOP)
        head.headers.append(("Connection", "close"))
        to_server.write(head.encode())
        sending = asyncio.ensure_future(send_body(to_server, body, request.head.chunked()))
        answering = asyncio.ensure_future(read_answer(server))
        try:
            await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and isinstance(error := sending.exception(), ClientGone):
                raise error
            # Where the server does not listen any longer it may have answered all the same.
            try:
                answered = await answering
            except (Malformed, ConnectionError, asyncio.IncompleteReadError) as error:
                raise ServerGone("server gave no answer") from error
        except BaseException:
            to_server.transport.abort()
            for task in (sending, answering):
                task.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)
            raise
        if self._correct_ranges and status(answered) == 200 and answered.get("content-range"):
            answered.first = "HTTP/1.1 206 Partial Content"
        early = not sending.done() or sending.exception() is not None
        pieces = nothing()
        if answer_has_body(request.method, answered):
            pieces = from_server(body_pieces(server, answered, True))

        @contextlib.asynccontextmanager
        async def connection() -> AsyncIterator[None]:
            try:
                yield
            finally:
                to_server.transport.abort()
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

        return Answer(answered, pieces, early), connection()

    async def _pass_on(self, request: Request, answer: Answer, writer: asyncio.StreamWriter, seen: Seen) -> bool:
        stays = not (request.head.closes() or answer.early)
        has_body = answer_has_body(request.method, answer.head)
        head = passed_head(answer.head, stays)
        # A body that lasts to the end of the server's connection needs an end of its own.
        chunked = has_body and answer.head.length() is None
        if chunked and not answer.head.chunked():
            head.headers.append(("Transfer-Encoding", "chunked"))
        seen.status = status(answer.head)
        writer.write(head.encode())
        if has_body:
            async for piece in answer.pieces:
                seen.bytes += len(piece)
                writer.write(frame(piece, chunked))
                await writer.drain()
            if chunked:
                writer.write(b"0\r\n\r\n")
        await writer.drain()
        return stays

    async def _spoil(
        self,
        fault: Fault,
        chance: random.Random,
        answer: Answer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        seen: Seen,
    ) -> bool:
        """Sends an answer whose body does not arrive as it should."""
        if fault.kind in OF_BODIES:
            self._happened(fault, seen)
        body = await whole(answer.pieces)
        head = passed_head(answer.head.without("transfer-encoding", "content-length"), True)
        head.headers.append(("Content-Length", str(len(body))))
        seen.status = status(answer.head)
        writer.write(head.encode())
        if fault.kind == "slow":
            size = max(1, -(-len(body) // SLOW_PIECES))
            for start in range(0, len(body), size):
                writer.write(body[start : start + size])
                await writer.drain()
                await asyncio.sleep(SLOW_SECONDS / SLOW_PIECES)
            seen.bytes = len(body)
            return True
        seen.bytes = chance.randrange(len(body)) if body else 0
        writer.write(body[: seen.bytes])
        await writer.drain()
        if fault.kind == "stalled":
            return await until_gone(reader)
        if fault.kind == "reset-body":
            # What was sent shall arrive first: a reset overtakes it.
            await asyncio.sleep(0.01)
            return reset(writer)
        return False

    async def _document(self, fault: Fault, request: Request, writer: asyncio.StreamWriter, seen: Seen) -> bool:
        documents = {"error": INTERNAL_ERROR, "lost-error": INTERNAL_ERROR, "slow-down": SLOW_DOWN}
        document = documents.get(fault.kind, fault.document)
        body = b"" if request.method == "HEAD" else document.body()
        stays = not request.head.closes()
        head = Head(
            f"HTTP/1.1 {document.status} {document.code}",
            [
                ("Content-Type", "application/xml"),
                ("Content-Length", str(len(body))),
                ("Connection", "keep-alive" if stays else "close"),
                *document.headers,
            ],
        )
        seen.status = document.status
        seen.bytes = len(body)
        writer.write(head.encode() + body)
        await writer.drain()
        return stays


def passed_head(head: Head, stays: bool) -> Head:
    """The head of an answer as the client gets it."""
    passed = head.without(*HOP_BY_HOP)
    passed.first = "HTTP/1.1 " + head.first.partition(" ")[2]
    passed.headers.append(("Connection", "keep-alive" if stays else "close"))
    return passed


def reset(writer: asyncio.StreamWriter) -> bool:
    """Ends the connection as a crash does: the client sees a reset, not an end."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


async def until_gone(reader: asyncio.StreamReader) -> bool:
    """Waits until the client ends the connection."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(HEAD_LIMIT):
            pass
    return False


async def whole(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def pieces_of(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def from_client(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece
    except (Malformed, ConnectionError, asyncio.IncompleteReadError) as error:
        raise ClientGone from error


async def from_server(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece
    except (Malformed, ConnectionError, asyncio.IncompleteReadError) as error:
        raise ServerGone("server broke off its answer") from error


def parse_fault(text: str) -> Fault:
    """KIND[:PROBABILITY[:METHOD[:PATH]]]"""
    kind, probability, method, path = [*text.split(":", 3), "", "", "", ""][:4]
    return Fault(kind, float(probability or 1), method or None, path or None)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="A proxy that makes things go wrong between a client and an S3 server.",
        epilog="Faults: " + "; ".join(f"{kind}: {what}" for kind, what in KINDS.items()),
    )
    parser.add_argument("--server", required=True, metavar="URL", help="where requests go")
    parser.add_argument("--port", type=int, default=0, help="port to listen on [default: a free one]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--fault", type=parse_fault, action="append", default=[], metavar="KIND[:PROBABILITY[:METHOD[:PATH]]]"
    )
    parser.add_argument("--correct-ranges", action="store_true", help="turn 200 into 206 where the answer is a range")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with FaultProxy(
        arguments.server,
        arguments.fault,
        arguments.seed,
        arguments.port,
        correct_ranges=arguments.correct_ranges,
    ) as proxy:
        print(proxy.endpoint, flush=True)
        signal.pause()
    print(f"{len(proxy.seen)} requests")
    for name, times in sorted(proxy.counts.items()):
        print(f"{times:8} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
