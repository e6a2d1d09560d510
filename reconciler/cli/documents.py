"""`validate`, `schema`, `explain`: what can be said of documents without asking Azure."""

from __future__ import annotations

from difflib import get_close_matches

from reconciler.cli.call import Call, is_broken, load
from reconciler.cli.parser import Exit
from reconciler.desired.explain import UnknownTopicError, explain, make_schema
from reconciler.desired.schema import SPECS
from reconciler.model.finding import Severity
from reconciler.model.resource import Estate
from reconciler.model.text import plain, plain_lines
from reconciler.model.wire import Json, JsonObject
from reconciler.report.document import FORMAT_VERSION, render_json, tell_finding
from reconciler.report.text import render_findings
from reconciler.report.words import count


def validate(call: Call) -> Exit:
    """Everything that is wrong with the desired state; no request is sent."""
    estate = load(call)
    broken = is_broken(estate)
    code = Exit.ERROR if broken else Exit.OK
    if call.json:
        call.terminal.say(render_json(_tell_estate(estate, code)))
        return code
    call.terminal.say(render_findings(estate.findings, call.terminal.style(call.terminal.out)))
    errors = sum(finding.severity is Severity.ERROR for finding in estate.findings)
    resources = sum(len(fleet.desired) for fleet in estate.fleets)
    told = f"{count(len(estate.fleets), 'fleet')} with {count(resources, 'resource')}"
    warnings = len(estate.findings) - errors
    fine = f"no errors, {count(warnings, 'warning')}" if warnings else "nothing is wrong"
    verdict = f"{count(errors, 'error')} in the desired state." if broken else f"{told}: {fine}."
    call.terminal.tell(f"{verdict}\n")
    return code


def _tell_estate(estate: Estate, code: Exit) -> JsonObject:
    fleets: list[Json] = [
        {
            "name": fleet.name,
            "subscription": fleet.subscription,
            "resources": [str(desired.ref) for desired in fleet.desired.values()],
            "broken": [str(ref) for ref in fleet.broken],
        }
        for fleet in estate.fleets
    ]
    return {
        "format_version": FORMAT_VERSION,
        "kind": "validation",
        "valid": code is Exit.OK,
        "fleets": fleets,
        "findings": [tell_finding(finding) for finding in estate.findings],
        "exit_code": code,
    }


def schema(call: Call) -> Exit:
    """The JSON Schema of all kinds, or of one."""
    whole = make_schema()
    kind, definitions = call.options.kind, whole["$defs"]
    assert isinstance(definitions, dict)
    if kind:
        known = [*SPECS]
        if kind not in known:
            close = get_close_matches(kind, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"
            call.terminal.complain(plain(f"reconciler schema: there is no kind {kind}; {hint}") + "\n")
            return Exit.ERROR
        whole = {key: value for key, value in whole.items() if key != "oneOf"} | {"$ref": f"#/$defs/{kind}"}
    call.terminal.say(render_json(whole))
    return Exit.OK


def explain_topic(call: Call) -> Exit:
    """What a kind or a field means."""
    topic = call.options.topic
    try:
        text = explain(topic)
    except UnknownTopicError as error:
        call.terminal.complain(plain_lines(f"reconciler explain: {error}\n"))
        return Exit.ERROR
    if call.json:
        told: JsonObject = {"format_version": FORMAT_VERSION, "kind": "explanation", "topic": topic, "text": text}
        call.terminal.say(render_json(told))
    else:
        call.terminal.say(text)
    return Exit.OK
