"""What is wrong with a store, its name or the right to use it is said plainly, and without what nobody may read."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

import pytest

from object_stores.corpus import Corpus
from object_stores.fault_proxy import FaultProxy
from object_stores.faults import Document, Fault
from object_stores.stores import Run, Store, flowlake, local_environment, store_environment

SELECTION = "full"
# An error that no retry cures must not take as long as one that retries might.
QUICK = {"FLOWLAKE_STORE_RETRIES": "1", "FLOWLAKE_STORE_TIMEOUT": "2s", "FLOWLAKE_STORE_RETRY_TIMEOUT": "4s"}
LONGEST_SECONDS = 30

ACCESS_KEY = "<AWSAccessKeyId>{key}</AWSAccessKeyId>"
# As S3 sends them: some hold the access key and the signature, which are not to be repeated.
DOCUMENTS = {
    "InvalidAccessKeyId": Document(
        403,
        "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
        ACCESS_KEY,
    ),
    "SignatureDoesNotMatch": Document(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing"
        " method.",
        ACCESS_KEY
        + "<StringToSign>AWS4-HMAC-SHA256\n20190701T000000Z\n20190701/us-east-1/s3/aws4_request\n0f3c</StringToSign>"
        "<SignatureProvided>5a7f00d5a7f00d5a7f00d5a7f00d5a7f00d5a7f00d5a7f00d5a7f00d5a7f00d5</SignatureProvided>",
    ),
    "AccessDenied": Document(403, "AccessDenied", "Access Denied"),
    "RequestTimeTooSkewed": Document(
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        "<RequestTime>20190701T000000Z</RequestTime><ServerTime>2019-07-01T01:00:00Z</ServerTime>"
        "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
    ),
    "ExpiredToken": Document(400, "ExpiredToken", "The provided token has expired."),
    "AuthorizationHeaderMalformed": Document(
        400,
        "AuthorizationHeaderMalformed",
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'",
        "<Region>eu-central-1</Region>",
    ),
    "NoSuchBucket": Document(
        404, "NoSuchBucket", "The specified bucket does not exist", "<BucketName>flowlake-test</BucketName>"
    ),
    "PermanentRedirect": Document(
        301,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future"
        " requests to this endpoint.",
        "<Endpoint>flowlake-test.s3.eu-central-1.amazonaws.com</Endpoint><Bucket>flowlake-test</Bucket>",
        (("x-amz-bucket-region", "eu-central-1"),),
    ),
}
COMMANDS = ["build-from", "build-to", "verify", "inspect", "export"]


def arguments(command: str, corpus: Corpus, url: str, scratch: Path) -> list[str | Path]:
    match command:
        case "build-from":
            return corpus.build(SELECTION, url, scratch / "lake")
        case "build-to":
            return corpus.build(SELECTION, corpus.dumps, url)
        case "export":
            return ["export", url, "--format", "csv", "--output", scratch / "export"]
        case _:
            return [command, url]


def assert_plain(run: Run, url: str, secrets: tuple[str, ...] = (), hint: bool = True) -> None:
    """A failure that tells what it is about and what to do, and nothing that is secret."""
    assert run.code in (3, 4), str(run)
    assert run.complaints() == []
    message = run.error()
    assert message.startswith("error:"), str(run)
    assert url.rstrip("/") in message, str(run)
    assert not hint or re.search(r"^hint: ", message, re.MULTILINE), str(run)
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
        assert os.environ[name] not in run.said
    for secret in (*secrets, "5a7f00d5a7f00d"):
        assert secret not in run.said
    # An Authorization header, or what of it a server repeats.
    assert not re.search(r"Signature=|Credential=|AWS4-HMAC|StringToSign", run.said), str(run)


def timed(*arguments: str | Path, environment: dict[str, str]) -> Run:
    began = time.monotonic()
    run = flowlake(*arguments, environment=environment)
    assert time.monotonic() - began < LONGEST_SECONDS, str(run)
    return run


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("code", DOCUMENTS)
def test_what_s3_answers(
    conditional_store: Store, corpus: Corpus, prefix: str, tmp_path: Path, code: str, command: str
):
    document = DOCUMENTS[code]
    more = document.more.format(key=os.environ["AWS_ACCESS_KEY_ID"])
    document = Document(document.status, document.code, document.message, more, document.headers)
    url = conditional_store.url(prefix)
    with FaultProxy(conditional_store.endpoint, [Fault("answer", document=document)]) as proxy:
        environment = store_environment(proxy.endpoint, **QUICK)
        run = timed(*arguments(command, corpus, url, tmp_path), environment=environment)
    assert_plain(run, url)
    assert not (tmp_path / "lake").exists()
    if code == "AuthorizationHeaderMalformed":
        # Where the bucket is is all that one has to know.
        assert "eu-central-1" in run.error(), str(run)
    if code == "PermanentRedirect":
        assert "AWS_REGION" in run.error(), str(run)
    # None of these goes away by being asked again. More than one may have been under way.
    assert len(proxy.seen) <= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_no_bucket(store: Store, corpus: Corpus, tmp_path: Path, command: str):
    url = "s3://no-such-bucket-of-flowlake/lake/"
    environment = store_environment(store.endpoint, **QUICK)
    run = timed(*arguments(command, corpus, url, tmp_path), environment=environment)
    assert_plain(run, url)
    assert "bucket" in run.error()


@pytest.mark.parametrize("command", ["build-from", "verify", "inspect", "export"])
def test_nothing_there(store: Store, corpus: Corpus, prefix: str, tmp_path: Path, command: str):
    url = store.url(prefix)
    run = timed(*arguments(command, corpus, url, tmp_path), environment=store_environment(store.endpoint, **QUICK))
    assert run.code == 3, str(run)
    assert_plain(run, url, hint=False)


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_key(unconditional_store: Store, corpus: Corpus, prefix: str, tmp_path: Path, command: str, name: str):
    """On a server that looks at signatures."""
    store = unconditional_store
    url = store.url(prefix)
    wrong = "NOBODYSKEYATALL" if name == "AWS_ACCESS_KEY_ID" else "nobodys/secret+at+all"
    environment = store_environment(store.endpoint, **QUICK) | {name: wrong}
    run = timed(*arguments(command, corpus, url, tmp_path), environment=environment)
    assert_plain(run, url, (wrong,))


@pytest.mark.parametrize("command", COMMANDS)
def test_no_credentials(conditional_store: Store, corpus: Corpus, prefix: str, tmp_path: Path, command: str):
    url = conditional_store.url(prefix)
    home = tmp_path / "home"
    home.mkdir()
    environment = local_environment() | QUICK
    environment |= {"HOME": str(home), "AWS_ENDPOINT_URL": conditional_store.endpoint, "AWS_REGION": "us-east-1"}
    run = timed(*arguments(command, corpus, url, tmp_path), environment=environment)
    assert_plain(run, url)
    assert "credentials" in run.error()


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_listens(corpus: Corpus, tmp_path: Path, command: str):
    with socket.socket() as unused:
        # Bound and not listened on: nobody else gets the port meanwhile.
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        environment = store_environment(f"http://{address}", **QUICK)
        run = timed(*arguments(command, corpus, "s3://bucket/lake/", tmp_path), environment=environment)
    assert_plain(run, "s3://bucket/lake/")
    assert "AWS_ENDPOINT_URL" in run.error(), str(run)


@pytest.mark.parametrize("command", ["build-to", "verify"])
def test_no_such_host(corpus: Corpus, tmp_path: Path, command: str):
    environment = store_environment("http://no-such-host.invalid", **QUICK)
    run = timed(*arguments(command, corpus, "s3://bucket/lake/", tmp_path), environment=environment)
    assert_plain(run, "s3://bucket/lake/")
    assert "AWS_ENDPOINT_URL" in run.error(), str(run)


@pytest.mark.parametrize("command", ["build-to", "verify"])
def test_tls_where_none_is_spoken(conditional_store: Store, corpus: Corpus, tmp_path: Path, command: str):
    endpoint = conditional_store.endpoint.replace("http://", "https://")
    run = timed(
        *arguments(command, corpus, "s3://bucket/lake/", tmp_path), environment=store_environment(endpoint, **QUICK)
    )
    assert_plain(run, "s3://bucket/lake/")


@pytest.mark.parametrize("kind", ["error", "slow-down", "reset", "stalled"])
def test_a_store_that_stays_broken(conditional_store: Store, corpus: Corpus, prefix: str, tmp_path: Path, kind: str):
    url = conditional_store.url(prefix)
    for command in COMMANDS:
        with FaultProxy(conditional_store.endpoint, [Fault(kind)]) as proxy:
            environment = store_environment(proxy.endpoint, **QUICK)
            run = timed(*arguments(command, corpus, url, tmp_path), environment=environment)
        assert_plain(run, url)
        # It was tried again, and not for ever.
        assert 2 <= len(proxy.seen) <= 40


@pytest.mark.parametrize("url", ["s3://", "s3:///lake/", "s3://b/../lake/", "s4://bucket/lake/", "s3://bucket/lake?x"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_url(conditional_store: Store, corpus: Corpus, tmp_path: Path, command: str, url: str):
    """Told before anything is asked of a store."""
    with FaultProxy(conditional_store.endpoint) as proxy:
        environment = store_environment(proxy.endpoint, **QUICK)
        run = timed(*arguments(command, corpus, url, tmp_path), environment=environment)
    assert run.code in (2, 3, 4), str(run)
    assert run.error().startswith("error:"), str(run)
    assert proxy.seen == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLOWLAKE_STORE_TIMEOUT", "soon"),
        ("FLOWLAKE_STORE_RETRIES", "-1"),
        ("FLOWLAKE_STORE_RETRY_TIMEOUT", "5 fortnights"),
        ("FLOWLAKE_STORE_PART_BYTES", "0"),
    ],
)
def test_wrong_tuning(conditional_store: Store, prefix: str, name: str, value: str):
    environment = store_environment(conditional_store.endpoint, **{name: value})
    run = timed("verify", conditional_store.url(prefix), environment=environment)
    assert run.code in (2, 3, 4), str(run)
    assert name in run.error(), str(run)
