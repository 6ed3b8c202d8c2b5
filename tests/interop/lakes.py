"""Lakes to test on: builds them with the binary, and knows what they were built from."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import awkward_dumps
from dumps import find_parts, read_records
from encoded_oracle import ENCODED
from flows_oracle import FLOWS
from full_oracle import FULL
from recompute import RecipeOracle, Recomputed, recompute

REPOSITORY = Path(__file__).resolve().parents[2]
# The built-in recipes, as the oracle understands them.
RECIPES = {recipe.name: recipe for recipe in (FLOWS, ENCODED, FULL)}
KDDI_CATALOGUE = REPOSITORY / "config" / "kddi-iot-2019.toml"

# Long enough for the slowest machine; what hangs must end all the same.
_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Device:
    """A device of a catalogue."""

    name: str
    device_class: str
    mac: str
    dump: str
    published_records: int | None


@dataclass(frozen=True)
class DataSet:
    """Dumps, and the devices of a catalogue that are to be built from them."""

    name: str
    input: Path
    catalogue: Path
    devices: list[Device]


@dataclass
class Lake:
    """A lake that was built, beside what it was built from."""

    root: Path
    data_set: DataSet
    recipe: RecipeOracle

    @property
    def name(self) -> str:
        return self.data_set.name

    @property
    def devices(self) -> list[Device]:
        return self.data_set.devices

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.root / "manifest.json").read_text())

    @cached_property
    def expected(self) -> dict[str, Recomputed]:
        """What the oracle makes of each dump, by dump name."""
        return {device.dump: recompute_dump(self.recipe, self.parts(device), device) for device in self.devices}

    def parts(self, device: Device) -> list[Path]:
        return find_parts(self.data_set.input, device.dump)

    def duckdb_source(self) -> str:
        """What a query in DuckDB selects from to read the whole directory."""
        return f"read_parquet('{self.root}/data/**/*.parquet', hive_partitioning = true)"

    def data_files(self) -> list[Path]:
        """The data files that are there, whether the manifest lists them or not."""
        return sorted(path for path in (self.root / "data").rglob("*") if path.is_file())


# Gives the lake of a data set and a recipe, by their names.
BuildLake = Callable[[str, str], Lake]


def recipe_file(name: str) -> Path:
    """The file of a built-in recipe."""
    return REPOSITORY / "config" / "recipes" / f"{name}.toml"


def binary() -> Path:
    """The program under test."""
    if named := os.environ.get("FLOWLAKE_BIN"):
        return Path(named)
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release" / "flowlake"


def real_data() -> Path:
    """Where real dumps lie on machines that have them. They are no part of the repository."""
    return Path(os.environ.get("FLOWLAKE_REAL_DATA", REPOSITORY.parent / "shared" / "data"))


def read_catalogue(path: Path) -> list[Device]:
    catalogue = tomllib.loads(path.read_text())
    return [
        Device(
            entry["name"],
            entry["class"],
            entry["mac"].lower(),
            entry["archive"],
            entry.get("published_records"),
        )
        for entry in catalogue["device"]
    ]


def write_iot_sentinel_catalogue(devices_csv: Path, target: Path) -> None:
    """A catalogue for the IoT Sentinel dumps from the table that lies beside them."""
    lines = [
        "[dataset]",
        'name = "iot-sentinel"',
        'title = "IoT Sentinel captures"',
        'licence = "unknown"',
        "redistribution = false",
        'citation = "IoT Sentinel, 2017"',
        'url = "https://example.org/iot-sentinel"',
    ]
    with devices_csv.open(newline="") as table:
        for row in csv.DictReader(table):
            lines += [
                "",
                "[[device]]",
                f'name = "{row["device"]}"',
                f'title = "{row["device"]}"',
                f'class = "{camel_case(row["category"])}"',
                f'class_title = "{row["category"].replace("-", " ").capitalize()}"',
                f'mac = "{row["mac"]}"',
                f'archive = "{row["device"]}"',
                f"published_records = {row['flows']}",
            ]
            if row["archive_parts"] != "1":
                lines.append(f"parts = {row['archive_parts']}")
    target.write_text("\n".join(lines) + "\n")


def camel_case(text: str) -> str:
    first, *rest = re.findall(r"[a-z0-9]+", text.lower())
    return first + "".join(word.capitalize() for word in rest)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs flowlake and returns what it said; anything but success is an error that shows it."""
    # Everything in a lake is UTC, so a machine elsewhere must make no difference.
    environment = os.environ | {"TZ": "Asia/Tokyo"}
    done = subprocess.run(
        [binary(), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        command = " ".join(["flowlake", *map(str, arguments)])
        raise AssertionError(f"`{command}` ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def recompute_dump(recipe: RecipeOracle, parts: list[Path], device: Device) -> Recomputed:
    """What the recipe makes of the dump of a device."""
    return recompute(
        recipe,
        read_records(parts),
        device=device.name,
        device_class=device.device_class,
        mac=device.mac,
        dump=device.dump,
    )


def sample(directory: Path) -> DataSet:
    """Synthetic dumps of all devices, made by the binary's own generator."""
    dumps = directory / "dumps"
    run("sample", "--output", dumps, "--scale", "0.001", "--seed", "7")
    catalogue = dumps / "catalogue.toml"
    return DataSet("sample", dumps, catalogue, read_catalogue(catalogue))


def awkward(directory: Path) -> DataSet:
    """Dumps of everything that well-behaved devices hardly ever do."""
    catalogue = awkward_dumps.write(directory)
    return DataSet("awkward", directory, catalogue, read_catalogue(catalogue))


def kddi(_: Path) -> DataSet:
    """The one real KDDI-IoT-2019 dump that developers have."""
    devices = [device for device in read_catalogue(KDDI_CATALOGUE) if device.name == "mouseComputerRoomHub"]
    return DataSet("kddi-iot-2019", real_data() / "kddi-iot-2019", KDDI_CATALOGUE, devices)


def iot_sentinel(directory: Path) -> DataSet:
    """The IoT Sentinel dumps: two devices with one MAC address, one archive in two parts."""
    dumps = real_data() / "iot-sentinel"
    catalogue = directory / "iot-sentinel.toml"
    write_iot_sentinel_catalogue(dumps / "devices.csv", catalogue)
    return DataSet("iot-sentinel", dumps, catalogue, read_catalogue(catalogue))


DATA_SETS: dict[str, Callable[[Path], DataSet]] = {
    "sample": sample,
    "awkward": awkward,
    "kddi-iot-2019": kddi,
    "iot-sentinel": iot_sentinel,
}
REAL_DATA_SETS = ["kddi-iot-2019", "iot-sentinel"]


def build(data_set: DataSet, recipe: str, root: Path) -> Lake:
    """Builds a lake of a data set; the devices of its catalogue that have no dump there are left out by name."""
    arguments: list[str | Path] = ["--config", data_set.catalogue, "--input", data_set.input, "--output", root]
    for device in data_set.devices:
        arguments += ["--device", device.name]
    run("build", "--recipe", recipe, *arguments)
    return Lake(root, data_set, RECIPES[recipe])
