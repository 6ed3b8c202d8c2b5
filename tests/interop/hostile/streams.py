"""Hostile compressed streams and whole files: bombs, gzip headers, members, lines without end, encodings."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator

from hostile import flows
from hostile.archives import BOTH, ONE, TWO
from hostile.cases import Case, Write, dump_case, files
from hostile.gzips import gibibyte, member, write_stacked, zstd_repeated
from hostile.sandbox import Sandbox
from hostile.tars import Header, archive, base_256, entry, pax, pax_record

TEBIBYTE = 1 << 40
TOO_LONG = "a line's length in bytes is above the limit of 1048576 (line 1, byte 0)"
TOO_LARGE = "the decompressed size in bytes is above the limit of 274877906944"
RAISE = "under [limits] in the catalogue"
SMALL = "max_rejected_share = 1.0\nmax_decompressed_bytes = 4294967296"
BEYOND_SMALL = "the decompressed size in bytes is above the limit of 4294967296"


def cases() -> Iterator[Case]:
    yield from members()
    yield from bombs()
    yield from long_lines()
    yield from encodings()


def members() -> Iterator[Case]:
    group = "gzip members"
    whole = archive(entry("a.json", ONE), entry("b.json", TWO))
    rows = {"content": BOTH, "tarfile_agrees": True}

    def tar(content: bytes) -> Write:
        return files(hub_tar_gz=content)

    for what, header in {
        "a name": {"name": b"../../outside/evil.json"},
        "a name of 10 MB": {"name": b"n" * 10_000_000},
        "a comment": {"comment": b"\x1b[2J"},
        "a comment of 10 MB": {"comment": b"c" * 10_000_000},
        "extra fields": {"extra": b"AB\4\0data"},
        "65,535 extra bytes": {"extra": b"x" * 65_535},
        "everything": {"extra": b"x" * 9, "name": b"n", "comment": b"c", "header_checksum": True},
    }.items():
        # A header of megabytes may be refused, but by name.
        code = (0, 3) if "10 MB" in what else 0
        few = "10 MB" not in what
        yield dump_case(
            group, f"a header with {what}", tar(member(whole, **header)), code=code, repetitive=not few, **rows
        )
    half = len(whole) // 2 // 512 * 512
    for what, first, second in [
        ("two", {}, {}),
        ("two with names", {"name": b"a"}, {"comment": b"b"}),
        ("one that is empty between", {}, {}),
    ]:
        between = member(b"") * 5 if "empty" in what else b""
        content = member(whole[:half], **first) + between + member(whole[half:], **second)
        yield dump_case(group, what, tar(content), **rows)
    yield dump_case(group, "10,000 of a few bytes", tar(_crumbs(whole)), **rows)
    yield dump_case(group, "100,000 empty ones before it", tar(member(b"") * 100_000 + member(whole)), **rows)
    damage = {"code": 3, "says": ["in part hub.tar.gz"]}
    for what, between in {
        "garbage": b"garbage!" * 100,
        "one byte": b"x",
        "zeros": bytes(512),
        "a header alone": b"\x1f\x8b\x08",
        "zstd": zstd_repeated(b"x", 10),
    }.items():
        content = member(whole[:half]) + between + member(whole[half:])
        yield dump_case(group, f"{what} between two", tar(content), **damage)
    for what, wrong in {
        "checksum": {"checksum": 1},
        "size": {"size": 7},
        "header checksum": {"header_checksum": 7},
        "method": {"method": 9},
    }.items():
        yield dump_case(group, f"a wrong {what}", tar(member(whole, **wrong)), **damage)
        after = member(whole[:half]) + member(whole[half:], **wrong)
        yield dump_case(group, f"a wrong {what} in the second", tar(after), **damage)
    for what, content in {
        "a name without an end": member(whole, name=b"")[:10].replace(b"\x08\x08", b"\x08\x08") + b"n" * 5_000_000,
        "extra fields without an end": struct.pack("<BBBBIBBH", 0x1F, 0x8B, 8, 4, 0, 0, 255, 65_535) + b"x" * 100,
        "reserved flags": member(whole, flags=0xE0),
        "no deflate": member(whole)[:10] + b"\xff" * 1000,
        "a stored block without an end": member(b"")[:10] + b"\0\xff\xff\0\0",
        "nothing but a magic number": b"\x1f\x8b",
    }.items():
        yield dump_case(group, what, tar(content), code=3, says=["dump hub: "])
    # One layer is taken off; what is within is no tar, and no JSON.
    yield dump_case(group, "gzip in gzip", tar(member(member(whole))), **damage)
    twice = files(hub_json_gz=member(member(ONE)))
    yield dump_case(group, "gzip in gzip of JSON", twice, code=1, limits="")
    deep = ONE
    for _ in range(50):
        deep = member(deep)
    yield dump_case(group, "50 layers of gzip", files(hub_json_gz=deep), code=1, limits="")
    yield dump_case(group, "gzip in a plain file", files(hub_json=member(ONE)), code=1, limits="")
    yield dump_case(group, "a plain file in gzip's name", files(hub_json_gz=ONE), code=3)
    yield dump_case(group, "zstd in gzip's name", files(hub_json_gz=zstd_repeated(ONE, 1)), code=3)
    window = b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3]) + b"\x01\0\0"
    yield dump_case(group, "zstd with a window of 2 GiB", files(hub_json_zst=window), code=3)
    skippable = struct.pack("<II", 0x184D2A50, 5_000_000) + b"s" * 5_000_000
    skipped = files(hub_json_zst=skippable + zstd_repeated(ONE, 1) + skippable)
    yield dump_case(group, "zstd with frames to skip", skipped, content=ONE)


def _crumbs(whole: bytes) -> bytes:
    size = max(1, len(whole) // 10_000)
    return b"".join(member(whole[at : at + size], level=0) for at in range(0, len(whole), size))


def _bomb(first: bytes, again: bytes, times: int, stem: str = "hub.tar.gz") -> Write:
    return lambda place: write_stacked(place.dumps, stem, first, again, times)


def bombs() -> Iterator[Case]:
    """A TiB, or what the configuration allows, out of a few MiB: an error that names the limit, in bounded memory."""
    group = "bombs"
    zeros = lambda: gibibyte(b"\0")  # noqa: E731

    def lazily(make: Callable[[], Write]) -> Write:
        return lambda place: make()(place)

    json_header = member(Header(b"a.json", base_256(TEBIBYTE)).block())
    other_header = member(Header(b"zeros.bin", base_256(TEBIBYTE)).block())
    for what, byte in {"zeros": b"\0", "spaces": b" ", "letters": b"x", "brackets": b"["}.items():
        write = lazily(lambda byte=byte: _bomb(json_header, gibibyte(byte), 1024))
        refused = {"code": 3, "says": [TOO_LONG, "max_line_bytes", RAISE], "repetitive": what != "zeros"}
        yield dump_case(group, f"1 TiB of {what} in a tar", write, **refused)
        write = lazily(lambda byte=byte: _bomb(b"", gibibyte(byte), 1024, "hub.json.gz"))
        yield dump_case(group, f"1 TiB of {what} in gzip", write, **refused)
    zstd = files(hub_json_zst=lambda: zstd_repeated(bytes(1 << 20), 16_384))
    yield dump_case(group, "16 GiB of zeros in zstd", zstd, code=3, says=[TOO_LONG])
    for what, where in {
        "another entry": other_header,
        "another entry, by PAX": member(pax(pax_record("size", str(TEBIBYTE))) + Header(b"zeros.bin", 0).block()),
        "a link": member(Header(b"zeros", base_256(TEBIBYTE), b"1").block()),
        "the end of the archive": member(archive(entry("a.json", ONE))),
    }.items():
        bomb = lazily(lambda where=where: _bomb(where, zeros(), 1024))
        small = {"code": 3, "says": [BEYOND_SMALL, "max_decompressed_bytes", RAISE], "limits": SMALL}
        yield dump_case(group, f"zeros in {what}, up to 4 GiB", bomb, long=True, **small)
    whole = lazily(lambda: _bomb(other_header, zeros(), 1024))
    yield dump_case(group, "1 TiB of zeros in another entry", whole, code=3, says=[TOO_LARGE, RAISE], long=True)
    ends = lazily(lambda: _bomb(b"", gibibyte(b"\n"), 1024, "hub.json.gz"))
    yield dump_case(group, "newlines, up to 4 GiB", ends, code=3, says=[BEYOND_SMALL, RAISE], limits=SMALL, long=True)
    line = flows.flow(9) + b"\n"
    block = line * ((1 << 20) // len(line))
    for what, times in {"64 MiB": 64, "up to 4 GiB": 4096 + 64}.items():
        valid = files(hub_json_zst=lambda times=times: zstd_repeated(block, times))
        beyond = {"code": 3, "says": [BEYOND_SMALL, RAISE]} if times > 4096 else {"content": lambda: block * 64}
        yield dump_case(group, f"a flow over and over, {what}", valid, limits=SMALL, long=True, disk_mib=256, **beyond)
    blank = files(hub_json_zst=lambda: zstd_repeated(b" \n" * (1 << 19), 64))
    yield dump_case(group, "64 MiB of blank lines", blank, content=b"")
    other = files(hub_json_zst=lambda: zstd_repeated(b'{"dns":1}\n' * 100_000, 64))
    yield dump_case(group, "6,400,000 records of another kind", other, content=b"", repetitive=True)
    short = files(hub_json_zst=lambda: zstd_repeated(b"x\n" * (1 << 19), 64))
    yield dump_case(
        group,
        "33 million lines to reject",
        short,
        code=1,
        says=["more than 100000 lines are rejected; the first: line ", "max_rejected_lines"],
    )
    for what, filler in {"letters": b"x", "NUL bytes": b"\0", "bytes of no text": b"\xff"}.items():
        large = files(hub_json_zst=lambda filler=filler: zstd_repeated(filler * 1_000_000 + b"\n", 400))
        yield dump_case(
            group,
            f"400 MB of lines to reject, a megabyte of {what} each",
            large,
            code=1,
            says=["more than 134217728 bytes of lines are rejected; the first: line 1,", "max_rejected_bytes"],
            disk_mib=1_024,
            long=True,
        )


def long_lines() -> Iterator[Case]:
    group = "long lines"
    ten = lambda place: (place.dumps / "hub.json.gz").write_bytes(  # noqa: E731
        member(b'{"flows":{"note":"') + gibibyte(b"x") * 10 + member(b'"}}\n')
    )
    yield dump_case(group, "a line of 10 GiB", ten, code=3, says=[TOO_LONG, "max_line_bytes", RAISE])
    after = lambda place: (place.dumps / "hub.json.gz").write_bytes(  # noqa: E731
        member(ONE) + gibibyte(b"x") * 10 + member(b"\n" + TWO)
    )
    yield dump_case(group, "10 GiB in the fourth line", after, code=3, says=["(line 4, byte ", "max_line_bytes"])
    # The most that a catalogue may allow. Memory is outside of the limit then, as the documents say, but bounded.
    most = "max_rejected_share = 1.0\nmax_line_bytes = 1073741824"
    yield dump_case(
        group,
        "10 GiB where a line may have 1 GiB",
        ten,
        code=3,
        says=["a line's length in bytes is above the limit of 1073741824 (line 1, byte 0)"],
        limits=most,
        mib=3_500,
        long=True,
    )
    for what, filler in {"letters": "x", "escapes": "\\u0078"}.items():

        def dump(filler: str = filler) -> bytes:
            text = '"' + filler * (100_000_000 // len(filler)) + '"'
            return ONE + flows.spelled(5, "flowEndReason", text) + b"\n" + TWO

        yield dump_case(group, f"100 MB of {what} in text", files(hub_json=dump), code=3, says=["(line 4, byte "])
        yield dump_case(
            group,
            f"100 MB of {what} in text, allowed",
            files(hub_json_gz=lambda dump=dump: gzip.compress(dump(), 1)),
            content=dump,
            plain=ONE + b"\n" + TWO,
            unusable=[4],
            limits=most,
            mib=1_200,
            disk_mib=300,
            long=True,
        )

    def million() -> bytes:
        keys = b",".join(b'"k%07d":0' % number for number in range(1_000_000))
        return ONE + flows.flow(5)[:-2] + b"," + keys + b"}}\n" + TWO

    yield dump_case(group, "a million keys", files(hub_json=million), code=3, says=["(line 4, byte "])
    yield dump_case(
        group, "a million keys, allowed", files(hub_json=million), content=million, limits=most, mib=600, long=True
    )
    nested = ONE + flows.flow(5)[:-2] + b',"note":' + b"[" * 5_000_000 + b"]" * 5_000_000 + b"}}\n" + TWO
    plain = ONE + flows.flow(5) + b"\n" + TWO
    yield dump_case(
        group,
        "5 million lists in another, allowed",
        files(hub_json=nested),
        content=nested,
        plain=plain,
        limits=most,
        mib=600,
        long=True,
    )


def encodings() -> Iterator[Case]:
    group = "encodings of files"
    text = BOTH.decode()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        encoded = files(hub_json=text.encode(encoding))
        yield dump_case(group, encoding, encoded, code=1, says=["lines are rejected"], limits="")
    yield dump_case(group, "UTF-8 with a mark", files(hub_json=text.encode("utf-8-sig")), content=BOTH)
    returns = files(hub_json=text.replace("\n", "\r").encode())
    yield dump_case(group, "carriage returns as line ends", returns, code=1, says=["trailing characters"], limits="")
    both = text.replace("\n", "\r\n").encode()
    yield dump_case(group, "CRLF", files(hub_json=both), content=both)
    reversed_ends = text.replace("\n", "\n\r").encode()
    yield dump_case(group, "LFCR", files(hub_json=reversed_ends), content=reversed_ends)
    yield dump_case(group, "no newline at the end", files(hub_json=BOTH[:-1]), content=BOTH)
    yield dump_case(group, "a NUL at the end", files(hub_json=BOTH + b"\0"), content=BOTH + b"\0")
    yield dump_case(group, "Control-Z at the end", files(hub_json=BOTH + b"\x1a"), content=BOTH + b"\x1a")
    yield dump_case(group, "nothing", files(hub_json=b""), content=b"")
    yield dump_case(group, "one NUL", files(hub_json=b"\0"), content=b"\0")
    for name, link in {
        "a device": "/dev/zero",
        "itself": "hub.json",
        "nothing": "not/there",
        "a directory": ".",
    }.items():
        yield dump_case(group, f"a link to {name}", _link(link), code=3)


def _link(target: str) -> Write:
    def write(place: Sandbox) -> None:
        (place.dumps / "hub.json").symlink_to(target)

    return write
