"""The rules' tables, checks and triggers, step by step; `push-services db upgrade` runs them."""
