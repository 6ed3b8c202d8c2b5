"""The fault proxy does what it says: a client really sees each fault, and nothing else where there is none."""

from __future__ import annotations

import http.client
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from object_stores.fault_proxy import FaultProxy
from object_stores.faults import CONFLICT, KINDS, PRECONDITION_FAILED, Chance, Fault, commit_refused

BODY = bytes(range(256)) * 2000


class Server(http.server.ThreadingHTTPServer):
    """Remembers what was put and gives it back."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.log: list[tuple[str, str, str | None]] = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("cut off")
        return body

    def do_PUT(self) -> None:
        body = self.body()
        self.server.log.append((self.command, self.path, self.headers["Host"]))
        self.server.objects[self.path] = body
        self.send_response(200)
        self.send_header("ETag", f'"{len(self.server.log)}"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.log.append((self.command, self.path, self.headers["Host"]))
        body = self.server.objects.get(self.path, b"")
        self.send_response(200 if self.path in self.server.objects else 404)
        if "chunked" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(body), 100_000):
                piece = body[start : start + 100_000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        elif "endless" in self.path:
            self.close_connection = True
            self.end_headers()
            self.wfile.write(body)
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy(f"http://127.0.0.1:{server.server_port}") as proxy:
        yield proxy


@contextmanager
def connect(proxy: FaultProxy, timeout: float = 5) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc, timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()


def ask(proxy: FaultProxy, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    with connect(proxy) as connection:
        connection.request(method, path, body=body)
        with connection.getresponse() as answer:
            return answer.status, answer.read()


@pytest.mark.parametrize("path", ["/plain", "/chunked", "/endless"])
def test_bodies_pass_unchanged(server: Server, proxy: FaultProxy, path: str):
    assert ask(proxy, "PUT", path, BODY) == (200, b"")
    assert server.objects[path] == BODY
    assert ask(proxy, "GET", path) == (200, BODY)
    assert ask(proxy, "GET", path + "/not-there")[0] == 404
    assert not proxy.counts
    assert [(seen.method, seen.status, seen.bytes) for seen in proxy.seen[:2]] == [
        ("PUT", 200, 0),
        ("GET", 200, len(BODY)),
    ]


def test_a_head_has_no_body(server: Server, proxy: FaultProxy):
    server.objects["/x"] = BODY
    with connect(proxy) as connection:
        for _ in range(2):
            connection.request("HEAD", "/x")
            answer = connection.getresponse()
            assert answer.read() == b""
            assert answer.getheader("Content-Length") == str(len(BODY))


def test_a_connection_stays_and_host_is_the_clients(server: Server, proxy: FaultProxy):
    with connect(proxy) as connection:
        connection.connect()
        before = connection.sock
        for number in range(5):
            connection.request("PUT", f"/{number}", body=b"x", headers={"Host": "bucket.example:1"})
            assert connection.getresponse().read() == b""
            assert connection.sock is before
        assert {host for _, _, host in server.log} == {"bucket.example:1"}


def test_a_body_in_chunks_passes(server: Server, proxy: FaultProxy):
    with connect(proxy) as connection:
        connection.request("PUT", "/x", body=iter([b"one", b"two", BODY]), encode_chunked=True)
        assert connection.getresponse().status == 200
        assert server.objects["/x"] == b"onetwo" + BODY


def test_expect_is_answered_before_the_body_comes(server: Server, proxy: FaultProxy):
    address = urlsplit(proxy.endpoint)
    with socket.create_connection((address.hostname, address.port), timeout=5) as client:
        client.sendall(b"PUT /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert server.objects["/x"] == b"abc"


def test_a_request_that_is_cut_off_is_not_carried_out(server: Server, proxy: FaultProxy):
    address = urlsplit(proxy.endpoint)
    with socket.create_connection((address.hostname, address.port), timeout=5) as client:
        client.sendall(b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc")
    wait_for(lambda: proxy.counts["(client went away)"] == 1)
    assert server.objects == {}


@pytest.mark.parametrize(("kind", "code"), [("error", 500), ("slow-down", 503)])
def test_answered_without_the_server(server: Server, proxy: FaultProxy, kind: str, code: int):
    proxy.set_faults([Fault(kind)])
    with connect(proxy) as connection:
        for _ in range(2):
            # On one connection: the body was taken, though nobody wanted it.
            connection.request("PUT", "/x", body=BODY)
            answer = connection.getresponse()
            assert answer.status == code
            text = answer.read()
            assert text.startswith(b"<?xml")
            assert b"<Code>" in text
        assert server.log == []
        assert proxy.counts == {kind: 2}


def test_error_after_it_was_carried_out(server: Server, proxy: FaultProxy):
    proxy.set_faults([Fault("lost-error")])
    assert ask(proxy, "PUT", "/x", BODY)[0] == 500
    assert server.objects["/x"] == BODY


def test_reset_before_and_after_it_was_carried_out(server: Server, proxy: FaultProxy):
    proxy.set_faults([Fault("reset")])
    with pytest.raises(ConnectionResetError):
        ask(proxy, "PUT", "/x", b"x")
    assert server.log == []
    proxy.set_faults([Fault("lost-reset")])
    with pytest.raises(ConnectionResetError):
        ask(proxy, "PUT", "/x", b"x")
    assert server.objects == {"/x": b"x"}


@pytest.mark.parametrize("path", ["/plain", "/chunked", "/endless"])
def test_reset_in_the_body(server: Server, proxy: FaultProxy, path: str):
    server.objects[path] = BODY
    proxy.set_faults([Fault("reset-body")])
    with pytest.raises(ConnectionResetError):
        ask(proxy, "GET", path)


def test_truncated_body(server: Server, proxy: FaultProxy):
    server.objects["/x"] = BODY
    proxy.set_faults([Fault("truncated")])
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(proxy, "GET", "/x")
    assert BODY.startswith(caught.value.partial)
    # Answers without a body cannot be cut.
    assert ask(proxy, "PUT", "/y", b"x") == (200, b"")
    assert proxy.counts == {"truncated": 1}


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_stalled(server: Server, proxy: FaultProxy, method: str):
    server.objects["/x"] = BODY
    proxy.set_faults([Fault("stalled")])
    with connect(proxy, 0.5) as connection:
        connection.request(method, "/x")
        with pytest.raises(TimeoutError):
            connection.getresponse().read()
        assert proxy.counts == {"stalled": 1}


def test_slow_body_arrives_in_the_end(server: Server, proxy: FaultProxy):
    server.objects["/x"] = BODY
    proxy.set_faults([Fault("slow")])
    start = time.monotonic()
    assert ask(proxy, "GET", "/x") == (200, BODY)
    assert time.monotonic() - start > 0.3


def test_duplicate(server: Server, proxy: FaultProxy):
    proxy.set_faults([Fault("duplicate")])
    with connect(proxy) as connection:
        connection.request("PUT", "/x", body=BODY)
        assert connection.getresponse().getheader("ETag") == '"2"'
        assert [path for _, path, _ in server.log] == ["/x", "/x"]
        assert server.objects["/x"] == BODY


@pytest.mark.parametrize("document", [PRECONDITION_FAILED, CONFLICT])
@pytest.mark.parametrize("carried_out", [False, True])
def test_refused_commit(server: Server, proxy: FaultProxy, document, carried_out: bool):
    proxy.set_faults([commit_refused(document, carried_out, limit=1)])
    assert ask(proxy, "PUT", "/b/lake/data/x.parquet", b"x") == (200, b"")
    code, body = ask(proxy, "PUT", "/b/lake/manifest.json", b"x")
    assert code == document.status
    assert f"<Code>{document.code}</Code>".encode() in body
    assert ("/b/lake/manifest.json" in server.objects) == carried_out
    assert ask(proxy, "PUT", "/b/lake/manifest.json", b"x") == (200, b"")


def test_first_limit_and_filters(server: Server, proxy: FaultProxy):
    proxy.set_faults([Fault("error", method="PUT|POST", path="/x", first=3, limit=2)])
    codes = [ask(proxy, "PUT", "/x", b"")[0] for _ in range(6)]
    assert codes == [200, 200, 500, 500, 200, 200]
    proxy.set_faults([Fault("error", method="PUT|POST", path="/x")])
    assert ask(proxy, "GET", "/x")[0] == 200
    assert ask(proxy, "PUT", "/y", b"")[0] == 200


def test_no_server(proxy: FaultProxy, server: Server):
    server.server_close()
    server.shutdown()
    assert ask(proxy, "GET", "/x")[0] == 502
    assert proxy.counts == {"(server cannot be reached)": 1}


def test_chance_depends_on_the_request_alone():
    faults = [Fault(kind, 0.2) for kind in KINDS]
    requests = [("GET", f"/b/{number % 7}") for number in range(70)]

    def drawn(order: list[tuple[str, str]], seed: int) -> dict[tuple[str, str], list[str | None]]:
        chance = Chance(seed, faults)
        result: dict[tuple[str, str], list[str | None]] = {}
        for method, target in order:
            fault, _ = chance.draw(method, target)
            result.setdefault((method, target), []).append(fault.kind if fault else None)
        return result

    assert drawn(requests, 1) == drawn(requests[::-1], 1)
    assert drawn(requests, 1) != drawn(requests, 2)
    kinds = {kind for kinds in drawn(requests, 1).values() for kind in kinds}
    assert len(kinds) > 4
    one, other = Chance(3, faults), Chance(3, faults)
    assert [one.draw("PUT", f"/x?partNumber={n}&uploadId=a")[0] for n in range(20)] == [
        other.draw("PUT", f"/x?uploadId=b&partNumber={n}")[0] for n in range(20)
    ]


def test_an_unknown_fault_is_an_error():
    with pytest.raises(ValueError, match="no such fault: flood"):
        Fault("flood")


def wait_for(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
