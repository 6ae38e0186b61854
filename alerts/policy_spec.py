"""The shape of a policy file, as written; `default_policy.toml` explains every key.

Not here: reading and checking (`alerts.policy`), what the keys do (`alerts.rules`,
`alerts.conditions`, `alerts.suppress`, `alerts.timers`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from alerts.alert import Priority

FIELDS = ("lower", "value", "upper", "disagreement", "input")
TECHNICAL = (
    "no_data",
    "lead_off",
    "monitoring_lost",
    "model_lost",
    "delivery_lost",
    "device_fleet_outage",
    "device_clock",
    "no_qrs",
    "degraded",
)
LABELS = ("subject", "ward", "kind", "condition", "modality")


class LevelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One level of a condition: pending at `hi`, kept at `lo`."""

    priority: Priority
    hi: float
    lo: float


class PersonalSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits that follow the patient's own baseline, never beyond `floor` and `ceiling`.

    `offset` and `ratio` give the lowest level's `hi` as baseline * ratio + offset (an offset is
    subtracted when the condition watches for low values); further levels keep their distance.
    """

    floor: float
    ceiling: float
    offset: float = 0.0
    ratio: float = 1.0


class PastSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of what is compared `share` is the patient's mean of the last `span_s`.

    With scale "logit" both are mixed as log-odds, for probabilities.
    """

    share: float
    span_s: float = 86_400.0
    scale: Literal["plain", "logit"] = "plain"


class AgainSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When it may ring anew, counted from when it last rang; there still or back again, all one.

    Not before `after_s`, or from `louder_after_s` on if the score is at `louder_hi`.
    """

    after_s: float
    louder_after_s: float = 0.0
    louder_hi: float | None = None


class WhenSpec(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_time": "from"}
):
    """Other values by local time of day and ward; the first that fits counts."""

    from_time: str = ""
    to: str = ""
    wards: tuple[str, ...] = ()
    levels: tuple[LevelSpec, ...] = ()
    for_s: float | None = None
    keep_s: float | None = None
    severe: float | None = None


class ConditionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition of the patient."""

    source: str
    levels: tuple[LevelSpec, ...]
    display: str
    label: str
    input: str = ""
    side: Literal["above", "below"] = "above"
    unit: str = ""
    for_s: float = 120.0
    keep_s: float = 600.0
    rejoin_s: float = 900.0
    refractory_s: float = 0.0
    ewma_s: float = 0.0
    max_gap_s: float = 120.0
    stale_after_s: float = 300.0
    min_completeness: float = 0.4
    min_quality: float = 0.0
    max_age_s: float = 31_622_400.0
    repeats: int = 1
    within_s: float = 0.0
    latching: bool | None = None
    update_delta: float = 1.0
    update_s: float = 60.0
    severe: float | None = None
    severe_quality: float = 0.8
    severe_age_s: float = 60.0
    severe_completeness: float = 0.4
    disagree: float | None = None
    personal: PersonalSpec | None = None
    past: PastSpec | msgspec.UnsetType = msgspec.UNSET  # left out, a policy keeps its digest
    again: AgainSpec | msgspec.UnsetType = msgspec.UNSET
    when: tuple[WhenSpec, ...] = ()
    same_input: tuple[tuple[str, ...], ...] = ()

    @property
    def scorer(self) -> str:
        """Name of the scorer read."""
        return self.source.partition(".")[0]

    @property
    def field(self) -> str:
        """What of the score is read: lower, value, upper, disagreement, or one input."""
        return self.source.partition(".")[2]


class TechnicalSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition of the equipment."""

    display: str
    priority: Priority
    rejoin_s: float = 900.0


class PrioritySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a priority asks of people."""

    latching: bool
    review_s: float
    ack_s: float
    ack_reminder_s: float
    escalate_after_s: float
    max_tier: int
    snooze_max_s: float


class InhibitSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """While `source` is active its `target`s are published with their signal off.

    Both are condition codes, or a prefix and "*". `equal` lists labels the two must share.
    """

    source: str
    target: str
    source_priority: Priority = Priority.INFO
    target_priority: Priority = Priority.MEDIUM
    equal: tuple[str, ...] = ()


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[policy]` table."""

    id: str
    version: str
    tenant: str = "default"
    continued_s: float = 600.0
    revise_s: float = 120.0
    silence_max_s: float = 86_400.0
    utc_offset_min: int = 0
    group_by: tuple[str, ...] = ("subject",)


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as written; tables left out are taken from the default policy."""

    policy: Header
    condition: dict[str, ConditionSpec]
    technical: dict[str, TechnicalSpec]
    priority: dict[Priority, PrioritySpec]
    inhibit: tuple[InhibitSpec, ...] = ()
    roles: dict[str, tuple[str, ...]] = {}
