"""Hostile tar archives: paths, links, devices, extended headers and sizes that no honest archiver writes."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable, Iterator

from hostile import flows
from hostile.cases import Case, Write, dump_case
from hostile.gzips import member
from hostile.sandbox import ANYWHERE, Sandbox
from hostile.tars import (
    BLOCK,
    BLOCK_DEVICE,
    CHARACTER,
    CONTIGUOUS,
    DIRECTORY,
    END,
    FIFO,
    GNU_LINK,
    GNU_NAME,
    GNU_SPARSE,
    HARD_LINK,
    OLD_REGULAR,
    PAX_GLOBAL,
    SYMBOLIC_LINK,
    Header,
    archive,
    base_256,
    entry,
    gnu_name,
    padded,
    pax,
    pax_record,
)

ONE, TWO = flows.lines(1, 3), flows.lines(11, 2)
BOTH = ONE + TWO
MANY = 100_000


def packed(*entries: bytes | Callable[[], bytes], end: bytes = END) -> Write:
    """The archive of a dump; large entries are made when they are wanted."""

    def write(place: Sandbox) -> None:
        made = [made() if callable(made) else made for made in entries]
        (place.dumps / "hub.tar.gz").write_bytes(member(archive(*made, end=end), level=1))

    return write


def cases() -> Iterator[Case]:
    yield from paths()
    yield from links()
    yield from extended_headers()
    yield from sparse_files()
    yield from sizes()
    yield from ends()
    yield from crowds()


def paths() -> Iterator[Case]:
    """Whatever a path says: it is no path here, and the rows are those of the entry."""
    group = "tar paths"
    outside = b"../outside/evil.json"
    named = {
        "absolute": str(ANYWHERE).encode(),
        "up": outside,
        "far up": b"../" * 20 + b"var/tmp/flowlake-was-here.json",
        "up in the middle": b"a/../../../outside/evil.json",
        "of a device": b"/dev/shm/flowlake.json",
        "of a process": b"/proc/self/fd/1.json",
        "with backslashes": b"..\\..\\outside\\evil.json",
        "of a drive": b"C:\\evil.json",
        "with a newline": b"evil\nerror: all is lost\n.json",
        "with an escape": b"\x1b[2Jevil.json",
        "of no UTF-8": b"\xff\xfe\xc0\xaf.json",
        "of the other direction": "\u202enosj.evil.json".encode(),
        "of white space": b" \t .json",
        "hidden": b".json",
        "with an empty directory": b"//a///evil.json",
    }
    for what, path in named.items():
        few = what in ("up", "absolute", "with a newline")
        good = {"content": BOTH, "tarfile_agrees": True, "repetitive": not few}
        yield dump_case(group, f"{what}, in the header", packed(entry(path, ONE), entry("b.json", TWO)), **good)
        extended = pax(pax_record("path", path)) + entry("a.txt", ONE)
        yield dump_case(group, f"{what}, in PAX", packed(extended, entry("b.json", TWO)), **good)
        long = gnu_name(path) + entry("a.txt", ONE)
        yield dump_case(group, f"{what}, in a GNU long name", packed(long, entry("b.json", TWO)), **good)
    split = entry("evil.json", ONE, prefix=b"../../outside")
    yield dump_case(group, "up, in the prefix", packed(split), content=ONE, tarfile_agrees=True)
    yield dump_case(
        group, "no name at all", packed(entry("", ONE), entry("b.json", TWO)), content=TWO, tarfile_agrees=True
    )
    # A NUL ends a name, in a header as in a long name: what stands behind it is no part of it.
    for what, name, content in [("json then text", b"a.json\0.txt", BOTH), ("text then json", b"a.txt\0.json", TWO)]:
        entries = packed(entry(name, ONE), entry("b.json", TWO))
        yield dump_case(group, f"NUL, {what}, in the header", entries, content=content, tarfile_agrees=True)
        entries = packed(gnu_name(name) + entry("c.bin", ONE), entry("b.json", TWO))
        yield dump_case(
            group,
            f"NUL, {what}, in a GNU long name",
            entries,
            content=content,
            tarfile_agrees=True,
        )
        # No name can hold one: either an error, or the rows of both or of one entry, but never a crash.
        entries = packed(pax(pax_record("path", name)) + entry("c.bin", ONE), entry("b.json", TWO))
        yield dump_case(group, f"NUL, {what}, in PAX", entries, code=(0, 3))
    for size in (101, 256, 4096, 100_000, (1 << 20) - 6):
        name = b"x" * size + b".json"
        entries = packed(gnu_name(name) + entry("c.bin", ONE))
        yield dump_case(group, f"a long name of {size} bytes", entries, content=ONE, tarfile_agrees=True)
    name = b"d/" * 2_000 + b"evil.json"
    entries = packed(pax(pax_record("path", name)) + entry("c.bin", ONE))
    yield dump_case(group, "2,000 directories deep", entries, content=ONE, tarfile_agrees=True)


def links() -> Iterator[Case]:
    """What is no file is passed over, whatever it is called and wherever it leads."""
    group = "tar links and devices"
    kinds = {
        "symbolic link": SYMBOLIC_LINK,
        "hard link": HARD_LINK,
        "character device": CHARACTER,
        "block device": BLOCK_DEVICE,
        "FIFO": FIFO,
        "directory": DIRECTORY,
    }
    targets = {
        "to outside": b"../outside/secret.json",
        "to a password file": b"/etc/passwd",
        "to itself": b"evil.json",
        "to an entry before": b"a.json",
        "to nothing": b"",
        "to the lake": b"../out/lake/manifest.json",
    }
    for what, kind in kinds.items():
        for where, target in targets.items() if kind in (SYMBOLIC_LINK, HARD_LINK) else [("", b"")]:
            odd = entry("evil.json", b"", type=kind, link=target)
            entries = packed(entry("a.json", ONE), odd, entry("b.json", TWO))
            few = where in ("", "to outside", "to itself")
            name = f"{what} {where}".strip()
            yield dump_case(group, name, entries, content=BOTH, tarfile_agrees=True, repetitive=not few)
        # As large as the next entry, so that whoever skips it goes on as if nothing had been there.
        odd = Header(b"evil.json", len(entry("b.json", TWO)), kind, b"a.json").block()
        entries = packed(entry("a.json", ONE), odd, entry("b.json", TWO))
        yield dump_case(
            group,
            f"{what} that claims a size",
            entries,
            content=BOTH,
            tarfile_agrees=True,
        )
    later = packed(entry("b.json", b"", type=SYMBOLIC_LINK, link=b"../outside/evil.json"), entry("b.json", ONE))
    yield dump_case(group, "a link, then a file of its name", later, content=ONE, tarfile_agrees=True)
    yield dump_case(
        group,
        "a directory as old archives wrote them",
        packed(entry("evil.json/", type=OLD_REGULAR), entry("b.json", TWO)),
        content=TWO,
        tarfile_agrees=True,
    )
    yield dump_case(
        group,
        "a contiguous file is a file",
        packed(entry("a.json", ONE, type=CONTIGUOUS), entry("b.json", TWO)),
        content=BOTH,
        tarfile_agrees=True,
    )
    for what, kind in [("a volume label", b"V"), ("a continued file", b"M"), ("a letter nobody knows", b"Z")]:
        entries = packed(entry("a.json", ONE), entry("notes.txt", b"x" * 700, type=kind), entry("b.json", TWO))
        yield dump_case(group, what, entries, content=BOTH, tarfile_agrees=True)
    only = packed(entry("evil.json", type=SYMBOLIC_LINK, link=b"/etc/passwd"))
    yield dump_case(group, "nothing but a link", only, code=3, says=["holds no .json file"])


def extended_headers() -> Iterator[Case]:
    group = "tar extended headers"
    broken = {
        "a length that is too long": b"99 path=a.json\n",
        "a length that is too short": b"5 path=a.json\n",
        "a length of zero": b"0 path=a.json\n",
        "a negative length": b"-5 path=a.json\n",
        "a length of 400 digits": b"9" * 400 + b" path=a.json\n",
        "no length": b"path=a.json\n",
        "no sign between": b"14 pathXa.json\n",
        "no newline": b"15 path=a.json ",
        "nothing but zeros": bytes(64),
        "nothing but spaces": b" " * 64,
        "nothing but digits": b"1" * 512,
        "bytes of no text": bytes(range(256)) * 4,
    }
    for what, record in broken.items():
        entries = packed(pax(record) + entry("a.json", ONE), entry("b.json", TWO))
        # Either it is damage, or it says nothing: never other rows than those of the entries.
        yield dump_case(group, what, entries, code=(0, 3), content=BOTH)
    for what, value in {
        "negative": "-1",
        "beyond 64 bits": "99999999999999999999999",
        "of 10,000 digits": "9" * 10_000,
        "no number": "many",
        "hexadecimal": "0x10",
        "a float": "1e3",
        "empty": "",
        "of other digits": "٣٤",
    }.items():
        entries = packed(pax(pax_record("size", value)) + entry("a.json", ONE), entry("b.json", TWO))
        yield dump_case(group, f"a size that is {what}", entries, code=3, says=["in part hub.tar.gz"])
    huge = packed(pax(pax_record("size", str(2**63 - 1))) + entry("a.json", ONE))
    yield dump_case(group, "a size of 8 EiB", huge, code=3, says=["in part hub.tar.gz"])
    most = packed(pax(pax_record("size", str(2**64 - 1))) + entry("a.json", ONE))
    yield dump_case(group, "a size of 16 EiB", most, code=3, says=["in part hub.tar.gz"])
    for what, kind in [("notes", b"0"), ("a link", SYMBOLIC_LINK)]:
        skipped = packed(pax(pax_record("size", str(2**64 - 1))) + entry("a.txt", ONE, type=kind), entry("b.json", TWO))
        yield dump_case(group, f"a size of 16 EiB of {what}", skipped, code=(0, 3), content=TWO)
    real = pax(pax_record("size", str(len(ONE)))) + Header(b"a.json", 0).block() + padded(ONE)
    yield dump_case(group, "a size that counts", packed(real, entry("b.json", TWO)), content=BOTH, tarfile_agrees=True)
    twice = pax(pax_record("size", "1"), pax_record("size", str(len(ONE)))) + Header(b"a.json", 7).block() + padded(ONE)
    yield dump_case(group, "a size twice, the last counts", packed(twice), content=ONE, tarfile_agrees=True)
    hidden = padded(archive(entry("evil.json", TWO), end=b""))
    covered = pax(pax_record("size", str(len(hidden)))) + Header(b"notes.txt", 0).block() + hidden
    yield dump_case(
        group, "a size that hides an entry", packed(covered, entry("a.json", ONE)), content=ONE, tarfile_agrees=True
    )
    for what, value in {"negative": "-99999", "huge": "9" * 30, "no number": "soon", "not a number": "nan"}.items():
        entries = packed(pax(pax_record("mtime", value)) + entry("a.json", ONE))
        yield dump_case(group, f"a time that is {what}", entries, content=ONE, repetitive=what != "huge")
    entries = packed(entry("a.json", ONE, time=b"\xff" * 12, mode=b"zzzzzzz\0", device=b"\xff" * 16))
    yield dump_case(group, "times, modes and devices that are no numbers", entries, content=ONE)
    for what, records in {
        "a comment": [pax_record("comment", "hello")],
        "nothing": [],
        "a character set": [pax_record("hdrcharset", "BINARY")],
    }.items():
        # An entry's own header or PAX says what it is called; what a global one says is for entries that do not say.
        entries = packed(pax(*records, type=PAX_GLOBAL), pax(pax_record("path", "a.json")) + entry("a.json", ONE))
        yield dump_case(group, f"a global header with {what}", entries, content=ONE, tarfile_agrees=True)
    # What it would name all entries that have no name of their own: nobody writes that, and no two readers agree.
    for what, record in {"a path": ("path", "../../outside/evil.json"), "a size": ("size", "7")}.items():
        entries = packed(pax(pax_record(*record), type=PAX_GLOBAL), entry("a.json", ONE))
        says = ["damaged tar header", "a global header with the name or the size of an entry"]
        yield dump_case(group, f"a global header with {what}", entries, code=3, says=says)
    split = pax(pax_record("path", "a.json")) + pax(pax_record("comment", "x"), type=PAX_GLOBAL) + entry("a.bin", ONE)
    yield dump_case(
        group,
        "a global header between a header and its entry",
        packed(split, entry("b.json", TWO)),
        content=BOTH,
        tarfile_agrees=True,
    )
    for what, value in {"of two lines": b"one\ntwo", "of bytes": bytes(range(256))}.items():
        extended = pax(pax_record("SCHILY.xattr.user.note", value)) + entry("a.json", ONE)
        entries = packed(extended, entry("b.json", TWO))
        yield dump_case(group, f"an attribute {what}", entries, content=BOTH, tarfile_agrees=True)
    many = b"".join(pax_record(f"key{number}", "x" * 50) for number in range(15_000))
    yield dump_case(group, "15,000 records", packed(pax(many) + entry("a.json", ONE)), content=ONE, tarfile_agrees=True)
    for mib in (2, 100):
        entries = packed(lambda mib=mib: pax(pax_record("comment", b"x" * (mib << 20))), entry("a.json", ONE))
        yield dump_case(group, f"a header of {mib} MiB", entries, code=3, says=["damaged tar header"])
    entries = packed(lambda: gnu_name(b"x" * (100 << 20) + b".json"), entry("a.bin", ONE))
    yield dump_case(group, "a long name of 100 MiB", entries, code=3, says=["damaged tar header"])
    chain = pax(pax_record("comment", "x")) * 5_000
    yield dump_case(
        group, "5,000 headers for one entry", packed(chain + entry("a.json", ONE)), code=3, says=["entries"]
    )
    heavy = packed(lambda: pax(pax_record("comment", b"x" * ((1 << 20) - 40))) * 900, entry("a.json", ONE))
    yield dump_case(group, "900 headers of 1 MiB", heavy, content=ONE, long=True)
    endless = Header(b"././@PaxHeader", base_256(2**62), b"x").block() + ONE
    yield dump_case(group, "a header without end", packed(endless), code=3, says=["damaged tar header"])
    yield dump_case(group, "a header cut off", packed(pax(pax_record("path", "a.json"))[:700], end=b""), code=3)
    yield dump_case(group, "a header and nothing behind it", packed(pax(pax_record("path", "a.json"))), code=3)
    both = pax(pax_record("path", "a.json")) + gnu_name(b"b.txt") + entry("c.txt", ONE)
    yield dump_case(group, "PAX and GNU names at once", packed(both, entry("b.json", TWO)), code=(0, 3))
    linked = gnu_name(b"../" * 200 + b"outside/secret.json", type=GNU_LINK) + entry("evil.json", type=SYMBOLIC_LINK)
    yield dump_case(group, "a long link name", packed(linked, entry("b.json", TWO)), content=TWO, tarfile_agrees=True)
    yield dump_case(
        group,
        "a long name that is empty",
        packed(entry("././@LongLink", b"", type=GNU_NAME, magic=b"ustar  \0"), entry("b.json", TWO)),
        code=(0, 3),
        content=TWO,
    )


def sparse_files() -> Iterator[Case]:
    """Holes are zeros that the archive does not hold: flowlake refuses such entries, as docs/input-format.md says."""
    group = "tar sparse files"
    says = ["sparse files are not supported"]
    size = len(ONE) + 4096
    gnu = struct.pack("12s12s12s12s", b"%011o" % 4096, b"%011o" % len(ONE), b"", b"")
    old = Header(b"a.json", len(ONE), GNU_SPARSE, magic=b"ustar  \0", gnu=bytes(41) + gnu).block() + padded(ONE)
    yield dump_case(group, "old GNU", packed(old), code=3, says=says)
    huge = Header(b"a.json", 0, GNU_SPARSE, magic=b"ustar  \0", gnu=bytes(138) + base_256(1 << 40)).block()
    yield dump_case(group, "old GNU, 1 TiB of a hole", packed(huge), code=3, says=says)
    formats = {
        "PAX 0.0": [
            ("GNU.sparse.size", size),
            ("GNU.sparse.numblocks", 1),
            ("GNU.sparse.offset", 4096),
            ("GNU.sparse.numbytes", len(ONE)),
        ],
        "PAX 0.1": [
            ("GNU.sparse.size", size),
            ("GNU.sparse.numblocks", 1),
            ("GNU.sparse.name", "a.json"),
            ("GNU.sparse.map", f"4096,{len(ONE)}"),
        ],
        "PAX 1.0": [
            ("GNU.sparse.major", 1),
            ("GNU.sparse.minor", 0),
            ("GNU.sparse.name", "a.json"),
            ("GNU.sparse.realsize", size),
        ],
    }
    for what, records in formats.items():
        map_1_0 = padded(b"1\n4096\n%d\n" % len(ONE)) if what == "PAX 1.0" else b""
        extended = pax(*(pax_record(key, str(value)) for key, value in records))
        stored = map_1_0 + ONE
        for name in ("a.json", "GNUSparseFile.0/a.json"):
            entries = packed(extended + entry(name, stored), entry("b.json", TWO))
            yield dump_case(group, f"{what} as {name}", entries, code=3, says=says)
    hidden = pax(*(pax_record(key, str(value)) for key, value in formats["PAX 1.0"]))
    entries = packed(
        hidden + entry("GNUSparseFile.0/a", padded(b"1\n4096\n%d\n" % len(ONE)) + ONE), entry("b.json", TWO)
    )
    yield dump_case(group, "PAX 1.0, named .json in its map alone", entries, code=3, says=says)
    other = Header(b"core", 3, GNU_SPARSE, magic=b"ustar  \0").block() + padded(b"abc")
    yield dump_case(group, "old GNU, of another file", packed(other, entry("b.json", TWO)), code=3, says=says)


def sizes() -> Iterator[Case]:
    group = "tar sizes"
    for what, size in {
        "base 256": base_256(len(ONE)),
        "octal to the last byte": b"%012o" % len(ONE),
        "octal after spaces": b"%11o " % len(ONE),
    }.items():
        entries = packed(entry("a.json", ONE, size=size), entry("b.json", TWO))
        yield dump_case(group, f"in {what}", entries, content=BOTH, tarfile_agrees=True)
    for what, size in {
        "8 EiB": base_256(2**63 - 1),
        "16 EiB": base_256(2**64 - 1),
        "beyond 64 bits": base_256(2**64 + len(ONE)),
        "beyond any disk": base_256(2**90),
        "octal 8 GiB": b"77777777777\0",
        "negative": base_256(-1),
        "negative and small": base_256(-512),
        "very negative": base_256(-(2**63)),
        "no octal digits": b"9999999999\0",
        "minus": b"-0000000010\0",
        "text": b"enormous!!!\0",
        "one byte too many": len(ONE) + BLOCK * 40,
    }.items():
        for name in ("a.json", "notes.txt"):
            entries = packed(entry(name, ONE, size=size), entry("b.json", TWO))
            yield dump_case(
                group,
                f"{what} of {name}",
                entries,
                code=3,
                says=["in part hub.tar.gz"],
            )
    for what, checksum in {
        "zero": b"000000\0 ",
        "text": b"checksum",
        "spaces": b"        ",
        "huge": b"7777777\0",
    }.items():
        entries = packed(entry("a.json", ONE, checksum=checksum))
        yield dump_case(group, f"a checksum of {what}", entries, code=3, says=["its checksum does not match"])
    yield dump_case(
        group,
        "a wrong checksum later",
        packed(entry("a.json", ONE), entry("b.json", TWO, checksum=b"000001\0 ")),
        code=3,
    )
    empty = packed(entry("a.json"), entry("b.json", TWO), entry("c.json"))
    yield dump_case(group, "empty entries", empty, content=TWO, tarfile_agrees=True)
    yield dump_case(group, "nothing but empty entries", packed(entry("a.json")), content=b"", tarfile_agrees=True)


def ends() -> Iterator[Case]:
    group = "tar ends"
    whole = archive(entry("a.json", ONE), end=b"")
    yield dump_case(group, "no mark", packed(whole, end=b""), content=ONE, tarfile_agrees=True)
    yield dump_case(group, "half a mark", packed(whole, end=bytes(BLOCK)), content=ONE, tarfile_agrees=True)
    yield dump_case(group, "a mark that is cut off", packed(whole, end=bytes(100)), content=ONE)
    yield dump_case(group, "garbage behind the mark", packed(whole, end=END + b"garbage" * 200), code=3)
    yield dump_case(group, "a little garbage behind the mark", packed(whole, end=END + b"x"), code=3)
    yield dump_case(group, "another archive behind the mark", packed(whole, END, entry("b.json", TWO)), content=BOTH)
    yield dump_case(group, "nothing but marks", packed(END * 50), code=3, says=["holds no .json file"])
    yield dump_case(group, "nothing at all", packed(end=b""), code=3)
    for cut in (1, 100, 511, 513, BLOCK + len(ONE) - 1):
        yield dump_case(group, f"cut off at byte {cut}", packed(whole[:cut], end=b""), code=3, says=["ends too early"])
    inner = archive(entry("evil.json", TWO))
    yield dump_case(
        group, "tar in tar", packed(entry("a.json", ONE), entry("b.tar", inner)), content=ONE, tarfile_agrees=True
    )
    lines = inner + b"\n" + ONE
    yield dump_case(group, "tar in .json", packed(entry("a.json", lines)), content=lines, tarfile_agrees=True)
    zipped = member(ONE) + b"\n" + TWO
    yield dump_case(group, "gzip in .json", packed(entry("a.json", zipped)), content=zipped, tarfile_agrees=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as made:
        odd = tarfile.TarInfo("ä" * 200 + ".json")
        odd.size, odd.mtime, odd.uid, odd.gname = len(ONE), -1.5, 2**40, "グループ"
        made.addfile(odd, io.BytesIO(ONE))
    yield dump_case(
        group, "everything PAX is for", packed(buffer.getvalue(), end=b""), content=ONE, tarfile_agrees=True
    )


def crowds() -> Iterator[Case]:
    group = "tar crowds"
    over = {"code": 3, "says": ["the number of archive entries is above the limit of 1000", "max_archive_entries"]}
    raised = f"max_rejected_share = 1.0\nmax_archive_entries = {MANY + 1}"
    one_line = flows.flow(7) + b"\n"
    for what, crowd in {
        "empty entries": entry("a.json"),
        "entries that are no .json": entry("notes.txt", b"x"),
        "directories": entry("a.json", type=DIRECTORY),
        "links": entry("evil.json", type=HARD_LINK, link=b"evil.json"),
    }.items():
        yield dump_case(
            group, f"100,000 {what}", packed(lambda crowd=crowd: crowd * MANY, entry("b.json", TWO)), **over
        )
        entries = packed(lambda crowd=crowd: crowd * MANY, entry("b.json", TWO))
        yield dump_case(
            group, f"100,000 {what}, allowed", entries, content=TWO, limits=raised, repetitive=what != "links"
        )
    tiny = packed(entry("same.json", one_line) * 2_000)
    yield dump_case(group, "2,000 tiny entries", tiny, **over)
    yield dump_case(group, "2,000 tiny entries, allowed", tiny, content=one_line * 2_000, limits=raised)
    split = packed(*(entry("same.json", bytes([byte])) for byte in one_line[:900]))
    # A line ends where its entry does: one in each entry.
    pieces = b"".join(bytes([byte]) + b"\n" for byte in one_line[:900])
    yield dump_case(group, "a line in 900 entries", split, content=pieces)
    twice = packed(entry("hub.json", ONE), entry("hub.json", ONE))
    yield dump_case(group, "an entry twice", twice, content=ONE + ONE, tarfile_agrees=True)
    devices = packed(entry("hub.json", ONE), entry("other/hub.json", TWO))
    yield dump_case(group, "two entries for a device", devices, content=BOTH, tarfile_agrees=True)
