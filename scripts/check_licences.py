#!/usr/bin/env python3
"""Checks the licence of every dependency against the allow-list in deny.toml.

cargo-deny does this and more, but cannot be assumed to be installed; this needs Python alone and works offline.
Licences are SPDX expressions: `OR` is met by one side, `AND` by both, `A WITH exception` is a licence of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]

_TOKEN = re.compile(r"[()]|[A-Za-z0-9.+-]+")


def main() -> int:
    rules = tomllib.loads((REPOSITORY / "deny.toml").read_text())["licenses"]
    allowed = frozenset(rules["allow"])
    exceptions = {rule["crate"]: frozenset(rule["allow"]) for rule in rules.get("exceptions", [])}
    packages = dependencies()
    used: set[str] = set()
    refused = []
    for package in packages:
        licence, own = package["license"], exceptions.get(package["name"], frozenset())
        accepted = None if licence is None else accept(licence, lambda name, own=own: name in allowed | own)
        if accepted is None:
            refused.append(f"{package['name']} {package['version']}: {licence or 'no licence given'}")
        else:
            used |= accepted
    for line in refused:
        print(f"error: {line}", file=sys.stderr)
    if refused:
        print("error: a licence is allowed, or a crate excepted, in deny.toml", file=sys.stderr)
        return 1
    for licence in sorted(allowed - used):
        print(f"note: deny.toml allows {licence}, which no dependency needs")
    print(f"licences: {len(packages)} dependencies, all under {', '.join(sorted(used))}")
    return 0


def dependencies() -> list[dict[str, Any]]:
    """Every package that the workspace depends on, on any platform, for building or testing, and none of its own."""
    metadata = cargo_metadata()
    members = set(metadata["workspace_members"])
    edges = {node["id"]: node["dependencies"] for node in metadata["resolve"]["nodes"]}
    reached, waiting = set(members), list(members)
    while waiting:
        for package in edges[waiting.pop()]:
            if package not in reached:
                reached.add(package)
                waiting.append(package)
    return [package for package in metadata["packages"] if package["id"] in reached - members]


def cargo_metadata() -> dict[str, Any]:
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--format-version", "1", "--locked"]
    # A build fetches only what its own platform needs. Where that is all there is, the rest is fetched once.
    for extra in (["--offline"], []):
        done = subprocess.run([*command, *extra], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)
    sys.exit(f"error: cargo metadata failed\n{done.stderr}")


def accept(expression: str, allowed: Callable[[str], bool]) -> frozenset[str] | None:
    """The licences under which `expression` is accepted; None when it is not.

    Of alternatives the first that is allowed is taken.
    """
    # Crates from before SPDX wrote `MIT/Apache-2.0`.
    tokens = _TOKEN.findall(expression.replace("/", " OR "))
    result = _alternatives(tokens, allowed)
    if tokens:
        raise ValueError(f"not an SPDX expression: {expression!r}")
    return result


def _alternatives(tokens: list[str], allowed: Callable[[str], bool]) -> frozenset[str] | None:
    result = _all_of(tokens, allowed)
    while tokens[:1] == ["OR"]:
        tokens.pop(0)
        other = _all_of(tokens, allowed)
        result = other if result is None else result
    return result


def _all_of(tokens: list[str], allowed: Callable[[str], bool]) -> frozenset[str] | None:
    result = _single(tokens, allowed)
    while tokens[:1] == ["AND"]:
        tokens.pop(0)
        other = _single(tokens, allowed)
        result = None if result is None or other is None else result | other
    return result


def _single(tokens: list[str], allowed: Callable[[str], bool]) -> frozenset[str] | None:
    if not tokens:
        raise ValueError("an SPDX expression ends too early")
    name = tokens.pop(0)
    if name == "(":
        result = _alternatives(tokens, allowed)
        if tokens[:1] != [")"]:
            raise ValueError("a parenthesis of an SPDX expression is not closed")
        tokens.pop(0)
        return result
    if tokens[:1] == ["WITH"]:
        name = f"{name} WITH {tokens[1]}"
        del tokens[:2]
    return frozenset([name]) if allowed(name) else None


if __name__ == "__main__":
    sys.exit(main())
