"""The version of this package, which each request says, and the build reads."""

__version__ = "0.1.0"
