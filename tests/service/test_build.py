"""From files to an engine: partial policies, features a policy names, sources nothing scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from alerts.explain import explain
from alerts.policy import default_policy_text
from service.backtest_tap import in_log_order, played, tapped
from service.build import load_policy, scorers
from service.config import Config
from service.replay import Inputs, load, replay_embedded
from service.report import write_report
from service.results import Results
from streams.errors import ConfigError

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "policies" / "personal.toml"
NAMES = ("bidmc_21", "bidmc_08", "bidmc_32")


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    return str(path)


def test_a_policy_file_may_leave_out_what_is_as_shipped(tmp_path: Path) -> None:
    head = '[policy]\nid = "ours"\nversion = "1"\n[condition.a]\ndisplay = "A"\nlabel = "A"\n'
    text = head + 'source = "news2.lower"\nlevels = [{ priority = "low", hi = 3, lo = 2 }]\n'
    policy, shipped = load_policy(written(tmp_path, text)), load_policy("")
    assert policy.technical == shipped.technical
    assert policy.inhibits == shipped.inhibits
    assert policy.roles == shipped.roles


def test_the_shipped_policy_needs_no_feature_shown() -> None:
    assert [scorer.name for scorer in scorers(load_policy(""))] == ["news2", "limits"]


def test_features_that_a_policy_names_are_shown_once_each() -> None:
    policy = load_policy(str(EXAMPLE))
    assert [scorer.name for scorer in scorers(policy, policy)] == ["news2", "limits", "columns"]


def test_rule_scores_are_asked_for_by_a_policy_or_the_configuration(tmp_path: Path) -> None:
    text = default_policy_text().replace('source = "news2.lower"', 'source = "mews.lower"')
    policy = load_policy(written(tmp_path, text))
    names = [scorer.name for scorer in scorers(policy, rules=("shock_index",))]
    assert names == ["news2", "limits", "mews", "shock_index"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("news.lower", "source 'news.lower': no such scorer; nearest: news2"),
        ("columns.value", "source 'columns.value': write columns.input"),
    ],
)
def test_a_source_that_nothing_scores_is_refused(tmp_path: Path, source: str, words: str) -> None:
    text = default_policy_text().replace('source = "news2.lower"', f'source = "{source}"')
    with pytest.raises(ConfigError, match=words):
        scorers(load_policy(written(tmp_path, text)))


def test_a_feature_that_is_none_is_refused(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace('"ecg_hr_bpm"', '"ecg_hr_bmp"')
    with pytest.raises(ConfigError, match="no such feature: ecg_hr_bmp"):
        scorers(load_policy(written(tmp_path, text)))


def test_the_example_says_what_it_does() -> None:
    words = " ".join(explain(load_policy(str(EXAMPLE))))
    assert "baseline" in words


@pytest.fixture(scope="module")
def inputs(archive: Callable[[str], Path]) -> Inputs:
    """Three real records: one with a fast heart, one that breathes fast."""
    found = load([archive("bidmc")], None)
    return found._replace(recordings=tuple(r for r in found.recordings if r.patient_id in NAMES))


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The example with limits so near that quiet records reach them."""
    text = EXAMPLE.read_text()
    for old, new in (
        ("offset = 30, floor = 95, ceiling = 125", "offset = 8, floor = 90, ceiling = 125"),
        ("offset = 7, floor = 21, ceiling = 28", "offset = 1, floor = 16, ceiling = 28"),
        ("for_s = 180", "for_s = 30"),
    ):
        assert old in text
        text = text.replace(old, new)
    return Config(policy=written(tmp_path_factory.mktemp("policy"), text))


@pytest.fixture(scope="module")
def replayed(inputs: Inputs, tight: Config, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A replay under it, with its report written."""
    done = replay_embedded(inputs, tight)
    write_report(done, inputs, tmp_path_factory.mktemp("out"))
    return done.results


@pytest.mark.data
@pytest.mark.parametrize(
    ("code", "feature", "floor", "ceiling", "offset"),
    [
        ("fast_heart", "ecg_hr_bpm", 90, 125, 8),
        ("fast_breathing", "resp_rate_per_min", 16, 28, 1),
    ],
)
def test_limits_follow_the_persons_own_baseline_between_floor_and_ceiling(
    replayed: Results, code: str, feature: str, floor: float, ceiling: float, offset: float
) -> None:
    raised = [a for a in replayed.alerts if a.condition.code == code and a.phase == "raised"]
    assert raised
    for alert in raised:
        (item,) = (e for e in alert.evidence if e.code == feature)
        assert alert.score is not None
        assert item.baseline is not None
        limit = alert.score.threshold
        assert limit.personal
        assert limit.hi == pytest.approx(min(max(item.baseline + offset, floor), ceiling), abs=1e-3)
        assert "from this patient's own baseline" in " ".join(alert.text.why)


@pytest.mark.data
def test_features_that_another_policy_names_are_there_in_a_backtest(
    inputs: Inputs, tight: Config, replayed: Results
) -> None:
    policy = load_policy(tight.policy)
    calls = tapped(inputs, Config(), [policy])
    said = in_log_order(played(p, own, policy, commands=True) for p, own in sorted(calls.items()))
    assert {a.event_id for a in said} == {a.event_id for a in replayed.alerts}
