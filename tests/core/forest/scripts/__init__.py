"""Programs that misbehave in a tree's place."""
