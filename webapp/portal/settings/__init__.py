"""App settings of a study: the form with its preview, the history, the rollout to phones, and consent versions."""
