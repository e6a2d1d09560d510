"""`load_estate`: source, template, schema, graph, in that order; out come fleets and everything wrong with the tree.

Promises: the same documents give the same estate whatever file they stand in. A broken document is named in its fleet
and wanted by nobody; it spoils only what needs it. Reads files through `source` and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.desired.completion import agree
from reconciler.desired.graph import Conflict, Connected, Member, connect, find_conflicts
from reconciler.desired.schema import FLEET, SPECS, Reading, read_document, suggest
from reconciler.desired.source import RawDocument, SourceFile, read_sources
from reconciler.desired.template import fill
from reconciler.kinds import (
    account,
    deployment,
    endpoint,
    network_security_group,
    private_dns_zone,
    quota_tier,
    rai_policy,
    subnet,
    virtual_network,
)
from reconciler.kinds.addresses import fold_prefix, read_network
from reconciler.kinds.base import Expansion, Kind, Setting, declare
from reconciler.kinds.catalog import kind_named
from reconciler.kinds.common import UNKNOWN, near
from reconciler.kinds.fleet import (
    CapSpec,
    CloudSpec,
    CredentialSpec,
    FleetSpec,
    MaintenanceSpec,
    PruneSpec,
    PurgeSpec,
)
from reconciler.kinds.quota_tier import tier_of
from reconciler.kinds.scalars import SUBNET_TYPE, read_seconds
from reconciler.kinds.subnet_rules import find_subnet
from reconciler.model.finding import Finding, Origin, Severity
from reconciler.model.ids import GROUP_TYPE, ArmId, Ref
from reconciler.model.lifecycle import Lifecycle, ManagePolicy
from reconciler.model.pause import Maintenance, Window
from reconciler.model.resource import (
    Cap,
    CloudTarget,
    Desired,
    Estate,
    Fleet,
    FleetPolicy,
    Protected,
    PurgePolicy,
    PurgeWhen,
    SoftDeleted,
)
from reconciler.model.wish import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where a cloud is. As an argument to `load_estate` it stands in for whatever cloud a Fleet names."""

    endpoint: str
    authority: str
    audience: str = ""


CLOUDS: Mapping[str, Endpoints] = {
    "public": Endpoints(endpoint="https://management.azure.com", authority="https://login.microsoftonline.com"),
    "usgovernment": Endpoints(
        endpoint="https://management.usgovcloudapi.net", authority="https://login.microsoftonline.us"
    ),
    "china": Endpoints(endpoint="https://management.chinacloudapi.cn", authority="https://login.chinacloudapi.cn"),
}


def load_estate(sources: Iterable[Path], environment: Mapping[str, str], endpoints: Endpoints | None = None) -> Estate:
    """Everything the sources declare. `endpoints` overrides the cloud of every fleet, as a simulation needs."""
    files = read_sources(sources)
    raws = [raw for file in files for raw in file.documents if not _is_foreign(raw)]
    readings = [read_document(fill(raw, environment)) for raw in raws]
    domains, findings = _divide(files, readings)
    for domain in domains:
        domain.members = _members(domain)
    _want_tiers(domains)
    conflicts = find_conflicts(member for domain in domains for member in domain.members)
    fleets: list[Fleet] = []
    for domain in domains:
        connected = _connect(domain, conflicts)
        findings += [*domain.findings, *connected.findings]
        if domain.spec is not None:
            fleets.append(_assemble(domain, connected, _target(domain.spec, environment, endpoints)))
    findings += [finding for reading in readings for finding in reading.findings]
    findings += [conflict.finding for conflict in conflicts]
    return Estate(fleets=tuple(sorted(fleets, key=lambda fleet: fleet.name)), findings=_in_order(findings))


def _is_foreign(raw: RawDocument) -> bool:
    """A kustomization lives among documents without being one."""
    version = raw.content.get("apiVersion") if isinstance(raw.content, dict) else None
    return isinstance(version, str) and version.startswith("kustomize.config.k8s.io/")


@dataclass(slots=True, kw_only=True)
class _Domain:
    """A Fleet and what it governs, while it is being put together. `spec` is None while the Fleet itself is wrong."""

    directory: Path
    name: str
    origin: Origin
    spec: FleetSpec | None
    head: Reading | None = None
    protected: tuple[Protected, ...] = ()
    tier: Desired | None = None
    readings: list[Reading] = field(default_factory=list)
    files: list[SourceFile] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    aside: dict[Ref, tuple[Finding, ...]] = field(default_factory=dict)


def _divide(files: Sequence[SourceFile], readings: Sequence[Reading]) -> tuple[list[_Domain], list[Finding]]:
    """Give every document and every file to the nearest Fleet at or above its directory."""
    domains = _found_all(readings)
    _check_names(list(domains.values()))
    lost = _assume_all(domains, files, readings)
    domains |= lost
    stray: list[Finding] = []
    for reading in readings:
        home = _govern(domains, reading.raw.directory)
        if home is not None and reading.kind != FLEET:
            home.readings.append(reading)
        elif home is None and domains:
            stray.append(_say_ungoverned(reading))
    for file in files:
        home = _govern(domains, file.directory)
        (stray if home is None else home.findings).extend(file.findings)
        if home is not None and file.findings:
            home.files.append(file)
    _taint(domains, lost)
    if not domains and not any(finding.severity is Severity.ERROR for finding in stray):
        stray.append(_say_no_fleet(files))
    return [domains[each] for each in sorted(domains)], stray


def _found_all(readings: Sequence[Reading]) -> dict[Path, _Domain]:
    heads: dict[Path, list[Reading]] = {}
    for reading in readings:
        if reading.kind == FLEET:
            heads.setdefault(reading.raw.directory, []).append(reading)
    return {directory: _found(directory, fleets) for directory, fleets in heads.items()}


def _assume_all(
    domains: Mapping[Path, _Domain], files: Sequence[SourceFile], readings: Sequence[Reading]
) -> dict[Path, _Domain]:
    """Directories whose own Fleet may be what could not be read: nothing there may fall to the Fleet above."""
    places = [(file.directory, file.name) for file in files if file.hides_fleet]
    places += [(each.raw.directory, each.raw.file) for each in readings if _resembles_fleet(each)]
    return {
        directory: _Domain(directory=directory, name="", origin=Origin(file=name, line=1, column=1), spec=None)
        for directory, name in places
        if directory not in domains
    }


def _resembles_fleet(reading: Reading) -> bool:
    """A Fleet whose kind is missing or misspelt."""
    if reading.kind in SPECS:
        return False
    content = reading.raw.content
    spec = content.get("spec") if isinstance(content, dict) else None
    return suggest(reading.kind, [FLEET]) != "" or (isinstance(spec, dict) and "subscription" in spec)


def _taint(domains: Mapping[Path, _Domain], lost: Mapping[Path, _Domain]) -> None:
    """If there was no Fleet after all, the documents set aside are those of a Fleet above: that is incomplete too."""
    for directory, domain in lost.items():
        finding = Finding(
            code="set_aside",
            message=f"the documents beside and below {domain.origin.file} are set aside: it may hold their Fleet",
            hint="put that file right",
            origin=domain.origin,
        )
        if domain.readings:
            domain.findings = [_say_set_aside(each, domain.origin.file) for each in domain.findings]
        for above in directory.parents:
            if above in domains:
                domains[above].aside[Ref(kind="directory", name=str(directory))] = (finding,)


def _say_set_aside(finding: Finding, file: str) -> Finding:
    if not finding.origin or finding.origin.file != file:
        return finding
    cost = "until then nothing beside or below it is looked after, for it may hold their Fleet"
    return replace(finding, hint=f"{finding.hint}; {cost}")


def _govern(domains: Mapping[Path, _Domain], directory: Path) -> _Domain | None:
    return next((domains[each] for each in (directory, *directory.parents) if each in domains), None)


def _found(directory: Path, fleets: Sequence[Reading]) -> _Domain:
    first = min(fleets, key=lambda each: each.raw.origin)
    name = first.ref.name if first.ref else ""
    domain = _Domain(directory=directory, name=name, origin=first.raw.origin, spec=None, head=first)
    for again in fleets:
        if again is first:
            continue
        finding = Finding(
            code="two_fleets",
            message="a second Fleet in one directory",
            hint=f"move it and its documents to a directory of their own; the other one is at {first.raw.origin}",
            origin=again.raw.key(("kind",)),
        )
        domain.findings.append(finding)
    if len(fleets) == 1 and first.typed is not None:
        spec = first.spec()
        assert isinstance(spec, FleetSpec)
        domain.spec = spec
    return domain


def _check_names(domains: Sequence[_Domain]) -> None:
    """A fleet's name marks what it owns, so two fleets of one name would fight."""
    seen: dict[str, _Domain] = {}
    for domain in sorted(domains, key=lambda each: each.origin):
        if not domain.name:
            continue
        if not _NAME.fullmatch(domain.name):
            domain.findings.append(
                Finding(
                    code="fleet_name",
                    message=f"a Fleet cannot be called {domain.name!r}",
                    hint="it becomes a tag: use up to 63 letters, digits, dots, dashes, underscores",
                    origin=domain.origin,
                )
            )
            domain.spec = None
        first = seen.setdefault(domain.name.lower(), domain)
        if first is not domain:
            domain.findings.append(
                Finding(
                    code="duplicate_fleet",
                    message=f"a second Fleet is called {domain.name}",
                    hint=f"the other one is at {first.origin}; the name marks what a fleet owns, so rename one",
                    origin=domain.origin,
                )
            )
            domain.spec = first.spec = None


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def _say_ungoverned(reading: Reading) -> Finding:
    return Finding(
        code="no_fleet",
        message=f"no Fleet governs {reading.ref or 'this document'}",
        hint="add a `kind: Fleet` document to its directory or one above",
        origin=reading.raw.origin,
    )


def _say_no_fleet(files: Sequence[SourceFile]) -> Finding:
    return Finding(
        code="nothing_declared",
        message="there is no Fleet in the desired state",
        hint="add a document of `kind: Fleet`; it says which subscription the others are for",
        origin=Origin(file=files[0].name, line=1, column=1) if files else None,
    )


def _members(domain: _Domain) -> list[Member]:
    """Expand what validated. Below a broken Fleet the documents are still checked, against defaults nobody will use."""
    spec = domain.spec
    # Part of ids that are taken apart again, so without a slash.
    unknown = " ".join((UNKNOWN, *domain.directory.parts[1:]))
    setting = Setting(
        fleet=domain.name,
        subscription=spec.subscription if spec else unknown,
        group=(spec.resource_group or "") if spec else unknown,
        location=(spec.location or "") if spec else unknown,
        tags=(spec.tags or {}) if spec else {},
        moved={each.ref: each.moved for each in domain.readings if each.ref and each.moved},
        adopts_all=spec is not None and spec.adoption == "all",
    )
    setting = replace(setting, places=dict(_places(domain.readings, setting)))
    named = [reading for reading in domain.readings if reading.ref is not None]
    scanty = [_expand(reading, setting, ample=False) for reading in named]
    pairs = zip(named, scanty, strict=True)
    ample = [_expand(reading, setting, ample=True) if reading.completions else same for reading, same in pairs]
    worlds = [_World.of(way) for way in (scanty, ample)]
    _protect(domain, setting, [each.desired for each in worlds])
    return [_member(domain, *each, worlds) for each in zip(named, scanty, ample, strict=True)]


@dataclass(frozen=True, slots=True)
class _World:
    """Everything that the documents of a fleet stand for, completed in one way or the other."""

    desired: Mapping[ArmId, Desired]
    wishes: tuple[Wish, ...]

    @classmethod
    def of(cls, expansions: Iterable[Expansion]) -> _World:
        each = tuple(expansions)
        return cls(
            desired={wanted.id: wanted for one in each for wanted in one.desired},
            wishes=tuple(wish for one in each for wish in one.wishes),
        )

    def relate(self, kind: Kind | None, own: Expansion) -> tuple[Finding, ...]:
        """What is wrong between a document and all others."""
        if kind is None:
            return ()
        return (
            *(kind.relate(own.desired, self.desired) if own.desired else ()),
            *(kind.relate_wishes(own.wishes, self.desired, self.wishes) if own.wishes else ()),
        )


def _expand(reading: Reading, setting: Setting, *, ample: bool) -> Expansion:
    """What a document stands for, as it is written or completed in one way or the other."""
    kind, document = kind_named(reading.kind), reading.completed(ample)
    if kind is None or document is None:
        return Expansion()
    expansion = kind.expand(document, setting)
    if ample and reading.nameless:
        # What has lost its name may be what others look for, in this document or from outside.
        return Expansion(findings=tuple(each for each in expansion.findings if each.code != "dangling"))
    return expansion


def _member(domain: _Domain, reading: Reading, scanty: Expansion, ample: Expansion, worlds: Sequence[_World]) -> Member:
    """A document with what it stands for, and with what is wrong with it by itself and beside the others."""
    assert reading.ref is not None
    kind = kind_named(reading.kind)
    ways = [(*each.findings, *world.relate(kind, each)) for each, world in zip((scanty, ample), worlds, strict=True)]
    findings = agree(*ways)
    domain.findings += findings
    return Member(
        fleet=domain.name or str(domain.directory),
        ref=reading.ref,
        origin=reading.raw.origin,
        name_origin=reading.raw.place(("metadata", "name")),
        expansion=scanty,
        ample=ample if reading.completions else None,
        moved=reading.moved,
        moved_origin=reading.raw.place(("lifecycle", "moved")),
        findings=(*reading.findings, *findings),
    )


def _protect(domain: _Domain, setting: Setting, worlds: Sequence[Mapping[ArmId, Desired]]) -> None:
    """Find who must never be cut off. A Fleet that names somebody who is not there governs nothing until it is mended:
    a guard that looks the wrong way is worse than none."""
    head = domain.head.completed(ample=False) if domain.head else None
    if head is None or not isinstance(head.spec, FleetSpec):
        return
    for at, word in enumerate(head.spec.never_cut_off or ()):
        place = head.place(("neverCutOff", at))
        party = find_subnet(word, setting) if read_network(word) is None else None
        if read_network(word) is not None:
            domain.protected = (*domain.protected, Protected(word=word, prefix=fold_prefix(word), origin=place))
        elif party is None or all(party.parent in wanted and party not in wanted for wanted in worlds):
            domain.findings.append(
                Finding(
                    code="dangling",
                    message=f"neverCutOff names {word}, which no VirtualNetwork document declares",
                    hint=_near_subnet(word, worlds[0]) or "declare the subnet, or write its ARM id",
                    origin=place,
                )
            )
            domain.spec = None
        else:
            domain.protected = (*domain.protected, Protected(word=word, subnet=party, origin=place))


def _near_subnet(word: str, wanted: Iterable[ArmId]) -> str:
    """`did you mean X?`, or nothing where no network, or none of its subnets, is near."""
    network = word.partition("/")[0]
    subnets = [(id.parent.name, id.name) for id in wanted if id.parent and id.type == SUBNET_TYPE]
    networks = {each.lower() for each, _ in subnets}
    if network.lower() in networks:
        return near(word, [f"{each}/{one}" for each, one in subnets if each.lower() == network.lower()])
    close = {each for each in networks if near(network, [each], cutoff=0.75)}
    return near(word, [f"{each}/{one}" for each, one in subnets if each.lower() in close], cutoff=0.75)


def _want_tiers(domains: Sequence[_Domain]) -> None:
    """What each Fleet wants of the one quota tier of its subscription. Where some contradict each other it is left as
    it is: nobody can tell which of them was meant."""
    wanting: dict[str, list[_Domain]] = {}
    for domain in sorted(domains, key=lambda each: each.origin):
        domain.tier = _tier(domain)
        if domain.tier is not None:
            wanting.setdefault(domain.tier.id.key, []).append(domain)
    for first, *others in wanting.values():
        assert first.tier is not None
        contradictions = [_contradict(each, first) for each in others if each.tier and not _same_tier(each, first)]
        for each in (first, *others) if contradictions else ():
            each.tier = None
            each.findings += contradictions
            each.aside[Ref(kind=FLEET, name=each.name)] = tuple(contradictions)


def _tier(domain: _Domain) -> Desired | None:
    spec, head = domain.spec, domain.head
    if spec is None or spec.quota is None or head is None:
        return None
    id, place = tier_of(spec.subscription), head.document().place(("quota", "tierUpgrade"))
    return Desired(
        id=id,
        ref=Ref(kind=FLEET, name=f"{domain.name}/quotaTiers/{id.name}"),
        fields=declare(quota_tier.TYPE, {"tierUpgradePolicy": spec.quota.tier_upgrade}),
        lifecycle=Lifecycle(policy=ManagePolicy(spec.quota.policy)),
        origin=place,
        origins={"tierUpgradePolicy": place},
    )


def _same_tier(one: _Domain, other: _Domain) -> bool:
    return bool(one.tier and other.tier and one.tier.fields == other.tier.fields)


def _contradict(domain: _Domain, first: _Domain) -> Finding:
    assert domain.tier is not None
    assert first.tier is not None
    here, there = (each.fields["tierUpgradePolicy"] for each in (domain.tier, first.tier))
    return Finding(
        code="two_tiers",
        message=f"quota.tierUpgrade is {here}, and {there} in Fleet {first.name} of the same subscription",
        hint=f"the other one is at {first.tier.origin}; a subscription has one tier, so say the same, or say it once",
        origin=domain.tier.origin,
    )


def _places(readings: Iterable[Reading], setting: Setting) -> Iterator[tuple[Ref, ArmId]]:
    """Where each document's resource is, as far as even a broken document says it."""
    for reading in readings:
        kind = kind_named(reading.kind)
        if kind is None or not kind.types or reading.ref is None:
            continue
        name = setting.name_of(reading.ref)
        arm_type = kind.types[0].arm_type
        if arm_type == GROUP_TYPE:
            yield reading.ref, ArmId(subscription=setting.subscription, group=name)
            continue
        home = Ref(kind="ResourceGroup", name=_said_group(reading) or setting.group)
        group = ArmId(subscription=setting.subscription, group=setting.name_of(home))
        yield reading.ref, group.resource(arm_type, name)


def _said_group(reading: Reading) -> str:
    content = reading.raw.content
    spec = content.get("spec") if isinstance(content, dict) else None
    group = spec.get("resourceGroup") if isinstance(spec, dict) else None
    return group if isinstance(group, str) and "/" not in group else ""


def _connect(domain: _Domain, conflicts: Sequence[Conflict]) -> _Connection:
    """Collect what is broken in a fleet, by document, and what is left when all that needs it is gone too."""
    about: dict[int, list[Finding]] = {id(each): _errors(each.findings) for each in domain.members}
    for conflict in conflicts:
        for member in conflict.members:
            if id(member) in about:
                about[id(member)].append(conflict.finding)
    lost = [each for each in domain.members if about[id(each)]]
    connected = connect(domain.members, lost)
    broken: dict[Ref, tuple[Finding, ...]] = {**connected.fallen, **domain.aside}
    for each in lost:
        broken[each.ref] = (*broken.get(each.ref, ()), *about[id(each)])
    for reading in domain.readings:
        if reading.ref is None:
            where = Ref(kind=reading.kind or "document", name=f"{reading.raw.file}:{reading.raw.origin.line}")
            broken[where] = reading.findings
    for file in domain.files:
        errors = _errors(file.findings)
        if errors:
            broken[Ref(kind="file", name=file.name)] = tuple(errors)
    return _Connection(connected=connected, broken={ref: broken[ref] for ref in sorted(broken)})


def _errors(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.ERROR]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connection:
    connected: Connected
    broken: Mapping[Ref, tuple[Finding, ...]]

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.connected.findings


def _assemble(domain: _Domain, connection: _Connection, target: CloudTarget) -> Fleet:
    assert domain.spec is not None
    about = [finding for findings in connection.broken.values() for finding in findings]
    tier = {domain.tier.id: domain.tier} if domain.tier else {}
    return Fleet(
        name=domain.name,
        subscription=domain.spec.subscription,
        target=target,
        desired={**tier, **connection.connected.desired},
        wishes=connection.connected.wishes,
        policy=replace(_policy(domain.spec), never_cut_off=domain.protected),
        broken=connection.broken,
        findings=_in_order([*about, *connection.findings]),
        origin=domain.origin,
    )


def _policy(spec: FleetSpec) -> FleetPolicy:
    prune = spec.prune or PruneSpec()
    limits = spec.limits
    types = (
        (prune.accounts, account.TYPE),
        (prune.deployments, deployment.TYPE),
        (prune.rai_policies, rai_policy.TYPE),
        (prune.network_security_groups, network_security_group.TYPE),
        (prune.virtual_networks, virtual_network.TYPE),
        (prune.subnets, subnet.TYPE),
        (prune.private_endpoints, endpoint.TYPE),
        (prune.private_dns_zones, private_dns_zone.TYPE),
        (prune.virtual_network_links, private_dns_zone.LINK),
    )
    careful = FleetPolicy()
    return FleetPolicy(
        adopt_all=spec.adoption == "all",
        prune=frozenset(type_.arm_type.lower() for wanted, type_ in types if wanted),
        allow=frozenset(spec.allow or ()),
        allow_empty=spec.allow_empty,
        soft_deleted=SoftDeleted(spec.soft_deleted),
        purge=_purge(spec.purge),
        deletes=_cap(limits.deletes if limits else None, careful.deletes),
        changes=_cap(limits.changes if limits else None, careful.changes),
        maintenance=_maintenance(spec.maintenance) if spec.maintenance else None,
    )


def _maintenance(spec: MaintenanceSpec) -> Maintenance:
    allow, deny = (
        tuple(Window(start=each.start, seconds=read_seconds(each.duration)) for each in windows or ())
        for windows in (spec.allow, spec.deny)
    )
    return Maintenance(zone=spec.time_zone, allow=allow, deny=deny)


def _purge(written: str | PurgeSpec | None) -> PurgePolicy:
    if not isinstance(written, PurgeSpec):
        return PurgePolicy(when=PurgeWhen(written or "never"))
    return PurgePolicy(
        when=PurgeWhen(written.policy),
        names=tuple(name.lower() for name in written.names or ()),
        minimum_age=read_seconds(written.minimum_age),
        most=written.most,
    )


def _cap(written: CapSpec | None, careful: Cap) -> Cap:
    return careful if written is None else Cap(count=written.count, percent=written.percent)


def _target(spec: FleetSpec, environment: Mapping[str, str], override: Endpoints | None) -> CloudTarget:
    """Where the fleet's Azure is and who we are there; the usual AZURE_ variables fill what is not written."""
    credential = spec.credential or CredentialSpec()
    cloud = override or _endpoints(spec.cloud)
    return CloudTarget(
        endpoint=cloud.endpoint.rstrip("/"),
        authority=cloud.authority.rstrip("/"),
        audience=cloud.audience or cloud.endpoint.rstrip("/"),
        credential=credential.type,
        tenant=spec.tenant or environment.get("AZURE_TENANT_ID", ""),
        client_id=credential.client_id or environment.get("AZURE_CLIENT_ID", ""),
        secret_variable=credential.secret_variable or "AZURE_CLIENT_SECRET",
        token_file=credential.token_file or environment.get("AZURE_FEDERATED_TOKEN_FILE", ""),
    )


def _endpoints(cloud: str | CloudSpec | None) -> Endpoints:
    if isinstance(cloud, CloudSpec):
        return Endpoints(endpoint=cloud.endpoint, authority=cloud.authority, audience=cloud.audience or "")
    return CLOUDS[cloud or "public"]


def _in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each finding once, as a reader meets them going through the files."""
    nowhere = Origin(file="", line=0, column=0)
    return tuple(sorted(dict.fromkeys(findings), key=lambda each: (each.origin or nowhere, each.code, each.message)))
