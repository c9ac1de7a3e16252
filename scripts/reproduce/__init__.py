"""A module for each table or figure of both papers: `python -m scripts.reproduce.toy`."""
