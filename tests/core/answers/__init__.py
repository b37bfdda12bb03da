"""Reading, showing and scoring answers."""
