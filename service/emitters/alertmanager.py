"""Prometheus Alertmanager v2: open occurrences, told again before they would lapse.

Alertmanager forgets an alert that nobody repeats. So every open one is sent again each
`resend_s`, stale or not, with an end `hold_s` ahead: an emitter that is away for less resolves
nothing. An end is repeated for `resolved_s`. A changed severity is another alert to Alertmanager,
so the old one is ended beside it. What Vigil holds back would ring there, so it is ended too and
told anew once nothing holds it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from alerts.alert import AlertEvent, AlertRecord, Resolution, Suppression
from alerts.text import rfc3339
from service.emitters.contract import HttpRequest, Letter
from service.emitters.pagerduty import SEVERITY

PATH: Final = "/api/v2/alerts"
Labels = dict[str, str]


class Mapper:
    """What is open, and what ended lately.

    Parameters
    ----------
    url : str
        Alertmanager's address, without `/api/v2`.
    token : str
        Bearer token; empty sends none.
    times_s : tuple of float
        resend, hold and resolved, s.
    labels : dict
        Labels every alert gets.
    link_base : str
        Where `links.detail` starts; empty leaves the link out.
    """

    def __init__(
        self,
        url: str,
        token: str,
        times_s: tuple[float, float, float],
        labels: Labels | None = None,
        link_base: str = "",
    ) -> None:
        self.repeat_s, hold_s, resolved_s = times_s
        self._hold_us, self._resolved_us = round(hold_s * 1e6), round(resolved_s * 1e6)
        self._url, self._token = url.rstrip("/") + PATH, token
        self._labels, self._link_base = dict(labels or {}), link_base
        self._open: dict[str, AlertRecord] = {}
        self._ended: dict[tuple[str, str], tuple[int, AlertRecord]] = {}

    def seed(self, records: Iterable[AlertRecord]) -> None:
        """Take over the open occurrences."""
        for record in records:
            if _rings(record):
                self._open[record.occurrence_id] = record

    def letter(self, event: AlertEvent, now_us: int) -> Letter | None:
        """The event's alert, and the end of the one it replaces; None for what was never told."""
        before = self._open.get(event.occurrence_id)
        if before is None and event.state.suppression is not Suppression.NONE:
            return None
        alerts = [self._alert(event, self._end_us(event, now_us))]
        if before is not None and before.priority != event.priority:
            alerts.insert(0, self._alert(before, now_us))
        return self._post((event.event_id,), alerts)

    def delivered(self, event: AlertEvent, now_us: int) -> None:
        """Remember what Alertmanager was told."""
        before = self._open.pop(event.occurrence_id, None)
        if before is not None and before.priority != event.priority:
            self._ended[before.occurrence_id, before.priority] = (now_us, before)
        if _rings(event):
            self._open[event.occurrence_id] = event
            self._ended.pop((event.occurrence_id, event.priority), None)
        elif before is not None or event.state.resolution is not Resolution.OPEN:
            self._ended[event.occurrence_id, event.priority] = (now_us, event)

    def repeat(self, now_us: int) -> Letter | None:
        """Every open alert, and every end of the last minutes; None when there is neither."""
        self._ended = {
            key: (at_us, record)
            for key, (at_us, record) in self._ended.items()
            if now_us - at_us < self._resolved_us
        }
        records = list(self._open.values())
        alerts = [self._alert(record, now_us + self._hold_us) for record in records]
        alerts += [self._alert(record, at_us) for at_us, record in self._ended.values()]
        if not alerts:
            return None
        ids = tuple(f"{record.occurrence_id}:{record.seq}" for record in records)
        return self._post(ids, alerts)

    def _end_us(self, event: AlertEvent, now_us: int) -> int:
        return now_us + self._hold_us if _rings(event) else now_us

    def _post(self, event_ids: tuple[str, ...], alerts: list[dict[str, Any]]) -> Letter:
        headers = [("Content-Type", "application/json")]
        if self._token:
            headers.append(("Authorization", f"Bearer {self._token}"))
        body = msgspec.json.encode(alerts)
        return Letter(event_ids, HttpRequest("POST", self._url, tuple(headers), body))

    def _alert(self, record: AlertRecord, end_us: int) -> dict[str, Any]:
        """A `postableAlert`; what changes while it is open stands in the annotations."""
        state = record.state
        said: dict[str, Any] = {
            "labels": {
                **self._labels,
                "alertname": record.condition.code,
                "severity": SEVERITY[record.priority],
                "priority": str(record.priority),
                "kind": str(record.kind),
                "tenant": record.tenant,
                "subject": record.subject,
                "occurrence_id": record.occurrence_id,
            },
            "annotations": {
                "summary": record.text.summary,
                "description": "\n".join(record.text.why),
                "condition": str(state.condition),
                "responsibility": str(state.responsibility),
                "suppression": str(state.suppression),
                "stale": str(state.stale).lower(),
                "tier": str(record.tier),
            },
            "startsAt": rfc3339(record.raised_us),
            "endsAt": rfc3339(max(end_us, record.raised_us)),
        }
        if self._link_base:
            said["generatorURL"] = self._link_base.rstrip("/") + record.links.detail
        return said


def _rings(record: AlertRecord) -> bool:
    """Whether an alert stands in Alertmanager: open, and nothing holds it back."""
    state = record.state
    return state.resolution is Resolution.OPEN and state.suppression is Suppression.NONE
