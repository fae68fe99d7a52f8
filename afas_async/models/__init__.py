"""Typed models out of metainfo: as Python source, or as classes made at once."""

from afas_async.models.generate import Codes, NumericCodes, define, source

__all__ = ["Codes", "NumericCodes", "define", "source"]
