"""`vigil models`, `vigil replay --model`, and what doctor and /readyz say of a bad model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service import doctor
from service.__main__ import run
from service.artifacts import described_models, folder_of, open_seats, read_artifact
from service.cli.common import EXIT_DATA, EXIT_REFUSED, with_models
from service.config import Config
from service.http import _readiness
from service.metrics import Metrics
from streams.errors import CheckpointMismatch, SourceError
from tests.service import model_kit as kit

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model")
    kit.artifact(place)
    return place


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    kit.artifact(tmp_path, onnx=False)
    blob = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(blob[:-4])
    return tmp_path


def written(tmp_path: Path, folder: Path) -> Path:
    path = tmp_path / "vigil.toml"
    path.write_text(f'[[models]]\nname = "risk"\nartifact = "{folder}"\n')
    return path


def test_check_says_what_a_worker_would_run(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["models", "check", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"].startswith("tiny/1/")
    assert found["runtime"] == "onnxruntime cpu"
    assert found["buckets"][-1] == 256


def test_check_refuses_a_bad_one_with_the_reason(bad: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["models", "check", str(bad)]) == EXIT_DATA
    assert "sha256" in capsys.readouterr().err
    assert run(["models", "check", str(bad / "none")]) == EXIT_DATA
    assert "no such folder" in capsys.readouterr().err


def test_show_prints_inputs_and_state(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["models", "show", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "vitals: dense, up to 10 min old: hr, spo2" in out
    assert "test within 1 h" in out
    assert run(["models", "show", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"]["family"] == "linear"


def test_list_says_which_are_refused(
    folder: Path, bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(["models", "list", "--config", str(written(tmp_path, folder))]) == 0
    out = capsys.readouterr().out
    assert "risk: tiny/1/" in out
    assert "fusion.gated" in out
    assert run(["models", "list", "--config", str(written(tmp_path, bad))]) == EXIT_REFUSED
    assert "risk: refused: " in capsys.readouterr().out


def test_help_imports_no_torch() -> None:
    code = (
        "import sys; from service.__main__ import run; run(['--help']); run(['models', '--help']); "
        "sys.exit('torch' in sys.modules or 'onnxruntime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_an_engine_with_a_graph_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys; from service.build import build_engine; from service.config import *; "
        f"build_engine(Config(models=(ModelConfig('risk', {str(folder)!r}),))); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_models_given_to_a_command_replace_the_configured_ones(folder: Path, bad: Path) -> None:
    config = with_models(Config(), [str(folder), f"other={bad}"])
    assert [(m.name, m.artifact) for m in config.models] == [
        ("default", str(folder.resolve())),
        ("other", str(bad.resolve())),
    ]
    assert with_models(Config(), ["none"]).models == ()
    assert with_models(Config(), []) == Config()
    with pytest.raises(SourceError, match="no such folder"):
        with_models(Config(), ["/no/where"])


def test_doctor_and_readiness_say_what_is_refused_and_the_rules_stay_ready(bad: Path) -> None:
    config = kit.config(bad)
    found = doctor._run("models", doctor._models, "remedy", config)
    assert not found.ok
    assert "sha256" in found.detail
    metrics = Metrics(CollectorRegistry())
    metrics.ready(True)
    metrics.models({seat.name: seat.detail for seat in open_seats(config)})
    ready, body = _readiness(metrics, None)
    checks = {check["name"]: check for check in json.loads(body)["checks"]}
    assert ready
    assert not checks["model:risk"]["ok"]
    assert "sha256" in checks["model:risk"]["detail"]


def test_doctor_names_what_runs(folder: Path) -> None:
    found = doctor._run("models", doctor._models, "", kit.config(folder))
    assert found.ok
    assert found.detail.startswith("risk ")
    assert doctor._models(Config(models=())) == "none: rules only"


def test_a_run_names_model_and_runtime(folder: Path, bad: Path) -> None:
    open_seats(kit.config(folder))
    told = described_models(kit.config(folder))
    assert told["risk"][0]["runtime"] == "onnxruntime cpu"
    assert "sha256" in described_models(kit.config(bad))["risk"][0]["refused"]


def test_a_folder_is_read_whole_or_not_at_all(bad: Path, folder: Path) -> None:
    with pytest.raises(CheckpointMismatch, match=str(bad)):
        read_artifact(bad)
    assert read_artifact(folder_of(str(folder))).spec.name == "tiny"
    (bad / "spec.json").unlink()
    with pytest.raises(CheckpointMismatch, match=r"spec\.json is missing"):
        read_artifact(bad)
