"""Tests of the benchmark harness: what it makes of figures, never the figures."""
