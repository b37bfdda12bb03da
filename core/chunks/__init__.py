"""Turns raw files into rows of hourly chunks: functions over bytes and arrays, without store or database."""
