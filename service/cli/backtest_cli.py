"""`vigil policy backtest` (placeholder until the module below is written)."""


def add_to(app):
    pass
