"""Stress-Predict: wristband sessions with a label a second, cut into windows that a model judges.

Iqbal et al. 2022, Sensors 22:8135 (MIT). Label 1: Stroop test, interview, hyperventilation; 0:
questionnaires and rest. Traps: the tasks come in the same order for everybody, so time since the
start tells the label and is no feature; a window with both labels is neither; two windows share
seconds, so folds are people. Waveforms are read by `streams.io.files`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.errors import SourceError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
WINDOW_S: Final = 60
HOP_S: Final = 10
LABELS: Final = "hr_rsp_label.csv"
_COLUMNS: Final = ("Participant", "HR", "respr", "Time(sec)", "Label")
TASKS: Final = ("Stroop test", "interview", "hyperventilation")
REST: Final = -1


class Windows(NamedTuple):
    """Windows of people, in time order within a person."""

    person: Ints  # [N]
    start_s: Floats  # [N] Unix
    stress_share: Floats  # [N] of the window's seconds
    task: Ints  # [N] of TASKS; REST where not all is stress

    @property
    def pure(self) -> Bools:
        """Windows of one label, which alone train and are judged."""
        return (self.stress_share <= 0) | (self.stress_share >= 1)

    @property
    def stress(self) -> Bools:
        """Windows of stress throughout."""
        return self.stress_share >= 1


def windows(folder: Path, window_s: int = WINDOW_S, hop_s: int = HOP_S) -> Windows:
    """Every whole window of everybody with labels and a session.

    Parameters
    ----------
    folder : Path
        With `hr_rsp_label.csv` and `Raw_data`.
    window_s, hop_s : int
        Length and distance of the windows.

    Raises
    ------
    SourceError
        If the labels are absent or of another form.
    """
    path = folder / LABELS
    header: tuple[str, ...] = ()
    table = np.empty((0, 3))
    try:
        with path.open(encoding="utf-8") as lines:
            header = tuple(cell.strip() for cell in lines.readline().split(","))
            if header == _COLUMNS:
                table = np.loadtxt(lines, delimiter=",", ndmin=2, usecols=(0, 3, 4))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read as labels") from error
    if header != _COLUMNS:
        raise SourceError(f"{path}: columns are {', '.join(header)}, not {', '.join(_COLUMNS)}")
    parts = []
    for who in np.unique(table[:, 0]).astype(int).tolist():
        if session(folder, who).is_dir():
            own = table[table[:, 0] == who]
            parts.append(_cut(who, own[:, 1], own[:, 2], (window_s, hop_s)))
    if not parts:
        raise SourceError(f"{folder}: nobody has both labels and a session")
    return Windows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def session(folder: Path, person: int) -> Path:
    """Folder of one person's recording."""
    return folder / "Raw_data" / f"S{person:02d}"


def _cut(who: int, at_s: Floats, label: Floats, shape: tuple[int, int]) -> Windows:
    """Windows of one person; a window with an unlabelled second is none."""
    window_s, hop_s = shape
    number = np.cumsum(np.diff(label, prepend=0.0) > 0) - 1
    starts, shares, tasks = [], [], []
    for start in np.arange(at_s[0], at_s[-1] - window_s + 1, hop_s):
        inside = (at_s >= start) & (at_s < start + window_s)
        if inside.sum() < window_s:
            continue
        starts.append(start)
        shares.append(float(label[inside].mean()))
        tasks.append(int(number[inside][-1]) if label[inside].all() else REST)
    person = np.full(len(starts), who, np.int64)
    return Windows(person, np.array(starts), np.array(shares), np.array(tasks, np.int64))
