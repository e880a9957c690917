"""Chaos: workers, broker and database come to every harm, then each record is accounted for.

python -m tests.campaigns.chaos     what `make chaos` calls
"""
