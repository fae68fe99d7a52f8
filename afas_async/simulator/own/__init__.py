"""Your own connectors, from the metainfo of your environment or from a few lines of Python."""
