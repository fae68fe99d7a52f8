"""The files, images and reports of a simulated service."""
