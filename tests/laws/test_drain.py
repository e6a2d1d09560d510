"""Law: whenever the daemon is told to stop, no write leaves afterwards, it ends in time, and the next one goes on."""

from __future__ import annotations

import asyncio

import pytest

from tests.daemon.running import GRACE, running
from tests.daemon.test_loop import quiet
from tests.laws.stage import Stage, account_document, account_id, deployment, fleet_document, group_document
from tests.support.virtual_time import passed

pytestmark = pytest.mark.virtual_time

FLEET = [
    fleet_document(),
    group_document(),
    *(
        account_document(
            name,
            customSubDomainName=name,
            publicNetworkAccess="Enabled",
            networkAcls={"defaultAction": "Deny", "ipRules": ["203.0.113.0/24"]},
            raiPolicies=[{"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}],
            deployments=[deployment("chat", raiPolicyName="strict"), deployment("more")],
        )
        for name in ("aoai-a", "aoai-b")
    ),
]


@pytest.mark.parametrize("moment", [0.3, 0.7, 1.5, 2.5, 4, 6, 9, 13, 18, 24, 31, 39, 48, 58, 69, 81, 94])
async def test_no_write_leaves_after_the_stop_and_the_next_process_goes_on(azure: Stage, moment: float) -> None:
    await azure.set(latency=0.2, account_create=[10.0, 10.0], account_update=8.0)
    async with running(azure, FLEET) as daemon:
        daemon.bell.fire("start")
        await asyncio.sleep(moment)
        stopped, began = azure.sim.clock.now(), passed()
        daemon.stop()
        await daemon.ended.wait()
        assert passed() - began <= GRACE + 15
    late = [each for each in await azure.writes() if each["at"] > stopped + 0.21]  # on its way when the signal came
    assert late == []
    async with running(azure, FLEET) as successor:
        await successor.until(quiet)
    for name in ("aoai-a", "aoai-b"):
        path = str(account_id(azure, name)).lower()
        made = [each for each in await azure.writes() if each["path"].lower() == path and each["method"] == "PUT"]
        assert len(made) == 1, made
    assert not any((await azure.self_inflicted()).values())
