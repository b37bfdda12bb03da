"""Forest's trees: analyses that turn chunks into daily measures (spec FOREST)."""
