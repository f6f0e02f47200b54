"""Clients of a served model; they need nothing of this project."""
