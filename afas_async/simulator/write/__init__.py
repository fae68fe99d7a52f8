"""What a simulated service does with the elements that it is sent."""
