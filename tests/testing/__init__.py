"""Tests of what the package brings for other people's tests."""
