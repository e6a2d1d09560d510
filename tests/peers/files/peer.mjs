// What a JavaScript client does with accounts, deployments, soft delete and usages.
// All it is told comes from the environment file of the simulation.
import assert from "node:assert/strict";
import { CognitiveServicesManagementClient } from "@azure/arm-cognitiveservices";
import { ClientSecretCredential } from "@azure/identity";

const env = process.env;
const credential = new ClientSecretCredential(env.AZURE_TENANT_ID, env.AZURE_CLIENT_ID, env.AZURE_CLIENT_SECRET, {
  authorityHost: env.AZURE_AUTHORITY_HOST,
  disableInstanceDiscovery: true,
});
const client = new CognitiveServicesManagementClient(credential, env.AZURE_SUBSCRIPTION_ID, {
  endpoint: env.ARM_ENDPOINT,
});
const group = "rg-javascript";
const name = "oai-javascript";
const location = "swedencentral";
const quick = { updateIntervalInMs: 200 };
let checks = 0;

function check(actual, expected, what) {
  assert.deepEqual(actual, expected, what);
  checks += 1;
}

async function all(pages) {
  const found = [];
  for await (const each of pages) found.push(each);
  return found;
}

// The SDK has no resource groups: the same token, one plain request.
const { token } = await credential.getToken("https://management.azure.com/.default");
const made = await fetch(
  `${env.ARM_ENDPOINT}/subscriptions/${env.AZURE_SUBSCRIPTION_ID}/resourcegroups/${group}?api-version=2022-09-01`,
  {
    method: "PUT",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ location }),
  },
);
check(made.status, 201, "the group is created");

const account = await client.accounts.beginCreateAndWait(
  group,
  name,
  { kind: "OpenAI", sku: { name: "S0" }, location, properties: { customSubDomainName: name } },
  quick,
);
check(account.properties.provisioningState, "Succeeded", "the account is created");
const updated = await client.accounts.beginUpdateAndWait(
  group,
  name,
  { properties: { networkAcls: { defaultAction: "Deny", ipRules: [{ value: "198.51.100.7" }] } } },
  quick,
);
check(updated.properties.networkAcls.defaultAction, "Deny", "the firewall is closed");
const deployment = await client.deployments.beginCreateOrUpdateAndWait(
  group,
  name,
  "chat",
  {
    sku: { name: "GlobalStandard", capacity: 10 },
    properties: { model: { format: "OpenAI", name: "gpt-4o", version: "2024-11-20" } },
  },
  quick,
);
check(deployment.sku.capacity, 10, "the deployment is created");
check((await all(client.deployments.list(group, name))).map((each) => each.name), ["chat"], "it is listed");
const usages = await all(client.usages.list(location));
check(
  usages.find((each) => each.name.value === "OpenAI.GlobalStandard.gpt-4o").currentValue,
  10,
  "usages count it",
);
check((await all(client.models.list(location))).length > 20, true, "models are listed");
await client.deployments.beginDeleteAndWait(group, name, "chat", quick);
await client.accounts.beginDeleteAndWait(group, name, quick);
check((await all(client.deletedAccounts.list())).map((each) => each.name), [name], "the account is soft-deleted");
await client.deletedAccounts.beginPurgeAndWait(location, group, name, quick);
check((await all(client.deletedAccounts.list())).length, 0, "it is purged");
await assert.rejects(client.accounts.get(group, name), { statusCode: 404 });
checks += 1;
console.log(JSON.stringify({ checks }));
