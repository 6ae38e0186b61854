"""Placeholder until trained."""

ECTOPY = "3 11 1 1 " + " ".join(["0"] * 14)
