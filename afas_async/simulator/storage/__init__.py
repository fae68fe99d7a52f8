"""Where a simulated service keeps its rows."""
