"""The page that downloads a study's data, without an API key."""
