"""`vigil train` refuses what cannot be, and says what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.__main__ import run
from service.cli.common import EXIT_USAGE


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cinc2018"], "valid: cinc2019"),
        (["cinc2012"], "--model fusion.early"),
        (["cinc2012", "--model", "steady"], "the steady model is made for cinc2019"),
        (["cinc2019", "--data", "{absent}", "--model", "linear"], "give --data"),
        (["cinc2012", "--data", "{empty}", "--model", "linear"], "archive of cinc2012_seta"),
        (["t1d_uom", "--data", "{empty}", "--model", "linear"], "archive of t1d_uom"),
        (["cinc2019", "--data", "{noise}", "--model", "linear"], "not a set in NumPy's form"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.npz").write_bytes(b"no archive")
    places = {name: str(tmp_path / name) for name in ("absent", "empty")}
    given = [part.format(noise=tmp_path / "noise.npz", **places) for part in arguments]
    assert run(["train", *given, "--out", str(tmp_path / "out")]) == EXIT_USAGE
    said = capsys.readouterr().err
    assert told in said
    assert "allow_pickle" not in said
