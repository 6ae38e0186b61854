"""What a policy does, in words: for `vigil policy check` and for whoever signs a policy.

Not here: whether it may stand (`alerts.policy_checks`).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from alerts.alert import Priority
from alerts.policy import Policy
from alerts.policy_spec import AgainSpec, ConditionSpec, InhibitSpec, LevelSpec, WhenSpec
from alerts.text import number, span


def explain(policy: Policy) -> tuple[str, ...]:
    """Return the policy in lines of plain words, in the order of the file."""
    lines = [f"{policy.ref.id} {policy.ref.version}, {policy.digest[:19]}"]
    for code, spec in policy.conditions.items():
        lines += [f"{code}: {spec.display}", *(f"  {line}" for line in _condition(spec))]
    for kind, technical in policy.technical.items():
        lines.append(f"{kind}: {technical.display}, {technical.priority}")
    lines += [_inhibit(rule) for rule in policy.inhibits]
    for priority in reversed(Priority):
        lines.append(f"{priority}: {_priority(policy, priority)}")
    for action, roles in policy.roles.items():
        lines.append(f"{action}: only {', '.join(roles)}")
    return tuple(lines)


def _condition(spec: ConditionSpec) -> Iterator[str]:
    """Say one condition."""
    what = f"the input {spec.input} of {spec.scorer}" if spec.input else spec.source
    smooth = f", smoothed over {span(spec.ewma_s)}" if spec.ewma_s else ""
    if spec.past is not msgspec.UNSET:
        odds = ", of its log-odds" if spec.past.scale == "logit" else ""
        share = number(100 * spec.past.share)
        smooth = f", {share} % of it the mean of the last {span(spec.past.span_s)}{odds}"
    yield f"reads {what}{smooth}"
    for level in spec.levels:
        yield _level(spec, level)
    if spec.repeats > 1:
        yield f"only when that happens {spec.repeats} times within {span(spec.within_s)}"
    if spec.severe is not None:
        clean = f"quality {number(spec.severe_quality)}, at most {span(spec.severe_age_s)} old"
        yield f"at once at {number(spec.severe)} on inputs of {clean}"
    if spec.personal is not None:
        own = spec.personal
        sign = "+" if spec.side == "above" else "-"
        limit = f"baseline x {number(own.ratio)} {sign} {number(own.offset)}"
        yield f"limit {limit}, within {number(own.floor)} to {number(own.ceiling)}"
    if spec.refractory_s:
        yield f"after clearing, not again for {span(spec.refractory_s)} at the same priority"
    if spec.again is not msgspec.UNSET:
        yield _again(spec.again)
    for when in spec.when:
        yield _when(spec, when)
    yield f"stale after {span(spec.stale_after_s)} without a usable score"


def _again(own: AgainSpec) -> str:
    """Say when it rings anew."""
    loud = ""
    if own.louder_hi is not None:
        loud = f", after {span(own.louder_after_s)} at {number(own.louder_hi)}"
    return f"once it rang, again after {span(own.after_s)}{loud}, gone in between or not"


def _level(spec: ConditionSpec, level: LevelSpec) -> str:
    """Say one level."""
    beyond, back = ("above", "below") if spec.side == "above" else ("below", "above")
    return (
        f"{level.priority} at {number(level.hi)} after {span(spec.for_s)} at {number(level.lo)} "
        f"or {beyond}; over after {span(spec.keep_s)} {back} {number(level.lo)}"
    )


def _when(spec: ConditionSpec, when: WhenSpec) -> str:
    """Say what differs at some hours or in some wards."""
    where = f" in {', '.join(when.wards)}" if when.wards else ""
    hours = f" from {when.from_time} to {when.to}" if when.from_time else ""
    changed = [
        f"{name} {number(value)}"
        for name in ("for_s", "keep_s", "severe")
        if (value := getattr(when, name)) is not None
    ]
    changed += [f"{v.priority} at {number(v.hi)}/{number(v.lo)}" for v in when.levels]
    return f"but{hours}{where}: {', '.join(changed) or 'the same'}"


def _inhibit(rule: InhibitSpec) -> str:
    """Say one inhibition."""
    same = f" of the same {', '.join(rule.equal)}" if rule.equal else ""
    least = (
        f" of at least {rule.source_priority}" if rule.source_priority is not Priority.INFO else ""
    )
    return f"{rule.source}{least} speaks for {rule.target} up to {rule.target_priority}{same}"


def _priority(policy: Policy, priority: Priority) -> str:
    """Say what a priority asks of people."""
    asks = policy.priorities[priority]
    stays = "stays until seen" if asks.latching else "goes by itself"
    tiers = (
        f"next tier after {span(asks.escalate_after_s)}, up to {asks.max_tier}"
        if asks.escalate_after_s
        else "no further tier"
    )
    return (
        f"review within {span(asks.review_s)}, {tiers}, acknowledged for {span(asks.ack_s)}, "
        f"snoozed for at most {span(asks.snooze_max_s)}, {stays}"
    )
