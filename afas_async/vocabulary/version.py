"""The version of this package, which each request says, and the build reads."""

__version__ = "0.2.0"
