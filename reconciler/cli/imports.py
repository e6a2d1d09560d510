"""`import`: live Azure as documents."""

from __future__ import annotations

from pathlib import Path

from reconciler.app import look
from reconciler.cli.call import Call, UsageError, complete, target, wire_up, write_whole
from reconciler.cli.importing import Choice, describe_live
from reconciler.cli.parser import Exit
from reconciler.desired.writer import write_documents
from reconciler.model.resource import Scope
from reconciler.model.wire import Json
from reconciler.report.document import FORMAT_VERSION, render_json
from reconciler.report.progress import Quiet
from reconciler.report.words import count


def import_live(call: Call) -> Exit:
    """Live Azure as documents that are only observed, so that they plan empty."""
    options, terminal = call.options, call.terminal
    subscription = options.subscription or call.environment.get("AZURE_SUBSCRIPTION_ID", "")
    if not subscription:
        raise UsageError("which subscription? add --subscription ID, or set AZURE_SUBSCRIPTION_ID")
    scope = Scope(subscription=subscription, fleet="", ids=(), everything=True)
    snapshot = complete(call, look(target(call), scope, wire_up(call, Quiet())))
    for blind in snapshot.blind:
        terminal.complain(f"{blind.scope} ({blind.type}) could not be read: {blind.fault}\n")
    if snapshot.blind:
        terminal.complain("What could not be read would be missing, so nothing was written.\n")
        return Exit.ERROR
    choice = Choice(
        subscription=subscription,
        fleet=options.fleet,
        groups=tuple(options.groups),
        accounts=tuple(options.accounts),
    )
    documents, unclear = describe_live(snapshot, choice)
    if unclear:
        terminal.complain("".join(f"reconciler import: {sentence}\n" for sentence in unclear))
        return Exit.ERROR
    text = write_documents(documents)
    if call.json:
        told: list[Json] = [*documents]
        text = render_json({"format_version": FORMAT_VERSION, "kind": "import", "documents": told})
    if options.out:
        write_whole(Path(options.out), text)
    else:
        terminal.say(text)
    terminal.tell(f"{count(len(documents) - 1, 'document')} imported; they are observed only.\n")
    return Exit.OK
