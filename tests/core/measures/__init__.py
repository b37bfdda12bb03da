"""Tests of the daily measures."""
