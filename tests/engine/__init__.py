"""Tests of the engine alone: a store in a plain buffer, stopped and looked at wherever it suits."""
