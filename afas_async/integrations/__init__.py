"""What connects this library with others: one module each, imported only where you use it."""
