"""Report: whom a change lets in and whom it stops, and what to read before agreeing to it. Pure; knows nothing of how
reach is found, only how it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses, summarize_address_range
from typing import Final

from reconciler.kinds.scalars import PRIVATE_ENDPOINT_TYPE, SECURITY_GROUP_TYPE, SUBNET_TYPE
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, Decision, FieldChange, Plan, Risk
from reconciler.model.reach import ANYBODY, EVERYBODY, Way
from reconciler.model.text import plain
from reconciler.report.words import count, join_words, name_of, shorten

TRUSTED: Final = "trusted services"
_WIDE: Final = (EVERYBODY, ANYBODY, f"{ANYBODY} behind it", "Internet")
_GUARDS: Final = (SECURITY_GROUP_TYPE.lower(), SUBNET_TYPE.lower())  # they stand before more than accounts
# New, they stand before nothing that was reachable, or lead where no more than their document says get: whoever gets
# through to an account by them is told as a way.
_PASSIVE: Final = (*_GUARDS, PRIVATE_ENDPOINT_TYPE.lower())
_ALL: Final = "any IPv4 address"
_BUT: Final = "everybody but "
_PRIVATE: Final = "private endpoint "
_OPEN_NOW: Final = "open to the world now"
_MOST: Final = 2**31  # addresses; of more than these it is shorter to say who is left out
_SHOWN_LEFT_OUT: Final = 3
_SHOWN_SOURCES: Final = 3
_SHOWN_FIELDS: Final = 4
_SHOWN_NAMES: Final = 3

_DANGERS: Final[Mapping[Risk, str]] = {
    Risk.CUTS: "loses capacity that may be in use",
    Risk.SPENDS: "starts to cost money by the hour",
    Risk.DESTROYS: "is destroyed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Ways that differ in nothing but who comes."""

    target: ArmId
    path: str
    ports: str
    sources: tuple[str, ...]


def join_ways(ways: Iterable[Way]) -> tuple[Passage, ...]:
    """The ways with those together that differ only in their source; what is open to all comes first."""
    sources: dict[tuple[ArmId, str, str], list[str]] = {}
    for way in sorted(ways, key=lambda each: each.key):
        known = sources.setdefault((way.target, way.path, way.ports), [])
        if way.source not in known:
            known.append(way.source)
    passages = [
        Passage(target=target, path=path, ports=ports, sources=sum_up(known))
        for (target, path, ports), known in sources.items()
    ]
    return tuple(sorted(passages, key=lambda each: not is_wide(each.sources[0])))


def is_wide(source: str) -> bool:
    """Whether that is everybody, or as good as."""
    return source in _WIDE or source.startswith((_ALL, _BUT))


def sum_up(sources: Iterable[str]) -> tuple[str, ...]:
    """The sources, the widest first. Where they are most of all addresses it is told who is not among them, be it that
    they stay out or have the way already: nobody sees that a few dozen networks leave out next to nothing."""
    listed = [*sources]
    networks = {source: network for source in listed if (network := _read_network(source))}
    whole = [*collapse_addresses(networks.values())]
    if sum(network.num_addresses for network in whole) > _MOST:
        rest = [*_left_out(whole)]
        but = list_some((str(network).removesuffix("/32") for network in rest), _SHOWN_LEFT_OUT)
        # The Internet is among them, unless it is some of the Internet that is not.
        within = {"Internet"} if all(network.is_private for network in rest) else set()
        listed = [
            *(source for source in listed if source not in networks and source not in within),
            _BUT + but if rest else _ALL,
        ]
    return tuple(sorted(listed, key=lambda source: not is_wide(source)))


def _read_network(source: str) -> IPv4Network | None:
    try:
        return IPv4Network(source)
    except ValueError:
        return None


def _left_out(networks: Iterable[IPv4Network]) -> Iterator[IPv4Network]:
    """What of all addresses is in none of `networks`, which are sorted and do not overlap."""
    following = 0
    for network in networks:
        first = int(network.network_address)
        if first > following:
            yield from summarize_address_range(IPv4Address(following), IPv4Address(first - 1))
        following = first + network.num_addresses
    if following < 2**32:
        yield from summarize_address_range(IPv4Address(following), IPv4Address(2**32 - 1))


def tell_passage(passage: Passage, most: int = 0) -> str:
    """`Account/aoai-a to 203.0.113.0/24 on port 443 by public endpoint`; of more than `most` sources the first ones."""
    return f"{shorten(passage.target)} to {tell_who(passage, most)} {tell_how(passage.ports, passage.path)}"


def tell_who(passage: Passage, most: int = 0) -> str:
    """`a, b and 7 more`; everybody but some comes last, so that nobody else is taken for one of those."""
    but = next((plain(each) for each in passage.sources if each.startswith(_BUT)), "")
    others = list_some((plain(each) for each in passage.sources if not each.startswith(_BUT)), most)
    return f"{others}, and {but}" if others and but else others or but


def tell_how(ports: str, path: str) -> str:
    """`on port 443 by private endpoint pe-swc`."""
    # Trusted services are a path of their own, and its name says only again who they are.
    by = "" if path == TRUSTED else f" by {plain(path)}"
    return f"on {tell_ports(ports)}{by}"


def tell_ports(ports: str) -> str:
    """`port 443`, `ports 80, 443`, `any port`."""
    if ports == "any":
        return "any port"
    return f"port {plain(ports)}" if ports.isdigit() else f"ports {plain(ports)}"


def list_some(words: Iterable[str], most: int) -> str:
    """`a and b`, or `a, b and 7 more`; all of them if `most` is 0."""
    listed = [*words]
    if most and len(listed) > most:
        listed = [*listed[:most], f"{len(listed) - most} more"]
    return join_words(listed) if listed else ""


def opens(decision: Decision) -> bool:
    """Whether doing it lets more through, to an account or to anything else. That Azure's own services reach a new
    account, as they do nearly every one, does not count."""
    reached = decision.opened and not _is_born_closed(decision)
    return decision.acts and bool(reached or _opens_by_fields(decision))


def _opens_by_fields(decision: Decision) -> bool:
    passive = decision.action is Action.CREATE and decision.id.type.lower() in _PASSIVE
    return not passive and (decision.risk is Risk.OPENS or any(change.opens for change in decision.changes))


def opens_wide(decision: Decision) -> bool:
    """Whether everybody, or as good as, is among those it lets in."""
    return any(is_wide(way.source) for way in decision.opened)


def closes(decision: Decision) -> bool:
    """Whether doing it lets less through. What a new resource never allowed is not closed by it."""
    flagged = decision.action is not Action.CREATE and any(change.closes for change in decision.changes)
    return decision.acts and bool(decision.closed or flagged)


def tell_unreached(decision: Decision) -> str:
    """What to think of a change that opens by its fields and gives nobody a new way to an account; "" for any other."""
    if not opens(decision) or decision.opened:
        return ""
    if decision.id.type.lower() in _GUARDS:
        return "no account by itself, but perhaps whatever else is behind it"
    return "no account to anybody new that can be told here; see what is marked (opens)"


def tell_exposure(plans: Iterable[Plan]) -> tuple[str, str]:
    """How many changes open something and how many close something, with their names; "" for none."""
    decisions = [decision for plan in plans for decision in plan.decisions]
    opening, closing = ([each for each in decisions if does(each)] for does in (opens, closes))
    return _tell_names(opening, "opens", "open"), _tell_names(closing, "closes", "close")


def _tell_names(decisions: list[Decision], singular: str, plural: str) -> str:
    if not decisions:
        return ""
    # Who gives somebody a way to an account is named first.
    decisions.sort(key=lambda each: not each.opened)
    names = list_some((name_of(each) for each in decisions), _SHOWN_NAMES)
    return f"{count(len(decisions), 'change')} {singular if len(decisions) == 1 else plural} something: {names}"


def list_dangers(decisions: Iterable[Decision]) -> tuple[tuple[Decision, str], ...]:
    """What to read before agreeing to all of it: first what the world can reach at this moment, then what is destroyed,
    then what lets everybody in."""
    told = [(each, name, sentence) for each in decisions for name, sentence in _dangers(each)]
    told.sort(key=lambda each: (each[1] != _OPEN_NOW, each[0].risk is not Risk.DESTROYS, not opens_wide(each[0])))
    return tuple((decision, sentence) for decision, _, sentence in told)


def tell_dangers(decision: Decision) -> tuple[str, ...]:
    """What a person should read before agreeing to `decision`; nothing for most."""
    return tuple(sentence for _, sentence in _dangers(decision))


def name_dangers(decision: Decision) -> tuple[str, ...]:
    """The same in as few words as fit on a picture."""
    return tuple(name for name, _ in _dangers(decision))


def _dangers(decision: Decision) -> Iterable[tuple[str, str]]:
    if not decision.acts:
        return
    if decision.risk is not Risk.DESTROYS:
        yield from ((_OPEN_NOW, _tell_open_now(each)) for each in _find_open_now(decision))
    danger = _DANGERS.get(decision.risk)
    if danger:
        yield danger, danger
    if decision.opened and not _is_born_closed(decision):
        itself = all(way.target == decision.id for way in decision.opened)
        yield "becomes more reachable" if itself else "opens an account", _tell_opened(decision.opened)
    elif _opens_by_fields(decision):
        name = "lets more through" if decision.id.type.lower() in _GUARDS else "becomes more reachable"
        fields = _name_fields(change for change in decision.changes if change.opens)
        yield name, f"{name}: {fields}" if fields else name
    yield from ((plain(warning).partition(":")[0], plain(warning)) for warning in decision.warnings)


def _find_open_now(decision: Decision) -> tuple[Passage, ...]:
    """Whom of the world it stops, who gets through until then; who comes by a private endpoint is not the world."""
    public = (way for way in decision.closed if not way.path.startswith(_PRIVATE))
    return tuple(each for each in join_ways(public) if is_wide(each.sources[0]))


def _tell_open_now(passage: Passage) -> str:
    who, how = tell_who(passage, _SHOWN_SOURCES), tell_how(passage.ports, passage.path)
    return f"until this is done, {shorten(passage.target)} is open to {who} {how}"


def _is_born_closed(decision: Decision) -> bool:
    """A new account that only Azure's own services can reach, as they can nearly every one: told, but no danger."""
    return decision.action is Action.CREATE and all(way.path == TRUSTED for way in decision.opened)


def _tell_opened(ways: tuple[Way, ...]) -> str:
    passages = join_ways(way for way in ways if way.path != TRUSTED) or join_ways(ways)
    more = f"; and {len(passages) - 1} more" if len(passages) > 1 else ""
    return f"opens {tell_passage(passages[0], _SHOWN_SOURCES)}{more}"


def _name_fields(changes: Iterable[FieldChange]) -> str:
    """The fields, one word for everything that belongs to one item of a list."""
    paths = dict.fromkeys(name_entry(change.path) for change in changes)
    return list_some((plain(path) for path in paths), _SHOWN_FIELDS) if paths else ""


def name_entry(path: str) -> str:
    """`securityRules[allow-app]` of one of its attributes; any other path as it is."""
    head, bracket, attribute = path.rpartition("].")
    return f"{head}]" if bracket and "[" in head and attribute else path
