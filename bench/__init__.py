"""Measures, never asserts: ratios of two things taken in turn in one run, on the machine it runs on."""
