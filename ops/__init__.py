"""Running it: the local runner, the worker, assets, simulated phones."""
