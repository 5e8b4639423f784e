"""Photographs, packed once, and benchmarks that are read as their owners publish them."""
