"""Generate typed models from metainfo: as Python source with `source`, or as a class at run time with `define`."""

__docformat__ = "google"

from afas_async.models.generate import Codes, NumericCodes, define, source

__all__ = ["Codes", "NumericCodes", "define", "source"]
