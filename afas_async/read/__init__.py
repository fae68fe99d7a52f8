"""GetConnectors as streams of rows."""
