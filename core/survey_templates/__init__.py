"""Templates of surveys: published scales that are free to use, and those that study teams keep for the whole site."""
