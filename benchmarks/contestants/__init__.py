"""The contestants, written as their users would write them. Each has `read(task, tally)`, synchronous or not."""
