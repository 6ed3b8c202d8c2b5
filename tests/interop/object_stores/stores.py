"""The stores that tests run on, looked at directly and not through flowlake; and flowlake run against them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from lakes import binary
from object_stores.servers import TEST_CREDENTIALS, client

# Long enough for the slowest machine; what hangs must end all the same.
TIMEOUT_SECONDS = 300
# Of everything that leads a program to credentials, an endpoint or a region; and how flowlake is tuned.
STORE_VARIABLES = ("AWS_", "FLOWLAKE_STORE_")
# Small, so that small lakes are uploaded and read in several parts, and failures show soon.
TUNING = {
    "FLOWLAKE_STORE_PART_BYTES": "65536",
    "FLOWLAKE_STORE_TIMEOUT": "10s",
    "FLOWLAKE_STORE_RETRY_TIMEOUT": "30s",
}


@dataclass
class Store:
    """A server that is there for tests, and the bucket in it."""

    endpoint: str
    bucket: str
    conditional: bool

    @cached_property
    def client(self) -> Any:
        return client(self.endpoint)

    def url(self, prefix: str = "") -> str:
        return f"s3://{self.bucket}/{prefix}"

    def objects(self, prefix: str) -> dict[str, int]:
        """Names, without the prefix, and sizes of all objects below it."""
        found = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                found[entry["Key"].removeprefix(prefix)] = entry["Size"]
        return found

    def get(self, key: str) -> bytes | None:
        try:
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise

    def put(self, key: str, body: bytes, metadata: dict[str, str] | None = None) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata or {})

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def put_directory(self, directory: Path, prefix: str) -> None:
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                self.put(prefix + path.relative_to(directory).as_posix(), path.read_bytes())

    def uploads(self, prefix: str) -> list[tuple[str, str]]:
        """Multipart uploads that were begun and not ended: key and id."""
        try:
            answer = self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=prefix)
        except ClientError as error:
            # What rclone says of a bucket that never had one.
            if error.response["Error"]["Code"] == "NoSuchUpload":
                return []
            raise
        return [(upload["Key"], upload["UploadId"]) for upload in answer.get("Uploads", [])]

    def clear(self, prefix: str) -> None:
        self.delete(prefix + name for name in self.objects(prefix))
        for key, upload in self.uploads(prefix):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)

    def damage(self, prefix: str, manifest: bytes) -> list[str]:
        """What is wrong with the lake of a manifest: files that are not there or have other bytes."""
        wrong = []
        for file in json.loads(manifest)["files"]:
            body = self.get(prefix + file["path"])
            if body is None:
                wrong.append(f"{file['path']} is not there")
            elif hashlib.sha256(body).hexdigest() != file["sha256"]:
                wrong.append(f"{file['path']} has other bytes")
        return wrong


def named_store(variable: str) -> Store | None:
    """The store that one of the variables of `scripts/with-object-stores` names."""
    endpoint = os.environ.get(variable)
    if not endpoint:
        return None
    bucket = os.environ.get("FLOWLAKE_TEST_S3_BUCKET", "flowlake-test")
    return Store(endpoint, bucket, conditional=variable == "FLOWLAKE_TEST_S3")


def local_environment() -> dict[str, str]:
    """The environment without anything that has to do with stores."""
    return {name: value for name, value in os.environ.items() if not name.startswith(STORE_VARIABLES)} | {
        "TZ": "Asia/Tokyo",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def store_environment(endpoint: str, **tuning: str) -> dict[str, str]:
    """The environment of a program that uses the server, or proxy, at an endpoint, as anybody would set it."""
    credentials = {name: os.environ[name] for name in TEST_CREDENTIALS}
    if "AWS_SESSION_TOKEN" in os.environ:
        credentials["AWS_SESSION_TOKEN"] = os.environ["AWS_SESSION_TOKEN"]
    return local_environment() | credentials | {"AWS_ENDPOINT_URL": endpoint} | TUNING | tuning


@dataclass
class Run:
    """A run of flowlake that has ended, or did not in time."""

    arguments: list[str]
    code: int
    stdout: str
    stderr: str
    timed_out: bool = False

    def __str__(self) -> str:
        command = " ".join(["flowlake", *self.arguments])
        return f"`{command}` ended with {self.code}\n{self.stdout}\n{self.stderr}"

    @property
    def said(self) -> str:
        return self.stdout + self.stderr

    def error(self) -> str:
        """The message that says why it failed: the line that begins with `error:` and what follows."""
        _, found, message = ("\n" + self.stderr).partition("\nerror:")
        return found.lstrip() + message

    def complaints(self) -> list[str]:
        """What must not happen in any run, whatever goes wrong outside."""
        found = []
        if self.timed_out:
            found.append("it did not end")
        if self.code == 101 or "panicked at" in self.stderr or "stack backtrace" in self.stderr:
            found.append("it panicked")
        if os.environ.get("AWS_SECRET_ACCESS_KEY", "-") in self.said:
            found.append("it printed the secret key")
        return found


def start(arguments: Iterable[str | Path], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [binary(), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def finish(process: subprocess.Popen[str], seconds: float = TIMEOUT_SECONDS) -> Run:
    arguments = [str(argument) for argument in process.args[1:]]
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        return Run(arguments, process.returncode, stdout, stderr, timed_out=True)
    return Run(arguments, process.returncode, stdout, stderr)


def flowlake(*arguments: str | Path, environment: dict[str, str], seconds: float = TIMEOUT_SECONDS) -> Run:
    return finish(start(arguments, environment), seconds)


def stopped(
    arguments: Iterable[str | Path],
    environment: dict[str, str],
    number: signal.Signals,
    when: Callable[[], bool],
    seconds: float = TIMEOUT_SECONDS,
) -> tuple[Run, bool]:
    """A run that gets a signal as soon as a condition holds, and whether it did before it ended."""
    process = start(arguments, environment)
    sent = threading.Event()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.001):
            if when():
                if process.poll() is None:
                    process.send_signal(number)
                    sent.set()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        run = finish(process, seconds)
    finally:
        ended.set()
        watcher.join()
    return run, sent.is_set()
