"""Those who are measured, each written as its users write it: `read(task, tally)`, synchronous or not."""
