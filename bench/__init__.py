"""Measurements: figures for docs/benchmarks.md, never asserted."""
