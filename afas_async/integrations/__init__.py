"""Other libraries: one module for each, imported only by who has it installed."""
