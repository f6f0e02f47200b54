"""Recipes: each file's docstring says what it reproduces, the command, and what to expect."""
