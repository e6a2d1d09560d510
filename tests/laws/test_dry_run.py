"""Laws: a dry run changes nothing; the same input gives the same plan; secrets never get out."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import structlog
import yaml

from reconciler.cloud import ReadOnlyViolation
from reconciler.model.plan import Verb
from reconciler.model.ports import Write
from reconciler.report.document import Envelope, render_plans, render_runs
from reconciler.runtime.logs import configure_logs
from tests.laws.stage import ASKING, Stage, account_id, told
from tests.laws.test_faults import change, fleet_of
from tests.laws.test_fixpoint import find_examples, plenty

ROOT = Path(__file__).parents[2]


def assert_only_looked(requests: list[dict[str, object]]) -> None:
    for each in requests:
        asked = each["method"] == "POST" and str(each["path"]).lower().endswith(ASKING)
        assert each["method"] in ("GET", "HEAD") or asked, each


@pytest.mark.virtual_time
@pytest.mark.parametrize("example", find_examples(), ids=lambda place: place.name)
async def test_a_dry_run_of_an_example_changes_nothing(azure: Stage, example: Path) -> None:
    for fleet in azure.load_estate(example).fleets:
        await azure.seed_world(
            subscriptions=[{"subscriptionId": fleet.subscription}], limits=plenty(fleet.subscription)
        )
        before = await azure.fingerprint()
        plan = await azure.dry_run(fleet)
        assert plan.steps
        assert await azure.fingerprint() == before
    assert_only_looked(await azure.requests())


@pytest.mark.virtual_time
async def test_a_dry_run_of_changes_deletes_and_purges_changes_nothing(azure: Stage) -> None:
    documents = fleet_of("aoai-a", "aoai-b", "aoai-c")
    assert (await azure.converge(azure.load(documents)))[-1].plan.converged
    await azure.mutate("DELETE", account_id(azure, "aoai-b"))
    wanted = change(documents[:-1])
    wanted[0]["spec"] |= {"softDeleted": "purge", "prune": {"accounts": True, "deployments": True}}
    await azure.forget()
    before = await azure.fingerprint()
    plan = await azure.dry_run(azure.load(wanted))
    assert {step.verb for step in plan.steps} >= {Verb.PUT, Verb.PATCH, Verb.DELETE, Verb.PURGE}
    assert await azure.fingerprint() == before
    assert_only_looked(await azure.requests())


@pytest.mark.virtual_time
async def test_a_session_that_only_looks_cannot_write_even_when_told_to(azure: Stage) -> None:
    fleet = azure.load(fleet_of("aoai-a"))
    async with azure.world(fleet, read_only=True) as world:
        for verb in (Verb.PUT, Verb.PATCH, Verb.DELETE):
            with pytest.raises(ReadOnlyViolation):
                await world.cloud.write(Write(verb=verb, id=account_id(azure, "aoai-a"), body={"location": "x"}))
    assert await azure.writes() == []


SCRIPT = """
import json, sys
from pathlib import Path
from reconciler.desired.fleet import load_estate
from reconciler.model.resource import Snapshot
from reconciler.plan import make_plan
for fleet in load_estate((Path(sys.argv[1]),), json.loads(sys.argv[2])).fleets:
    print(make_plan(fleet, Snapshot(taken_at=0.0, live={})).digest)
"""


def test_the_same_documents_give_the_same_plan_whatever_the_hash_seed(tmp_path: Path) -> None:
    documents = fleet_of("aoai-a", "aoai-b", "aoai-c")
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    found = set()
    for seed in ("0", "1", "4711"):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                SCRIPT,
                str(tmp_path),
                json.dumps({"AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001"}),
            ],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1
    assert "sha256:" in found.pop()


@pytest.mark.virtual_time
async def test_no_secret_gets_into_plans_logs_or_tracebacks(azure: Stage) -> None:
    """With everything logged that anybody logs, and things going wrong: no client secret, no token, no signature."""
    out = io.StringIO()
    root = logging.getLogger()
    listener, level = logging.StreamHandler(out), root.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    configure_logs("json", "debug", out)
    signatures: list[str] = []
    try:
        await azure.fault(kind="status", status=401, count=1, skip=4)
        await azure.fault(kind="lro_fail", match={"method": "PUT", "path": "/accounts/aoai-a$"})
        await azure.fault(kind="cut_before", count=2, skip=9)
        fleet = azure.load(fleet_of("aoai-a", "aoai-b"))
        reports = await azure.converge(fleet)
        assert reports[-1].plan.converged, told(reports[-1].plan)
        log = structlog.get_logger()
        for report in reports:
            log.info("cycle", report=report, plan=report.plan)
        out.write(render_plans((report.plan for report in reports), Envelope(exit_code=0)))
        out.write(render_runs((reports,), Envelope(exit_code=0)))
        signatures = [
            each["query"].partition("&s=")[2][:60] for each in await azure.requests() if "&s=" in each["query"]
        ]
        try:
            async with azure.world(fleet, read_only=True) as world:
                await world.cloud.write(Write(verb=Verb.DELETE, id=account_id(azure, "aoai-a")))
        except ReadOnlyViolation:
            out.write(traceback.format_exc())
        azure.secret = "an-old-secret-of-ours"
        blind = await azure.dry_run(fleet)
        out.write(render_plans((blind,), Envelope(exit_code=0)))
        assert blind.blind
    finally:
        root.removeHandler(listener)
        root.setLevel(level)
        structlog.reset_defaults()
    text = out.getvalue()
    assert len(text) > 10_000
    assert signatures
    for secret in (azure.sim.client_secret, azure.secret, "eyJ", *signatures):
        assert secret not in text, secret[:8]
