"""What a simulated service answers to a request for rows."""
