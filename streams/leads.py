"""Names of ECG leads, in lower case: every importer and the signal table go by this list."""

from __future__ import annotations

from typing import Final

LEADS: Final = (
    *("i", "ii", "iii", "avr", "avl", "avf", "v", "mcl", "mcl1", "mli", "mlii", "mliii"),
    *("ecg", "ekg"),
    *(f"v{number}" for number in range(1, 10)),
    *(f"ecg{number}" for number in range(1, 13)),
)
FURTHER_LEADS: Final = tuple(f"ecg_{lead}" for lead in LEADS)  # beside `ecg`, the first choice
