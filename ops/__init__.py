"""Programs to run the server: local runner, worker, assets, simulated phones."""
