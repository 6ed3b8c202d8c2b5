"""Runs a command while two S3 servers are there for it. `scripts/with-object-stores` says how to use this."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

START_SECONDS = 60
STOP_SECONDS = 5
DEFAULT_BUCKET = "flowlake-test"
# Nobody's credentials. The secret is unlike anything else, so that it is found wherever it leaks to.
TEST_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "FLOWLAKETESTACCESSKEY",
    "AWS_SECRET_ACCESS_KEY": "flowlake/test+secret/never+to+be+printed",
    "AWS_REGION": "us-east-1",
}
# What would lead a client elsewhere than to the test servers and the test credentials.
FOREIGN = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
)


class NotStarted(Exception):
    """A server did not come up."""


@dataclass
class Server:
    """A server that was started: its process, its log, its data."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_for_address(self, pattern: str) -> str:
        """The URL the server says that it listens on."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.log.read_text(errors="replace")):
                return found[1].rstrip("/")
            if self.process.poll() is not None:
                raise NotStarted(f"{self.name} ended with {self.process.returncode} at its start")
            time.sleep(0.02)
        raise NotStarted(f"{self.name} did not come up within {START_SECONDS} s")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def die_with_parent() -> None:
    """Ends a server also when the process that started it is killed. Linux only; elsewhere nothing happens."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def start(
    name: str, command: list[str | Path], environment: dict[str, str], directory: Path, servers: list[Server]
) -> Server:
    """Starts a server and adds it to those that are to be stopped."""
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for the command; its servers stay until it has ended.
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    servers.append(Server(name, process, log))
    return servers[-1]


def start_moto(directory: Path, servers: list[Server]) -> tuple[Server, str]:
    """The server that honours If-None-Match and If-Match, and what it says when it is ready."""
    # Large objects wait in temporary files.
    environment = os.environ | {"TMPDIR": str(directory), "PYTHONUNBUFFERED": "1"}
    program = Path(__file__).parent / "moto_server.py"
    return start("moto", [sys.executable, program], environment, directory, servers), r"listening on (http://\S+)"


def start_rclone(directory: Path, servers: list[Server]) -> tuple[Server, str]:
    """The server that ignores them: `rclone serve s3` on a directory.

    It checks signatures, and that every x-amz-* header is signed, which moto does not. Conditional headers are ignored,
    of reads too: whoever writes last wins. It validates Content-MD5, but neither x-amz-content-sha256 nor
    x-amz-checksum-*; a part whose Content-MD5 is wrong ends the whole upload. CompleteMultipartUpload of an upload that
    is complete already answers NoSuchUpload, and the ETag it gives is not the one that HEAD gives afterwards. User
    metadata is kept in memory, and that of multipart uploads comes back with a capital letter (`x-amz-meta-Name`).
    ListMultipartUploads knows prefixes, but answers NoSuchUpload for a bucket that never had an upload since the server
    began. DeleteObjects works, parts may be of any size and come in any order.

    It answers a request for a range with that range, but with 200 instead of 206 Partial Content, which no store does.
    flowlake takes it for what it is, other clients refuse it: for them a proxy of ours in front of it puts that right.
    """
    data = directory / "rclone"
    data.mkdir()
    access_key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RCLONE_")}
    environment |= {
        "RCLONE_CONFIG": str(directory / "rclone.conf"),
        "RCLONE_CACHE_DIR": str(directory / "rclone-cache"),
        # Not as an argument, which every user of the machine could read.
        "RCLONE_AUTH_KEY": f'"{access_key},{secret}"',
        "TMPDIR": str(directory),
    }
    (directory / "rclone.conf").touch()
    program = Path(sys.executable).parent / "rclone"
    # Directories that become empty stay: removing them races with writes of other requests into them.
    command = [program, "serve", "s3", "--addr", "127.0.0.1:0", "--no-cleanup", data]
    rclone = start("rclone", command, environment, directory, servers)
    endpoint = rclone.wait_for_address(r"s3 server on \[(http://[^\]]+)")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "object_stores.fault_proxy", "--correct-ranges", "--server", endpoint]
    return start("rclone-ranges", command, environment, directory, servers), r"(http://\S+)"


def client(endpoint: str):
    """A client of a server. It is not what is tested, so it retries little and checks no more than S3 demands."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=os.environ.get("AWS_REGION", TEST_CREDENTIALS["AWS_REGION"]),
        config=Config(
            retries={"max_attempts": 3},
            connect_timeout=10,
            read_timeout=30,
            max_pool_connections=32,
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def make_bucket(server: Server, endpoint: str, bucket: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client(endpoint).create_bucket(Bucket=bucket)
            return
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline or server.process.poll() is not None:
                raise NotStarted(f"{server.name} made no bucket: {error}") from error
            time.sleep(0.1)


# Which variable names the server of a role, and who plays it unless somebody else does.
ROLES: dict[str, Callable[[Path, list[Server]], tuple[Server, str]]] = {
    "FLOWLAKE_TEST_S3": start_moto,
    "FLOWLAKE_TEST_S3_UNCONDITIONAL": start_rclone,
}


def set_credentials() -> None:
    """Credentials for what is started here; those of somebody's own server stay."""
    if any(os.environ.get(role) for role in ROLES):
        for name, value in TEST_CREDENTIALS.items():
            os.environ.setdefault(name, value)
    else:
        for name in FOREIGN:
            os.environ.pop(name, None)
        os.environ.update(TEST_CREDENTIALS)
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")


def run(command: list[str]) -> int:
    """Runs a command to its end, whatever signal comes meanwhile, and gives the exit code of it."""
    process = subprocess.Popen(command)
    # Ctrl-C reaches the command by itself; this one waits for what it makes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: process.send_signal(received))
    code = process.wait()
    return 128 - code if code < 0 else code


def interrupted(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def main(command: list[str]) -> int:
    if not command:
        print("error: no command to run: scripts/with-object-stores COMMAND…", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    set_credentials()
    os.environ.setdefault("FLOWLAKE_TEST_S3_BUCKET", DEFAULT_BUCKET)
    directory = Path(tempfile.mkdtemp(prefix="flowlake-object-stores-"))
    servers: list[Server] = []
    try:
        starting = []
        for role, begin in ROLES.items():
            if not os.environ.get(role):
                starting.append((role, *begin(directory, servers)))
        for role, server, pattern in starting:
            os.environ[role] = server.wait_for_address(pattern)
            make_bucket(server, os.environ[role], os.environ["FLOWLAKE_TEST_S3_BUCKET"])
        return run(command)
    except NotStarted as error:
        print(f"error: {error}", file=sys.stderr)
        for server in servers:
            print(f"--- what {server.name} said\n{server.log.read_text(errors='replace')}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 127
    finally:
        # Nothing may come between the servers and their end.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for server in servers:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
