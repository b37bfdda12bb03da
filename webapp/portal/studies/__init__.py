"""The page on which a researcher chooses a study."""
