"""Network security groups: rules as a whole and one by one, priorities, etags, who uses them."""

from typing import Any

import pytest

from tests.armsim.asking import Asker
from tests.armsim.networking import (
    APP,
    NET,
    NSG,
    OF_SUB,
    VNET,
    essence,
    has_network,
    mutate,
    names,
    network,
    ready,
    rule,
    security_group,
    subnet,
)


async def test_a_put_of_the_group_replaces_all_rules_and_keeps_their_order(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group(rule("late", 300), rule("early", 100))))
    assert names((await slow.get(f"{NSG}/securityRules")).body["value"]) == ["late", "early"]
    await ready(slow, await slow.put(NSG, security_group(rule("other", 200))))
    assert names((await slow.get(NSG)).body["properties"]["securityRules"]) == ["other"]
    assert (await slow.get(f"{NSG}/securityRules/late")).status == 404


async def test_a_put_of_one_rule_keeps_the_others(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group(rule("one", 100), rule("two", 200))))
    answer = await slow.put(f"{NSG}/securityRules/two", rule("two", 210))
    assert answer.status == 200
    assert answer.headers["retry-after"] == "10"
    await ready(slow, answer)
    assert (await slow.put(f"{NSG}/securityRules/three", rule("three", 300))).status == 201
    rules = (await slow.get(NSG)).body["properties"]["securityRules"]
    assert [(each["name"], each["properties"]["priority"]) for each in rules] == [
        ("one", 100),
        ("two", 210),
        ("three", 300),
    ]


async def test_group_and_rules_share_one_etag_that_every_transition_renews(slow: Asker) -> None:
    first = (await slow.put(NSG, security_group(rule("one")))).body
    assert first["etag"].startswith('W/"')
    assert {each["etag"] for each in first["properties"]["securityRules"]} == {first["etag"]}
    await slow.advance(10)
    done = (await slow.get(NSG)).body
    assert done["etag"] != first["etag"]
    child = await slow.get(f"{NSG}/securityRules/one")
    assert child.headers["etag"] == child.body["etag"] == done["etag"]
    assert {each["etag"] for each in done["properties"]["defaultSecurityRules"]} == {done["etag"]}


async def test_a_rule_answers_four_plural_lists_and_only_the_singulars_that_were_sent(slow: Asker) -> None:
    sent = rule("one", sourceAddressPrefixes=["10.0.0.0/24"], protocol="TCP")
    del sent["properties"]["sourceAddressPrefix"]
    await ready(slow, await slow.put(NSG, security_group(sent)))
    properties = (await slow.get(f"{NSG}/securityRules/one")).body["properties"]
    assert properties["protocol"] == "Tcp"
    assert properties["sourceAddressPrefixes"] == ["10.0.0.0/24"]
    assert "sourceAddressPrefix" not in properties
    assert (properties["destinationAddressPrefix"], properties["destinationAddressPrefixes"]) == ("*", [])


async def test_what_a_group_answers_can_be_sent_back_and_changes_nothing(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group(rule("one"), rule("two", 101, description="why"))))
    before = (await slow.get(NSG)).body
    answer = await slow.put(NSG, before)
    assert (answer.status, answer.body["properties"]["provisioningState"]) == (200, "Succeeded")
    assert essence(answer.body) == essence(before)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"priority": 99}, "SecurityRuleInvalidPriority"),
        ({"priority": 4097}, "SecurityRuleInvalidPriority"),
        ({"priority": None}, "SecurityRuleInvalidPriority"),
        ({"protocol": "Sctp"}, "SecurityRuleInvalidProtocol"),
        ({"access": "Maybe"}, "SecurityRuleInvalidAccess"),
        ({"direction": "Sideways"}, "SecurityRuleInvalidDirection"),
        ({"destinationPortRange": "70000"}, "SecurityRuleInvalidPortRange"),
        ({"destinationPortRange": "90-80"}, "SecurityRuleInvalidPortRange"),
        ({"sourceAddressPrefix": "10.0.0.300"}, "SecurityRuleInvalidAddressPrefix"),
        ({"sourceAddressPrefixes": ["10.0.0.0/8"]}, "SecurityRuleParameterConflict"),
        ({"sourceAddressPrefix": None}, "SecurityRuleParameterConflict"),
        ({"description": "x" * 141}, "SecurityRuleDescriptionTooLong"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(slow: Asker, change: dict[str, Any], code: str) -> None:
    answer = await slow.put(NSG, security_group(rule("one", **change)))
    assert (answer.status, answer.code) == (400, code)
    assert answer.body["error"]["details"] == []


async def test_service_tags_and_bare_numbers_pass_as_prefixes(slow: Asker) -> None:
    tags = rule("one", sourceAddressPrefix="VirtualNetwork", destinationAddressPrefix="789")
    assert (await slow.put(NSG, security_group(tags))).status == 201


async def test_two_rules_on_one_priority_and_direction_are_refused_by_both_names(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group(rule("one"))))
    for answer in (
        await slow.put(NSG, security_group(rule("one"), rule("two"))),
        await slow.put(f"{NSG}/securityRules/two", rule("two")),
    ):
        assert (answer.status, answer.code) == (400, "SecurityRuleConflict")
        assert "one" in answer.message
        assert "two" in answer.message
    assert (await slow.put(f"{NSG}/securityRules/two", rule("two", direction="Outbound"))).status == 201


async def test_priorities_swap_in_one_put_of_the_whole_group(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group(rule("one", 100), rule("two", 200))))
    assert (await slow.put(f"{NSG}/securityRules/one", rule("one", 200))).code == "SecurityRuleConflict"
    assert (await slow.put(NSG, security_group(rule("one", 200), rule("two", 100)))).status == 200


async def test_a_second_write_to_the_same_resource_is_429_and_to_another_in_it_409(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group()))
    running = await slow.put(f"{NSG}/securityRules/one", rule("one"))
    again = await slow.put(f"{NSG}/securityRules/one", rule("one", 200))
    assert (again.status, again.code) == (429, "RetryableError")
    detail = again.body["error"]["details"][0]
    assert detail["code"] == "RetryableErrorDueToAnotherOperation"
    assert "can be retried in" in detail["message"]
    other = await slow.put(f"{NSG}/securityRules/two", rule("two", 200))
    assert (other.status, other.code) == (409, "AnotherOperationInProgress")
    guid = running.headers["azure-asyncoperation"].split("/operations/")[1].partition("?")[0]
    assert guid in other.message
    await ready(slow, running)
    assert (await slow.put(f"{NSG}/securityRules/two", rule("two", 200))).status == 201


async def test_a_group_tells_which_subnets_use_it_and_cannot_go_while_they_do(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group()))
    await ready(slow, await slow.put(VNET, network(subnet(networkSecurityGroup={"id": NSG}))))
    assert (await slow.get(NSG)).body["properties"]["subnets"] == [{"id": APP}]
    refused = await slow.delete(NSG)
    assert (refused.status, refused.code) == (400, "InUseNetworkSecurityGroupCannotBeDeleted")
    assert APP in refused.message
    await ready(slow, await slow.put(APP, subnet()))
    assert "subnets" not in (await slow.get(NSG)).body["properties"]
    gone = await slow.delete(NSG)
    assert (gone.status, gone.headers["retry-after"]) == (202, "10")
    assert (await slow.get(NSG)).body["properties"]["provisioningState"] == "Deleting"
    assert (await slow.get(gone.headers["location"])).status == 202
    await slow.advance(11)
    assert (await slow.get(gone.headers["location"])).status == 204
    missing = await slow.get(NSG)
    assert (missing.status, missing.headers["x-ms-failure-cause"]) == (404, "gateway")
    assert (await slow.delete(NSG)).status == 204


async def test_a_group_that_is_not_there_or_elsewhere_cannot_be_referred_to(slow: Asker) -> None:
    answer = await slow.put(VNET, network(subnet(networkSecurityGroup={"id": NSG})))
    assert (answer.status, answer.code) == (400, "InvalidResourceReference")
    await ready(slow, await slow.put(NSG, {"location": "eastus"}))
    assert (await slow.put(VNET, network(subnet(networkSecurityGroup={"id": NSG})))).code == "InvalidResourceReference"


async def test_tags_are_patched_at_once_and_rules_have_no_patch(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group(rule("one"))))
    answer = await slow.patch(NSG, {"tags": {"a": "b"}})
    assert (answer.status, answer.body["tags"]) == (200, {"a": "b"})
    assert names(answer.body["properties"]["securityRules"]) == ["one"]
    assert (await slow.patch(f"{NSG}/securityRules/one", {})).status == 405


async def test_a_deleted_rule_is_on_its_way_and_then_gone(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group(rule("one"), rule("two", 200))))
    answer = await slow.delete(f"{NSG}/securityRules/one")
    assert answer.status == 202
    assert (await slow.get(f"{NSG}/securityRules/one")).body["properties"]["provisioningState"] == "Deleting"
    await slow.advance(11)
    group = (await slow.get(NSG)).body["properties"]
    assert (names(group["securityRules"]), group["provisioningState"]) == (["two"], "Succeeded")
    assert (await slow.delete(f"{NSG}/securityRules/one")).status == 204


async def test_groups_are_listed_by_group_and_by_subscription(slow: Asker) -> None:
    await slow.group("other")
    elsewhere = NSG.replace("/rg/", "/other/")
    for each in (NSG, elsewhere):
        await ready(slow, await slow.put(each, security_group()))
    assert len((await slow.get(f"{NET}/networkSecurityGroups")).body["value"]) == 1
    assert len((await slow.get(f"{OF_SUB}/networkSecurityGroups")).body["value"]) == 2


async def test_polls_ask_for_patience_and_tell_nothing_but_the_status(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group()))
    answer = await slow.put(f"{NSG}/securityRules/one", rule("one"))
    link = answer.headers["azure-asyncoperation"]
    assert "/Microsoft.Network/locations/westeurope/operations/" in link
    assert "location" not in answer.headers
    poll = await slow.get(link)
    assert (poll.body, poll.headers["retry-after"]) == ({"status": "InProgress"}, "10")
    assert (await slow.get(link[:-1])).code == "InvalidAsyncOperationSignature"


async def test_a_failed_operation_leaves_a_failed_group_that_a_put_repairs(slow: Asker) -> None:
    await slow.fault("lro_fail", match={"method": "PUT"}, code="InternalServerError", message="An error occurred.")
    answer = await slow.put(NSG, security_group())
    await slow.advance(10)
    poll = await slow.get(answer.headers["azure-asyncoperation"])
    assert (poll.status, poll.body["status"], poll.body["error"]["code"]) == (200, "Failed", "InternalServerError")
    assert (await slow.get(NSG)).body["properties"]["provisioningState"] == "Failed"
    assert (await slow.put(f"{NSG}/securityRules/one", rule("one"))).code == "ParentResourceIsInFailedState"
    await ready(slow, await slow.put(NSG, security_group()))
    assert (await slow.get(NSG)).body["properties"]["provisioningState"] == "Succeeded"


async def test_a_rule_changed_behind_the_back_shows_in_group_and_child(slow: Asker) -> None:
    await has_network(slow)
    await ready(slow, await slow.put(NSG, security_group(rule("one"))))
    etag = (await slow.get(NSG)).body["etag"]
    await mutate(slow, "PATCH", f"{NSG}/securityRules/one", {"properties": {"access": "Deny"}})
    await mutate(slow, "PUT", f"{NSG}/securityRules/portal", rule("portal", 150))
    group = (await slow.get(NSG)).body
    assert [each["properties"]["access"] for each in group["properties"]["securityRules"]] == ["Deny", "Allow"]
    assert group["etag"] != etag
    assert "systemData" not in group
    await mutate(slow, "DELETE", f"{NSG}/securityRules/one")
    assert names((await slow.get(NSG)).body["properties"]["securityRules"]) == ["portal"]


async def test_a_write_can_be_ignored_in_part_when_a_fault_asks_for_it(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group(rule("one"))))
    await slow.fault("ignore_write", match={"method": "PUT"}, paths=["properties.securityRules"])
    answer = await slow.put(NSG, security_group(rule("one"), rule("two", 200)))
    assert answer.status == 200
    await slow.advance(10)
    group = (await slow.get(NSG)).body
    assert names(group["properties"]["securityRules"]) == ["one"]
    assert group["properties"]["securityRules"][0]["etag"] == group["etag"]


async def test_a_created_group_can_be_hidden_for_a_while_and_an_answer_lost(slow: Asker) -> None:
    await slow.fault("not_found_after_create", match={"method": "PUT"}, seconds=5)
    assert (await slow.put(NSG, security_group())).status == 201
    assert (await slow.get(NSG)).status == 404
    await slow.advance(6)
    assert (await slow.get(NSG)).status == 200
    await slow.fault("applied_504", match={"method": "PUT"})
    assert (await slow.put(NSG, security_group(rule("one")))).status == 504
    assert names((await slow.get(NSG)).body["properties"]["securityRules"]) == ["one"]
