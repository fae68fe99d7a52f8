"""Checks and encodes the elements of a load, and puts them into requests."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from decimal import Decimal
from enum import Enum
from typing import Final

from afas_async.errors import InvalidElementError
from afas_async.policy.element_check import Checker
from afas_async.policy.lanes import Piece
from afas_async.policy.value_check import is_empty
from afas_async.policy.verdicts import Scope
from afas_async.vocabulary.collation import widely_folded
from afas_async.vocabulary.connectors import UpdateConnector
from afas_async.vocabulary.elements import Action, Element, Nulls, element_of, with_nulls
from afas_async.vocabulary.metainfo import UpdateMetainfo
from afas_async.wire.element_bodies import BODY_LIMIT, body_of, decode_element, encode_element, tagged
from afas_async.wire.requests import Request
from afas_async.wire.write_requests import delete_request, write_request

_WRAPPING: Final = 1_000  # bytes of a body around its element
_TRUTHS: Final = {"true": "1", "false": "0"}
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{0,40})?", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])", re.ASCII)


class Intake:
    """Prepares the elements of one load.

    Args:
        connector: The connector.
        action: The action for the elements.
        transaction: Whether a call with several elements is tagged as one transaction.
        metainfo: The metainfo to check elements against; None for no check.
        reference: The field to write a reference into, and the beginning of each reference; None to write none.
        nulls: The meaning of None in a field; None to follow the connector.

    Attributes:
        is_blind: Whether the key of an element could not be found out. From then on, no call may overtake another.
    """

    def __init__(
        self,
        connector: UpdateConnector,
        action: Action,
        *,
        transaction: bool,
        metainfo: UpdateMetainfo | None,
        reference: tuple[str, str] | None = None,
        nulls: Nulls | None = None,
    ) -> None:
        self._connector = connector
        self._action: Action = action
        self._transaction = transaction
        self._reference = reference
        self._nulls: Nulls = nulls or connector.nulls
        self._checker = None if metainfo is None else Checker(metainfo, action, allow_none=connector.allow_none)
        self._keys = {field.id for field in metainfo.fields if field.primary_key} if metainfo else set(connector.key)
        self.is_blind: bool = False

    def piece(self, index: int, item: object) -> Piece:
        """Return an element, checked and encoded.

        Raises:
            InvalidElementError: If it cannot be sent, or the check finds a fault.
        """
        name = self._connector.name
        try:
            element = with_nulls(item, self._nulls)
            given = body = encode_element(element, allow_none=self._connector.allow_none)
            if self._reference is not None:
                element = self._referenced(element, index, *self._reference)
                body = encode_element(element, allow_none=self._connector.allow_none)
            if self._action == "delete":
                self._check_delete(element)
            faults = [] if self._checker is None else self._checker.faults(element)
            lane = self._lane(element)
        except InvalidElementError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - a single record must not end a load
            reason = f"it cannot be read as an element ({type(error).__name__})"
        else:
            if len(body) > BODY_LIMIT - _WRAPPING:
                reason = f"it has {len(body)} bytes: the service accepts 75 MB in a request"
            elif faults:
                reason = "; ".join(map(str, faults))
            else:
                return Piece(index, body, lane, item, b"" if self._reference is None else given)
        raise InvalidElementError(f"{name}: element {index}: {reason}")

    def _referenced(self, element: Element, index: int, field: str, begin: str) -> Element:
        """Return an element with its reference, which is the same in each run of the load."""
        if field in element.fields:
            raise InvalidElementError(f"{field}: the load writes its reference there: leave it out")
        return Element({**element.fields, field: f"{begin}-{index}"}, element.key, element.objects, element.action)

    def lane_of(self, item: object) -> Hashable:
        """Return the lane of an element that cannot be sent; None if it has no lane or none can be found out."""
        try:
            return self._lane(element_of(item))
        except Exception:  # noqa: BLE001 - it cannot be read as an element
            return None

    def request(self, pieces: Sequence[Piece]) -> Request:
        """Return the request for some elements; for a delete, of exactly one."""
        name, root = self._connector.name, self._connector.element_name
        bodies = [piece.body for piece in pieces]
        if self._action == "delete":
            return delete_request(name, (root, decode_element(bodies[0]).key))
        if len(bodies) > 1 and self._transaction:
            bodies = [tagged(body, self._action) for body in bodies]
        return write_request("POST" if self._action == "insert" else "PUT", name, body_of(root, bodies))

    def _check_delete(self, element: Element) -> None:
        """Refuse an element that seems to delete or change a part of a record: the call deletes the whole record."""
        if element.fields or element.objects or element.action not in (None, "delete"):
            raise InvalidElementError(
                "a delete deletes the whole record: give nothing but its key. To delete lines of objects, use an"
                ' update with Element(..., action="delete")'
            )
        delete_request(self._connector.name, (self._connector.element_name, element.key))

    def _lane(self, element: Element) -> Hashable:
        """Return the lane of an element: its key, as the service compares keys. Elements in a lane keep their order.

        If an element has only a part of the key, among its fields, it is a new one: the service numbers it.
        """
        named = {field: value for field, value in element.fields.items() if field in self._keys} | dict(element.key)
        key = {field: _laned(value) for field, value in named.items() if not is_empty(value)}
        if not key or not (element.key or self._keys <= key.keys()):
            self.is_blind = self.is_blind or not (self._keys or self._action == "insert")
            return None
        return tuple(sorted(key.items()))

    def scope(self, pieces: Sequence[Piece]) -> Scope:
        """Return whether a refusal covers all of these elements or some."""
        return Scope.ALL if self._transaction or len(pieces) == 1 else Scope.SOME


def _laned(value: object) -> str:
    """Return a value of a key in one spelling: 3, "03" and 3.0 are equal, and so are a day and its midnight.

    When in doubt, treat values as equal: that costs a wait. Values that wrongly differ would lose the order.
    """
    text = widely_folded(str(value.value if isinstance(value, Enum) else value).strip())
    if text in _TRUTHS:
        return _TRUTHS[text]
    if _NUMBER.fullmatch(text):
        return str(Decimal(text).normalize() + 0)
    return text[: len("2024-01-31")] if _DAY.match(text) else text
