"""Runs a command and writes down the most memory it had: `python -I -S measured.py FILE MIB COMMAND …`.

A process of its own, and a small one: what a command is said to have had at most includes what the process had that it
was started from, and the tests have a lot.
"""

import resource
import subprocess
import sys


def main() -> int:
    report, address_mib, *command = sys.argv[1:]
    # Beyond this a machine that others use as well would suffer; what dies of it is a finding too.
    address = int(address_mib) << 20
    resource.setrlimit(resource.RLIMIT_AS, (address, address))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    code = subprocess.run(command, check=False).returncode
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    # ruff would have a Path here; importing it takes longer than all of the above.
    with open(report, "w") as file:  # noqa: PTH123
        file.write(f"{code} {peak}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
