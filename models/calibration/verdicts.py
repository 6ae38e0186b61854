"""What each modality of a trained model says by itself: the voices that may contradict each other.

Joint models have a head per modality from training; late ones consist of them. Not here: the
divergence (`models.calibration.disagreement`), which needs no torch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.fusers.opinions import Opinions
from models.fusion_model import ComposedModel
from models.tensors import SequenceBatch


def verdicts(model: ComposedModel, seq: SequenceBatch) -> Tensor:
    """Raw logits of the modalities' own heads, first horizon.

    Parameters
    ----------
    model : ComposedModel
        In evaluation mode.
    seq : SequenceBatch
        B histories of T steps.

    Returns
    -------
    Tensor
        [B, T, M]; NaN where a modality is absent, or has no head of its own (static facts).
        They are not calibrated: fit `fit_calibration` on each before comparing hospitals.
    """
    with torch.no_grad():
        vectors, present = model.encode(seq)
        said = torch.full(present.shape, torch.nan)
        if isinstance(model.fuser, Opinions):
            said = model.fuser.opinions(vectors)[..., 0]
        else:
            for name, head in model.auxiliary.items():
                said[..., model.names.index(name)] = head(vectors[name])[..., 0]
        return torch.where(present, said, torch.nan)
