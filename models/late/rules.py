"""Every late rule, as one type that JSON can hold. Torch-free."""

from __future__ import annotations

from models.late.confidence import ConfidenceWeighted, DempsterShafer
from models.late.mean import MeanLogit, Vote
from models.late.stack import LogisticStack
from models.late.vcdn import Vcdn
from models.late.weighted import WeightedLogit

LateRule = (
    MeanLogit | Vote | WeightedLogit | ConfidenceWeighted | DempsterShafer | LogisticStack | Vcdn
)
