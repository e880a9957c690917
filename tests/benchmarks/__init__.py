"""Measurements: each runs alone, starts what it needs, and prints its figures as JSON lines last.

python -m tests.benchmarks.NAME     what the make target of that name calls
"""
