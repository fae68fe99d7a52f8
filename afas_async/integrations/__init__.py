"""What this library is to others: each module is imported only where you use it, with the extra of its name."""
