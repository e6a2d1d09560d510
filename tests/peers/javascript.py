"""The JavaScript SDK, `@azure/arm-cognitiveservices`, with a client secret of `@azure/identity`."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.peers.simulation import Simulation
from tests.peers.steps import Steps

SOURCE = Path(__file__).parent / "files" / "peer.mjs"
PACKAGES = ("@azure/arm-cognitiveservices", "@azure/identity")


def run(simulation: Simulation, folder: Path) -> int:
    """Runs the script; the number of its checks."""
    place = folder / "javascript"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOURCE, place / "peer.mjs")
    if not (place / "node_modules" / "@azure" / "identity").exists():
        (place / "package.json").write_text('{"private": true, "type": "module"}\n')
        npm = shutil.which("npm") or "npm"
        subprocess.run([npm, "install", "--no-fund", "--no-audit", "--silent", *PACKAGES], cwd=place, check=True)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    steps = Steps([shutil.which("node") or "node"], kept | simulation.environment, place)
    printed = steps.run("the script ends well", "peer.mjs", expect=lambda found: found["checks"] > 0)
    return int(printed["checks"])
