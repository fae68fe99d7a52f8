"""Connectors of your own: what the metainfo of your environment, or a few lines of Python, say about them."""
