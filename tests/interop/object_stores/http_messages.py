"""HTTP/1.1 messages on asyncio streams, as far as a proxy needs them: heads, and bodies piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

PIECE = 64 * 1024
# Of a head; `asyncio.start_server` and `open_connection` take it as their limit.
HEAD_LIMIT = 256 * 1024
# They describe one connection, not the message.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection"}


class Malformed(Exception):
    """What arrived is no HTTP/1.1."""


@dataclass
class Head:
    """The first line and the headers of a request or an answer, spelled as they came: signatures cover them."""

    first: str
    headers: list[tuple[str, str]]

    def get(self, name: str) -> str | None:
        for header, value in self.headers:
            if header.lower() == name:
                return value
        return None

    def chunked(self) -> bool:
        return (self.get("transfer-encoding") or "").lower().endswith("chunked")

    def length(self) -> int | None:
        value = self.get("content-length")
        return None if value is None or self.chunked() else int(value)

    def closes(self) -> bool:
        """Whether the sender ends the connection after this message."""
        return (self.get("connection") or "").lower() == "close" or "HTTP/1.0" in self.first

    def without(self, *names: str) -> Head:
        return Head(self.first, [(name, value) for name, value in self.headers if name.lower() not in names])

    def encode(self) -> bytes:
        lines = [self.first, *(f"{name}: {value}" for name, value in self.headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")


@dataclass
class Request:
    """A request: its head, and what its first line says."""

    head: Head
    method: str
    target: str

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def has_body(self) -> bool:
        return self.head.chunked() or bool(self.head.length())


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head, or nothing where the connection ended before it began."""
    try:
        block = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial.strip():
            return None
        raise Malformed("the connection ended in a head") from error
    except asyncio.LimitOverrunError as error:
        raise Malformed("the head is too long") from error
    first, *lines = block.decode("latin-1").strip("\r\n").split("\r\n")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Malformed(f"no header: {line!r}")
        headers.append((name, value.strip()))
    return Head(first, headers)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    head = await read_head(reader)
    if head is None:
        return None
    words = head.first.split(" ")
    if len(words) != 3:
        raise Malformed(f"no request: {head.first!r}")
    return Request(head, words[0], words[1])


async def read_answer(reader: asyncio.StreamReader) -> Head:
    """The head of the answer; interim ones such as `100 Continue` are passed over."""
    while True:
        head = await read_head(reader)
        if head is None:
            raise Malformed("no answer came")
        if not 100 <= status(head) < 200:
            return head


def status(head: Head) -> int:
    try:
        return int(head.first.split(" ")[1])
    except (IndexError, ValueError) as error:
        raise Malformed(f"no answer: {head.first!r}") from error


def answer_has_body(method: str, head: Head) -> bool:
    return method != "HEAD" and status(head) not in (204, 304) and head.length() != 0


async def body_pieces(reader: asyncio.StreamReader, head: Head, to_the_end: bool) -> AsyncIterator[bytes]:
    """The body after a head, without the frames of chunks. `to_the_end`: it may last to the connection's end."""
    if head.chunked():
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while await reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                return
            async for piece in exactly(reader, size):
                yield piece
            await reader.readexactly(2)
    elif (length := head.length()) is not None:
        async for piece in exactly(reader, length):
            yield piece
    elif to_the_end:
        while piece := await reader.read(PIECE):
            yield piece


async def exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, PIECE))
        if not piece:
            raise Malformed(f"the connection ended {size} bytes too early")
        size -= len(piece)
        yield piece


def frame(piece: bytes, chunked: bool) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece


async def send_body(writer: asyncio.StreamWriter, pieces: AsyncIterator[bytes], chunked: bool) -> int:
    """Sends a body, in chunks or as it is, and gives its size."""
    sent = 0
    async for piece in pieces:
        sent += len(piece)
        writer.write(frame(piece, chunked))
        await writer.drain()
    if chunked:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    return sent
