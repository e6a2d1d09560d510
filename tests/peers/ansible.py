"""Ansible's Azure collection: a group, an account created, read, created again, deleted."""

import os
import subprocess
from pathlib import Path

from tests.peers.simulation import Simulation
from tests.peers.steps import Steps, install

PLAYBOOK = Path(__file__).parent / "files" / "ansible.yaml"


def run(simulation: Simulation, folder: Path) -> int:
    """Runs the playbook; 1 when all of its tasks did what they should."""
    playbook = _find(folder)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = kept | {
        "HOME": str(simulation.folder),
        "AZURE_SUBSCRIPTION_ID": str(simulation.ready["subscription_id"]),
        "AZURE_TENANT": str(simulation.ready["tenant_id"]),
        "AZURE_CLIENT_ID": str(simulation.ready["client_id"]),
        "AZURE_SECRET": str(simulation.ready["client_secret"]),
        # Today's collection takes no other cloud than the ones it knows, so it is led here by the proxy.
        "HTTPS_PROXY": str(simulation.ready["proxy"]),
        "AZURE_DISABLE_INSTANCE_DISCOVERY": "true",
        "REQUESTS_CA_BUNDLE": simulation.environment["REQUESTS_CA_BUNDLE"],
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": str(playbook.parent / "python"),
    }
    steps = Steps([str(playbook)], environment, simulation.folder)
    steps.run("the playbook ends well", str(PLAYBOOK), expect=lambda text: "failed=0" in text)
    return steps.count


def _find(folder: Path) -> Path:
    """An installed Ansible that the caller names, or one of our own with what the collection requires."""
    named = os.environ.get("PEER_ANSIBLE_PLAYBOOK")
    if named:
        return Path(named)
    playbook = folder / "ansible" / "bin" / "ansible-playbook"
    python = playbook.parent / "python"
    if not playbook.exists():
        install(python, "ansible")
        find = "import ansible_collections.azure.azcollection as it; print(*it.__path__)"
        place = subprocess.run([str(python), "-c", find], capture_output=True, text=True, check=True)
        install(python, "-r", str(Path(place.stdout.strip()) / "requirements.txt"))
    return playbook
