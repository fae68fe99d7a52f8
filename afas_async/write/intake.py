"""What a load makes of the elements it is given: checked, encoded, and put into requests."""

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

_WRAPPING: Final = 1_000  # bytes that a body has around an element
_TRUTHS: Final = {"true": "1", "false": "0"}
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{0,40})?", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])", re.ASCII)


class Intake:
    """Knows the connector and the action of one load.

    Args:
        connector: The connector.
        action: What to do with the elements.
        transaction: Whether a call with several elements is tagged as one transaction.
        metainfo: What elements are checked against; None for no check.
        reference: The field to write a reference into, and what the references begin with; None to write none.
        nulls: What None means in a field; None for what the connector says.

    Attributes:
        is_blind: Whether an element has come of which nothing tells the key, so that no call may overtake another.
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
        """Return an element as it will be sent.

        Raises:
            InvalidElementError: If it cannot be sent, or the check finds fault with it.
        """
        name = self._connector.name
        try:
            element = with_nulls(item, self._nulls)
            if self._reference is not None:
                element = self._referenced(element, index, *self._reference)
            body = encode_element(element, allow_none=self._connector.allow_none)
            if self._action == "delete":
                self._check_delete(element)
            faults = [] if self._checker is None else self._checker.faults(element)
            lane = self._lane(element)
        except InvalidElementError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a source gives, one record must not end a load
            reason = f"it cannot be read as an element ({type(error).__name__})"
        else:
            if len(body) > BODY_LIMIT - _WRAPPING:
                reason = f"it has {len(body)} bytes, and a request has 75 MB at most"
            elif faults:
                reason = "; ".join(map(str, faults))
            else:
                return Piece(index, body, lane, item)
        raise InvalidElementError(f"{name}: element {index}: {reason}")

    def _referenced(self, element: Element, index: int, field: str, begin: str) -> Element:
        """Return an element with a reference of its own, the same in each run of the load."""
        if field in element.fields:
            raise InvalidElementError(f"{field}: the load writes its reference there: leave it out")
        return Element({**element.fields, field: f"{begin}-{index}"}, element.key, element.objects, element.action)

    def lane_of(self, item: object) -> Hashable:
        """Return the lane of an element that cannot be sent; None also if it cannot be told."""
        try:
            return self._lane(element_of(item))
        except Exception:  # noqa: BLE001 - there is no element in it
            return None

    def request(self, pieces: Sequence[Piece]) -> Request:
        """Return the request for some elements; for a delete there is one."""
        name, root = self._connector.name, self._connector.element_name
        bodies = [piece.body for piece in pieces]
        if self._action == "delete":
            return delete_request(name, (root, decode_element(bodies[0]).key))
        if len(bodies) > 1 and self._transaction:
            bodies = [tagged(body, self._action) for body in bodies]
        return write_request("POST" if self._action == "insert" else "PUT", name, body_of(root, bodies))

    def _check_delete(self, element: Element) -> None:
        """Refuse what looks like a wish to delete or change a part of the record: the call deletes all of it."""
        if element.fields or element.objects or element.action not in (None, "delete"):
            raise InvalidElementError(
                "a delete takes nothing but the key of the record, all of which it deletes: for lines of objects use an"
                ' update with Element(..., action="delete")'
            )
        delete_request(self._connector.name, (self._connector.element_name, element.key))

    def _lane(self, element: Element) -> Hashable:
        """What an element has in common with those that must not overtake it: its key, as the service compares it.

        An element with a part of its key among its fields is a new one, which the service numbers.
        """
        named = {field: value for field, value in element.fields.items() if field in self._keys} | dict(element.key)
        key = {field: _laned(value) for field, value in named.items() if not is_empty(value)}
        if not key or not (element.key or self._keys <= key.keys()):
            self.is_blind = self.is_blind or not (self._keys or self._action == "insert")
            return None
        return tuple(sorted(key.items()))

    def scope(self, pieces: Sequence[Piece]) -> Scope:
        """Return of what a refusal of these elements is one."""
        return Scope.ALL if self._transaction or len(pieces) == 1 else Scope.SOME


def _laned(value: object) -> str:
    """Return a value of a key as all its spellings have it: 3, "03" and 3.0 are one, and so are a day and its midnight.

    A value too many in a lane costs a wait, and one too few the order.
    """
    text = widely_folded(str(value.value if isinstance(value, Enum) else value).strip())
    if text in _TRUTHS:
        return _TRUTHS[text]
    if _NUMBER.fullmatch(text):
        return str(Decimal(text).normalize() + 0)
    return text[: len("2024-01-31")] if _DAY.match(text) else text
