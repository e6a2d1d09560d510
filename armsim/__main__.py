"""`python -m armsim`: the simulation as a process. Says where it is, keeps its world, goes when nobody needs it."""

import argparse
import asyncio
import json
import os
import shlex
import signal
import sys
from pathlib import Path

from armsim import control, tls
from armsim.clock import EPOCH, Clock, pause
from armsim.server import Simulator
from armsim.settings import Settings
from armsim.wire import encode

BEAT = 0.5


def main() -> int:
    return asyncio.run(_run(_parse(sys.argv[1:])))


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="armsim", description="Azure Resource Manager, simulated on this machine.")
    parser.add_argument("--host", default="127.0.0.1", choices=("127.0.0.1", "localhost"))
    parser.add_argument("--port", type=int, default=0, help="port of the endpoint; 0 takes a free one")
    parser.add_argument("--pace", type=float, default=1.0, help="simulated seconds per real second")
    parser.add_argument("--state", type=Path, help="file that keeps the world between runs")
    parser.add_argument("--env-file", type=Path, help="write shell variables for other clients here")
    parser.add_argument("--ready-file", type=Path, help="write where everything is here, once it is")
    parser.add_argument("--ca-dir", type=Path, help="folder of the certificate authority; made when missing")
    parser.add_argument("--seed", type=int, default=0, help="the same seed takes the same times")
    parser.add_argument("--parent-pid", type=int, help="exit when this process is gone")
    parser.add_argument("--idle-timeout", type=float, help="exit after so many seconds without a request")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="simulated milliseconds every request takes")
    return parser.parse_args(words)


async def _run(options: argparse.Namespace) -> int:
    settings = Settings(seed=options.seed, latency=options.latency_ms / 1000)
    clock = Clock(EPOCH, options.pace)  # the catalogue of models is of that day; on another one they would have retired
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, done.set)
    async with Simulator(clock, options.port, settings, options.host, options.ca_dir) as sim:
        if options.state is not None and options.state.exists():
            _load(sim, options.state)
        _save(sim, options.state)  # a world that cannot be kept is said before anybody works in it
        _announce(sim, options)
        await _watch(sim, options, done)
        _save(sim, options.state)
    return 0


def _announce(sim: Simulator, options: argparse.Namespace) -> None:
    ready = json.dumps({**sim.describe(), "pid": os.getpid()})
    if options.env_file is not None:
        tls.write_private(options.env_file, _variables(sim).encode())
    if options.ready_file is not None:
        tls.write_private(options.ready_file, ready.encode() + b"\n")
    print(ready, flush=True)


def _variables(sim: Simulator) -> str:
    values = {
        "AZURE_TENANT_ID": sim.tenant_id,
        "AZURE_CLIENT_ID": sim.client_id,
        "AZURE_CLIENT_SECRET": sim.client_secret,
        "AZURE_SUBSCRIPTION_ID": sim.subscription_id,
        "AZURE_AUTHORITY_HOST": sim.authority,
        "AZURE_FEDERATED_TOKEN_FILE": sim.federated_token_file,
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": sim.imds,
        "ARM_ENDPOINT": sim.endpoint,
        "ARMSIM_PROXY": sim.proxy,
        "RESOURCE_MANAGER_ENDPOINT": sim.endpoint,
        "REQUESTS_CA_BUNDLE": sim.ca_bundle,
        "SSL_CERT_FILE": sim.ca_bundle,
        "NODE_EXTRA_CA_CERTS": sim.ca_bundle,
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


async def _watch(sim: Simulator, options: argparse.Namespace, done: asyncio.Event) -> None:
    """Housekeeping at a slow beat: save what changed, notice that nobody is left."""
    loop = asyncio.get_running_loop()
    saved, touched, since = sim.world.version, sim.door.touched, loop.time()
    while not done.is_set():
        await pause(BEAT)
        sim.cloud.settle()
        if sim.world.version != saved:
            saved = sim.world.version
            _save(sim, options.state)
        if sim.door.touched != touched:
            touched, since = sim.door.touched, loop.time()
        if options.idle_timeout is not None and loop.time() - since > options.idle_timeout:
            return
        if options.parent_pid is not None and not _alive(options.parent_pid):
            return


def _load(sim: Simulator, path: Path) -> None:
    try:
        control.load(sim.door, json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, OSError) as problem:
        raise SystemExit(f"armsim: {path} is not a world that was saved here: {problem!r}") from problem


def _save(sim: Simulator, path: Path | None) -> None:
    if path is None:
        return
    try:
        tls.write_private(path, encode(control.dump(sim.cloud)))
    except OSError as problem:
        raise SystemExit(f"armsim: the world cannot be kept in {path}: {problem.strerror}") from problem


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    sys.exit(main())
