"""Law: what is live, written as documents and read again, plans empty; also once those documents manage it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from reconciler.cli.importing import Choice, describe_live
from reconciler.desired.writer import write_documents
from reconciler.model.resource import Scope
from tests.laws.fleets import fleets
from tests.laws.stage import Document, stage, told
from tests.laws.test_fixpoint import plenty
from tests.support.virtual_time import run


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)
@given(documents=fleets())
def test_an_import_of_a_generated_fleet_plans_empty(documents: list[Document], ca_dir: Path) -> None:
    async def law() -> None:
        async with stage(ca_dir=ca_dir) as azure:
            fleet = azure.load(documents)
            await azure.seed_world(limits=plenty(fleet.subscription))
            assert (await azure.converge(fleet))[-1].plan.converged
            await azure.forget()
            async with azure.world(fleet, read_only=True) as world:
                everything = Scope(subscription=fleet.subscription, fleet="", ids=(), everything=True)
                snapshot = await world.cloud.observe(everything)
            described, unclear = describe_live(snapshot, Choice(subscription=fleet.subscription, fleet="law"))
            assert not unclear
            observed = azure.load(write_documents(described))
            assert {id for id in observed.desired if len(id.segments) > 1} == {
                id for id in fleet.desired if len(id.segments) > 1
            }
            managed = azure.load(
                write_documents([{key: item for key, item in each.items() if key != "lifecycle"} for each in described])
            )
            for imported in (observed, managed):
                assert told(await azure.dry_run(imported)) == []
                await azure.converge(imported)
            assert await azure.writes() == []

    run(law())
