"""`python -m tests.peers [peer ...]`: run foreign clients, each against a simulation of its own."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.peers import ansible, azure_cli, custodian, javascript
from tests.peers.simulation import ROOT, Simulation, simulation
from tests.peers.steps import FailedError

PEERS: dict[str, Callable[[Simulation, Path], int]] = {
    "azure-cli": azure_cli.run,
    "javascript": javascript.run,
    "ansible": ansible.run,
    "custodian": custodian.run,
}


def main() -> int:
    """0 when every peer that was asked for did what it should."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.add_argument("peers", nargs="*", choices=[*PEERS, []], help="which to run; all without a name")
    parser.add_argument("--dir", type=Path, default=ROOT / "build" / "peers", help="where they are installed")
    arguments = parser.parse_args()
    failed = 0
    for name in arguments.peers or PEERS:
        try:
            with simulation() as running:
                count = PEERS[name](running, arguments.dir)
                asked = running.control("requests/summary", None)
        except FailedError as failure:
            failed += 1
            sys.stdout.write(f"FAILED  {name}: {failure}\n")
        else:
            sys.stdout.write(f"{name}: {count} commands as expected; requests {asked}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
