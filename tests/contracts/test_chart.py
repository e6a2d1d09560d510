"""The Helm chart as clusters get it: valid, closed, saying to the daemon what the daemon understands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from helm_python import HelmError, lint
from kubernetes_validate.utils import all_versions, major_minor

from reconciler.desired.fleet import Endpoints, load_estate
from reconciler.settings import load_settings
from tests.support.chart import (
    CHART,
    Object,
    Values,
    example_values,
    find,
    pod_of,
    render,
    render_notes,
    render_texts,
    with_values,
)

EXAMPLES = example_values()
LEAST = EXAMPLES["documents"]
EVERYTHING = EXAMPLES["git"]
OLDEST = (1, 29)
VERSIONS = [each for each in all_versions() if tuple(map(int, major_minor(each).split("."))) >= OLDEST]
# Kinds of operators: Kubernetes ships no schema of them.
_FOREIGN = ("ServiceMonitor", "PrometheusRule")


@pytest.fixture(scope="module", params=sorted(EXAMPLES))
def objects(request: pytest.FixtureRequest) -> list[Object]:
    return render(EXAMPLES[request.param])


def containers(objects: list[Object]) -> list[Object]:
    pod = pod_of(objects)
    return [*pod.get("initContainers", []), *pod["containers"]]


def daemon(objects: list[Object]) -> Object:
    (found,) = (each for each in pod_of(objects)["containers"] if each["name"] == "reconciler")
    return dict(found)


def settings_text(objects: list[Object]) -> str:
    return str(find(objects, "ConfigMap", find(objects, "Deployment")["metadata"]["name"])["data"]["reconciler.yaml"])


# -- what clusters take


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid_in_every_kubernetes_that_is_still_around(objects: list[Object], version: str) -> None:
    for each in objects:
        if each["kind"] not in _FOREIGN:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_chart_passes_its_linter(name: str) -> None:
    report = lint(CHART, EXAMPLES[name], strict=True, namespace="ai", kube_version="v1.32.0")
    assert [each for each in report["messages"] if each["severity"] > 1] == []
    assert report["errors"] == []


def test_names_and_namespaces_are_the_releases(objects: list[Object]) -> None:
    assert {each["metadata"]["namespace"] for each in objects} == {"ai"}
    keys = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(keys) == len(set(keys))


def test_a_long_name_of_a_release_still_makes_valid_names() -> None:
    objects = render(with_values(LEAST, {"fullnameOverride": "a" * 52}))
    assert max(len(each["metadata"]["name"]) for each in objects) <= 63


def test_selectors_hold_nothing_that_an_upgrade_changes(objects: list[Object]) -> None:
    selector = {"app.kubernetes.io/name": "reconciler", "app.kubernetes.io/instance": "prod"}
    deployment = find(objects, "Deployment")
    assert deployment["spec"]["selector"]["matchLabels"] == selector
    assert find(objects, "Service")["spec"]["selector"] == selector
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    for spread in pod_of(objects).get("topologySpreadConstraints", []):
        assert spread["labelSelector"]["matchLabels"] == selector


def test_a_users_labels_never_take_the_place_of_a_selectors() -> None:
    objects = render(with_values(LEAST, {"podLabels": {"app.kubernetes.io/extra": "x"}}))
    labels = find(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert (labels["app.kubernetes.io/extra"], labels["app.kubernetes.io/name"]) == ("x", "reconciler")


class _Strict(yaml.SafeLoader):
    """As an API server reads: a key that is there twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice at {node.start_mark}: {sorted(map(str, keys))}"
        return super().construct_mapping(node, deep)


# Every place where users add to what the chart itself writes, with the names that it writes.
_OVERLAID: Values = {
    "podLabels": {
        "app.kubernetes.io/name": "x",
        "app.kubernetes.io/instance": "x",
        "helm.sh/chart": "x",
        "azure.workload.identity/use": "false",
    },
    "podAnnotations": {"checksum/settings": "x", "azure.workload.identity/skip-containers": "x"},
    "serviceAccount": {
        "annotations": {"azure.workload.identity/client-id": "x", "azure.workload.identity/tenant-id": "x"}
    },
    "serviceMonitor": {"labels": {"app.kubernetes.io/name": "x"}},
    "prometheusRule": {"labels": {"app.kubernetes.io/name": "x"}},
    "dashboard": {"labels": {"app.kubernetes.io/name": "x"}},
}


def test_what_users_add_never_takes_the_place_of_what_the_chart_writes() -> None:
    written = with_values(EVERYTHING, _OVERLAID)
    for name, text in render_texts(written).items():
        assert all(isinstance(each, dict | None) for each in yaml.load_all(text, _Strict)), name
    bare, over = render(EVERYTHING), render(written)
    for one, other in zip(bare, over, strict=True):
        assert one["metadata"]["labels"].items() <= other["metadata"]["labels"].items()
        assert one["metadata"].get("annotations", {}).items() <= other["metadata"].get("annotations", {}).items()
    pods = [find(each, "Deployment")["spec"]["template"]["metadata"] for each in (bare, over)]
    for word in ("labels", "annotations"):
        assert pods[0][word].items() <= pods[1][word].items()


def test_two_releases_in_a_namespace_share_nothing() -> None:
    first, second = (render(EVERYTHING, release) for release in ("blue", "green"))
    names = [{(each["kind"], each["metadata"]["name"]) for each in objects} for objects in (first, second)]
    assert not names[0] & names[1]
    held = [yaml.safe_load(settings_text(objects)) for objects in (first, second)]
    for key in ("leaseName", "journalMap", "pauseMap"):
        assert held[0][key] != held[1][key]
    selectors = [find(objects, "Deployment")["spec"]["selector"]["matchLabels"] for objects in (first, second)]
    labels = [find(objects, "Deployment")["spec"]["template"]["metadata"]["labels"] for objects in (first, second)]
    assert not selectors[0].items() <= labels[1].items()


def test_the_longest_name_of_a_release_still_makes_valid_names() -> None:
    for each in render(EVERYTHING, "r" * 53):
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", each["metadata"]["name"])
        for value in each["metadata"]["labels"].values():
            assert len(value) <= 63


# -- what the daemon is told


def test_the_daemon_understands_the_settings_that_it_is_given(objects: list[Object], tmp_path: Path) -> None:
    config = tmp_path / "reconciler.yaml"
    config.write_text(settings_text(objects))
    settings, findings = load_settings({}, {}, str(config))
    assert [str(each) for each in findings] == []
    assert settings is not None


def test_nothing_that_kubernetes_sets_is_taken_for_a_setting(objects: list[Object]) -> None:
    """A Service named reconciler has every pod of its namespace given RECONCILER_PORT and the like."""
    assert pod_of(objects)["enableServiceLinks"] is False
    names = [each["name"] for each in daemon(objects)["env"]]
    assert len(names) == len(set(names))
    environment = {name: "x" for name in names if name.startswith("RECONCILER_") and name != "RECONCILER_CONFIG"}
    assert environment == {}


def test_the_pod_is_given_fifteen_seconds_more_than_the_daemon_takes() -> None:
    objects = render(with_values(LEAST, {"graceSeconds": 90}))
    assert yaml.safe_load(settings_text(objects))["grace"] == "90s"
    assert pod_of(objects)["terminationGracePeriodSeconds"] == 105


def test_settings_that_change_restart_the_pods_and_documents_do_not() -> None:
    def checksum(more: Values) -> tuple[str, Any]:
        template = find(render(with_values(LEAST, more)), "Deployment")["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/settings"], template["spec"]

    before = checksum({})
    assert checksum({"settings": {"parallelism": 5}})[0] != before[0]
    assert checksum({"desiredState": {"documents": {"fleet.yaml": "kind: Fleet\n"}}}) == before


def test_documents_in_folders_arrive_in_folders() -> None:
    documents = {"prod/fleet.yaml": "a: 1\n", "prod/eu/one.yaml": "b: |\n  two\n\n  lines\n"}
    objects = render({**LEAST, "desiredState": {"documents": documents}})
    data = find(objects, "ConfigMap", "prod-reconciler-documents")["data"]
    (volume,) = (each for each in pod_of(objects)["volumes"] if each["name"] == "desired")
    found = {item["path"]: data[item["key"]] for item in volume["configMap"]["items"]}
    assert found == documents


def test_documents_are_mounted_as_a_folder_that_is_kept_up_to_date(objects: list[Object]) -> None:
    mounts = [each for container in containers(objects) for each in container["volumeMounts"]]
    assert [each for each in mounts if "subPath" in each] == []


@pytest.mark.parametrize(
    ("name", "sources"),
    [
        ("documents", "/desired"),
        ("configmap", "/desired"),
        ("claim", "/desired/prod"),
        ("git", "/desired/current/prod"),
    ],
)
def test_the_daemon_reads_where_the_documents_are(name: str, sources: str) -> None:
    assert yaml.safe_load(settings_text(render(EXAMPLES[name])))["sources"] == [sources]


def test_the_example_documents_are_valid(tmp_path: Path) -> None:
    for name, text in LEAST["desiredState"]["documents"].items():
        (tmp_path / name).write_text(text)
    estate = load_estate((tmp_path,), {}, Endpoints(endpoint="", authority=""))
    assert [str(each) for each in estate.findings] == []


def test_the_notes_say_what_is_missing() -> None:
    assert "azure.clientId is not set" in render_notes(EXAMPLES["configmap"])
    assert "nobody in the cluster reaches /metrics" in render_notes(LEAST)
    assert "No alert rules were installed." in render_notes(LEAST)
    notes = render_notes(EVERYTHING)
    assert "It only observes" in notes
    assert "not set" not in notes
    assert "No alert rules" not in notes


# -- what the pod may


def test_every_container_runs_as_nobody_with_nothing(objects: list[Object]) -> None:
    pod = pod_of(objects)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in containers(objects):
        context = dict(container["securityContext"])
        assert context.pop("runAsUser", 10001) in (10001, 65533)
        assert context == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    for word in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        assert word not in pod
    assert [volume for volume in pod["volumes"] if "hostPath" in volume] == []


def test_memory_is_limited_and_cpu_is_not(objects: list[Object]) -> None:
    for container in containers(objects):
        assert "memory" in container["resources"]["limits"]
        assert "cpu" not in container["resources"]["limits"]
    assert daemon(objects)["resources"]["requests"]["memory"] == "128Mi"
    assert daemon(objects)["resources"]["limits"] == {"memory": "256Mi"}


def test_only_the_daemon_speaks_to_kubernetes(objects: list[Object]) -> None:
    assert pod_of(objects)["automountServiceAccountToken"] is False
    assert [each.get("automountServiceAccountToken") for each in objects if each["kind"] == "ServiceAccount"] in (
        [False],
        [],
    )
    holders = [
        container["name"]
        for container in containers(objects)
        if any(mount["name"] == "kubernetes" for mount in container["volumeMounts"])
    ]
    assert holders == ["reconciler"]


def test_git_sync_gets_no_token_of_azure() -> None:
    template = find(render(EVERYTHING), "Deployment")["spec"]["template"]
    skipped = template["metadata"]["annotations"]["azure.workload.identity/skip-containers"].split(";")
    others = [each["name"] for each in containers(render(EVERYTHING)) if each["name"] != "reconciler"]
    assert sorted(skipped) == sorted(others)


# By the manual of git-sync v4: https://github.com/kubernetes/git-sync
_GIT_SYNC = {
    "GITSYNC_REPO": "https://github.com/example/fleets.git",
    "GITSYNC_REF": "main",
    "GITSYNC_ROOT": "/desired",
    "GITSYNC_LINK": "current",
    "GITSYNC_DEPTH": "1",
    "GITSYNC_SUBMODULES": "off",
    "GITSYNC_PERIOD": "30s",
}
_BY_TOKEN = {"GITSYNC_USERNAME": "username", "GITSYNC_PASSWORD": "password"}
_BY_KEY = {
    "GITSYNC_SSH": "true",
    "GITSYNC_SSH_KEY_FILE": "/etc/git-secret/ssh",
    "GITSYNC_SSH_KNOWN_HOSTS_FILE": "/etc/git-secret/known_hosts",
}


@pytest.mark.parametrize("secret", ["", "token", "key"])
def test_git_sync_is_told_what_it_understands(secret: str) -> None:
    """A wrong name would be passed over in silence, and a wrong value end it."""
    git = {"repository": _GIT_SYNC["GITSYNC_REPO"], "ref": "main", "secret": secret, "ssh": secret == "key"}
    proxy = {"HTTPS_PROXY": "http://proxy:3128"}
    git |= {"env": proxy}
    state = {"source": "git", "documents": {}, "git": git}
    pod = pod_of(render(with_values({**LEAST, "desiredState": {}}, {"desiredState": state})))
    access = {"": {}, "token": _BY_TOKEN, "key": _BY_KEY}[secret]
    (once,) = pod["initContainers"]
    for container, more in (
        (once, {"GITSYNC_ONE_TIME": "true"}),
        (pod["containers"][1], {"GITSYNC_MAX_FAILURES": "-1"}),
    ):
        told = {
            each["name"]: each.get("value") or each["valueFrom"]["secretKeyRef"]["key"] for each in container["env"]
        }
        assert told == {**_GIT_SYNC, **access, **more, **proxy, "HOME": "/tmp"}


def test_the_identity_is_told_where_the_webhook_of_azure_looks_for_it() -> None:
    objects = render(EVERYTHING)
    annotations = find(objects, "ServiceAccount")["metadata"]["annotations"]
    assert annotations["azure.workload.identity/client-id"] == EVERYTHING["azure"]["clientId"]
    assert annotations["azure.workload.identity/tenant-id"] == EVERYTHING["azure"]["tenantId"]
    labels = find(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels["azure.workload.identity/use"] == "true"
    without = find(render(EXAMPLES["configmap"]), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert "azure.workload.identity/use" not in without


def test_a_digest_names_the_image_whatever_the_tag() -> None:
    digest = EVERYTHING["image"]["digest"]
    objects = render(with_values(EVERYTHING, {"image": {"tag": "9.9.9"}}))
    assert daemon(objects)["image"] == f"example.azurecr.io/reconciler@{digest}"
    assert daemon(render(LEAST))["image"] == "example.azurecr.io/reconciler:0.1.0"


def test_no_secret_is_made_or_written_down(objects: list[Object]) -> None:
    assert [each for each in objects if each["kind"] == "Secret"] == []


def test_nobody_reaches_the_pod_but_who_the_values_name() -> None:
    closed, opened = find(render(LEAST), "NetworkPolicy")["spec"], find(render(EVERYTHING), "NetworkPolicy")["spec"]
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert closed["ingress"] == []
    assert opened["ingress"] == [
        {"from": EVERYTHING["networkPolicy"]["metricsFrom"], "ports": [{"protocol": "TCP", "port": "http"}]}
    ]


def test_the_pod_reaches_names_and_https_and_what_the_values_add() -> None:
    def ports(values: Values) -> list[int]:
        spec = find(render(values), "NetworkPolicy")["spec"]
        return [port["port"] for rule in spec["egress"] for port in rule["ports"]]

    assert ports(LEAST) == [53, 53, 443]
    assert ports(EVERYTHING) == [53, 53, 443, 22, 9093]


@pytest.mark.parametrize(
    ("name", "kind"), [("networkPolicy", "NetworkPolicy"), ("podDisruptionBudget", "PodDisruptionBudget")]
)
def test_what_is_switched_off_is_not_there(name: str, kind: str) -> None:
    assert kind in [each["kind"] for each in render(LEAST)]
    assert kind not in [each["kind"] for each in render(with_values(LEAST, {name: {"enabled": False}}))]


def test_one_replica_needs_no_budget_of_disruptions() -> None:
    kinds = [each["kind"] for each in render(with_values(LEAST, {"replicas": 1}))]
    assert "PodDisruptionBudget" not in kinds


# -- what is refused

_SENTENCES: list[tuple[str, Values, str]] = [
    ("no image", {"image": {"repository": ""}}, "image.repository is empty: name the repository"),
    ("no documents", {"desiredState": {"documents": None}}, "desiredState.documents is empty: write at least one"),
    ("two sources", {"desiredState": {"source": "git"}}, "desiredState.documents would not be read"),
    ("no repository", {"desiredState": {"source": "git"}}, "name the repository in desiredState.git.repository."),
    ("no claim", {"desiredState": {"source": "claim"}}, "name the volume claim in desiredState.claim.name."),
    ("no map", {"desiredState": {"source": "configMap"}}, "name it in desiredState.configMap."),
    ("no key", {"desiredState": {"git": {"ssh": True}}}, "name the Secret with the keys ssh and known_hosts"),
    (
        "lonely tenant",
        {"azure": {"clientId": "", "tenantId": LEAST["azure"]["clientId"]}},
        "azure.tenantId is set alone",
    ),
    ("no account", {"serviceAccount": {"create": False}}, "name the service account that is there"),
    ("twice", {"env": {"A": "1"}, "secrets": [{"name": "A", "secret": "s", "key": "k"}]}, "A is set by env and by"),
    (
        "git-sync's",
        {"desiredState": {"git": {"env": {"GITSYNC_REF": "x"}}}},
        "GITSYNC_REF is set by the chart itself: remove it from desiredState.git.env.",
    ),
    ("ours", {"env": {"POD_NAME": "x"}}, "POD_NAME is set by the chart itself: remove it from env."),
    (
        "one key",
        {"desiredState": {"documents": {"a/b.yaml": "x", "a__b.yaml": "x"}}},
        "desiredState.documents: a/b.yaml and a__b.yaml have one key in a ConfigMap, a__b.yaml: rename one of the two.",
    ),
    ("no token", {"settings": {"tokenVariable": "TOKEN"}}, "settings.tokenVariable names TOKEN, which nothing sets"),
    (
        "unset",
        {"alerts": [{"sink": "webhook", "urlVariable": "HOOK"}]},
        "alerts[0].urlVariable names HOOK, which nothing",
    ),
]


@pytest.mark.parametrize(("more", "sentence"), [each[1:] for each in _SENTENCES], ids=[each[0] for each in _SENTENCES])
def test_values_that_need_each_other_are_refused_with_a_sentence(more: Values, sentence: str) -> None:
    with pytest.raises(HelmError, match=re.escape(sentence)):
        render(with_values(LEAST, more))


@pytest.mark.parametrize("release", ["1prod", "prod.eu"])
def test_a_release_of_whose_name_kubernetes_takes_no_service_is_refused_with_a_sentence(release: str) -> None:
    with pytest.raises(HelmError) as raised:
        render(LEAST, release)
    assert f"the Service would be called {release}-reconciler" in str(raised.value)
    assert {each["metadata"]["name"] for each in render(with_values(LEAST, {"fullnameOverride": "prod"}), release)} == {
        "prod",
        "prod-documents",
    }


def test_everything_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(HelmError) as raised:
        render({})
    assert "image.repository" in str(raised.value)
    assert "desiredState.documents" in str(raised.value)


_SHAPES: list[tuple[str, Values, str]] = [
    ("a misspelt value", {"replica": 2}, "'replica' not allowed"),
    ("a misspelt value below", {"desiredState": {"git": {"repo": "x"}}}, "'/desiredState/git'"),
    ("a misspelt setting", {"settings": {"paralelism": 1}}, "'paralelism' not allowed"),
    ("a setting of the chart's own", {"settings": {"interval": "10s"}}, "'interval' not allowed"),
    ("a Service with a digit in front", {"fullnameOverride": "1prod"}, "does not match pattern"),
    ("a number as a word", {"replicas": "two"}, "got string, want integer"),
    ("no replicas", {"replicas": 0}, "minimum"),
    ("a tag in the repository", {"image": {"repository": "a.azurecr.io/b:1"}}, "does not match pattern"),
    ("half a digest", {"image": {"digest": "sha256:12"}}, "does not match pattern"),
    ("no client id", {"azure": {"clientId": "mine"}}, "does not match pattern"),
    (
        "an unknown source",
        {"desiredState": {"source": "s3"}},
        "must be one of 'documents', 'configMap', 'git', 'claim'",
    ),
    ("a document that is no YAML", {"desiredState": {"documents": {"a.txt": "x"}}}, "does not match pattern"),
    ("a document outside", {"desiredState": {"documents": {"../a.yaml": "x"}}}, "does not match pattern"),
    ("an unknown sink", {"alerts": [{"sink": "mail"}]}, "must be one of 'alertmanager', 'webhook', 'events'"),
    ("a password in a URL", {"alerts": [{"sink": "webhook", "url": "https://a:b@c"}]}, "does not match pattern"),
    ("a secret in a sink", {"alerts": [{"sink": "webhook", "token": "x"}]}, "'token' not allowed"),
    ("a secret by value", {"secrets": [{"name": "A", "value": "x"}]}, "'value' not allowed"),
]


@pytest.mark.parametrize(("more", "words"), [each[1:] for each in _SHAPES], ids=[each[0] for each in _SHAPES])
def test_values_of_the_wrong_shape_are_refused_with_their_place(more: Values, words: str) -> None:
    with pytest.raises(HelmError, match=re.escape(words)):
        render(with_values(LEAST, more))


# -- what watches it


def test_the_rule_that_it_is_dead_waits_for_three_intervals() -> None:
    def patience(**values: Any) -> list[int]:
        """Seconds of silence before it is told: where no pass is made, where nobody says why, never, not there."""
        group = find(render(with_values(EVERYTHING, values)), "PrometheusRule")["spec"]["groups"][0]
        assert {each["alert"] for each in group["rules"]} == {"ReconcilerDead"}
        silent, never, absent = group["rules"]
        lasts = [int(each["for"].rstrip("s")) for each in (silent, never, absent)]
        waits = [int(wait) + int(more or 0) for wait, more in re.findall(r"> (\d\d+)(?: \+ (\d+))?", silent["expr"])]
        assert re.findall(r"\[(\d+)s\]", silent["expr"]) == [str(waits[0])]
        return [*(wait + lasts[0] for wait in waits), *lasts[1:]]

    assert patience(intervalSeconds=120) == [360, 480, 360, 360]
    assert patience(intervalSeconds=30) == [180, 300, 180, 180]
    assert patience(intervalSeconds=180) == [540, 660, 540, 540]
    assert patience(intervalSeconds=120, prometheusRule={"silenceSeconds": 1000}) == [1000, 1120, 1000, 1000]


def test_the_rule_alone_that_it_is_dead_may_be_asked_for() -> None:
    groups = find(render(EXAMPLES["claim"]), "PrometheusRule")["spec"]["groups"]
    assert [each["name"] for each in groups] == ["reconciler-alive"]


def test_the_rules_of_the_chart_are_those_of_the_plain_file() -> None:
    plain = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
    values = with_values(EVERYTHING, {"intervalSeconds": 60})
    assert find(render(values), "PrometheusRule")["spec"] == plain


def test_the_rules_name_the_place_in_the_runbook_where_there_is_one() -> None:
    values = with_values(EVERYTHING, {"settings": {"runbookUrl": "https://wiki.example.com/reconciler/"}})
    rules = [each for group in find(render(values), "PrometheusRule")["spec"]["groups"] for each in group["rules"]]
    pages = {each["alert"]: each["annotations"]["runbook_url"] for each in rules}
    assert pages["ReconcilerDead"] == "https://wiki.example.com/reconciler#reconcilerdead"
    assert {page.partition("#")[2] for page in pages.values()} == {name.lower() for name in pages}


def test_only_the_silence_of_the_dead_is_written_so() -> None:
    """The chart puts its own in its place, wherever it stands."""
    text = (CHART / "files" / "rules.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = re.findall(r"> 120|\[120s\]|for: 60s|for: 180s", "\n".join(lines))
    assert found == ["> 120", "[120s]", "> 120", "for: 60s", "for: 180s", "for: 180s"]


def test_the_dashboard_arrives_as_it_is_in_the_file() -> None:
    data = find(render(EVERYTHING), "ConfigMap", "prod-reconciler-dashboard")["data"]
    assert json.loads(data["reconciler.json"]) == json.loads((CHART / "files" / "dashboard.json").read_text())


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    panels = json.loads((CHART / "files" / "dashboard.json").read_text())["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
