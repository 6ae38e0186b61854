"""A panel in service hears what was said, by the builds it was fitted on, and nobody else."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from features.align import AlignedBatch
from models.late.live import LivePanel, add_words
from models.late.mean import MeanLogit
from models.late.panel import Panel, Seat, words
from models.news2 import News2Scorer

NEWS = Seat("news2", "news2/1", probability=False, slope=0.4, bias=-5.0)
BOTH = Panel("both", "1", 3600.0, (NEWS, Seat("risk", "risk/1/old")), MeanLogit())


def test_another_build_of_a_member_is_not_heard(
    aligned: Callable[..., AlignedBatch],
) -> None:
    news = News2Scorer().score(aligned(({"ecg_hr_bpm": 120.0}, {})))[0]
    live = LivePanel(BOTH, {"news2": ["news2/1"], "risk": []})
    risk = msgspec.structs.replace(news, scorer="risk", model="risk/1/new", value=0.9, news2=None)
    rows = [[news, risk], [risk]]
    add_words([live], rows)
    assert rows[0][-1].present == {"news2": True, "risk": False}
    assert rows[0][:-1] == [news, risk]
    assert rows[1] == [risk]  # of that row nobody whom the panel knows spoke
    assert words(BOTH, []) == []
