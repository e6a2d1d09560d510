"""`simulate`: a simulated Azure for other clients."""

from __future__ import annotations

import signal

from reconciler.cli.call import Call
from reconciler.cli.parser import Exit
from reconciler.model.wire import JsonObject
from reconciler.report.document import FORMAT_VERSION, render_json
from reconciler.simulate import Simulation, SimulationRequest, run_simulation


def simulate(call: Call) -> Exit:
    """A simulated Azure for other clients, until somebody ends it."""
    options = call.options
    wanted = SimulationRequest(
        pace=options.pace, port=options.port, state=options.simulate_state, env_file=options.env_file
    )
    for each in (signal.SIGINT, signal.SIGTERM):
        # Also SIGINT: a shell without job control starts what it puts in the background deaf to it.
        signal.signal(each, signal.default_int_handler)
    try:
        with run_simulation(wanted) as simulation:
            _introduce(call, simulation)
            if simulation.wait() == 0:
                return Exit.OK
            call.terminal.complain("reconciler simulate: the simulation ended by itself; start it again\n")
            return Exit.ERROR
    except KeyboardInterrupt:
        return Exit.OK


def _introduce(call: Call, simulation: Simulation) -> None:
    """Where the simulation is and who one is there; the secret is only in the file made for it."""
    terminal = call.terminal
    told = {key: value for key, value in simulation.ready.items() if key != "client_secret"}
    if call.json:
        ready: JsonObject = {**told}
        terminal.say(render_json({"format_version": FORMAT_VERSION, "kind": "simulation", "ready": ready}))
    else:
        width = max(len(key) for key in told)
        terminal.say("A simulated Azure is ready; Ctrl-C ends it.\n")
        terminal.say("".join(f"  {key:<{width}}  {value}\n" for key, value in told.items()))
    if not call.options.env_file:
        terminal.tell("The secret is in the file that --env-file writes for other clients.\n")
