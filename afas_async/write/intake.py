"""What a load makes of the elements it is given: checked, encoded, and put into requests."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from enum import Enum
from typing import Final

from afas_async.errors import InvalidElementError
from afas_async.policy.element_check import Checker
from afas_async.policy.lanes import Piece
from afas_async.policy.value_check import is_empty
from afas_async.vocabulary.collation import widely_folded
from afas_async.vocabulary.connectors import UpdateConnector
from afas_async.vocabulary.elements import Action, Element, element_of
from afas_async.vocabulary.metainfo import UpdateMetainfo
from afas_async.wire.element_bodies import BODY_LIMIT, body_of, decode_element, encode_element, tagged
from afas_async.wire.requests import Request
from afas_async.wire.write_requests import delete_request, write_request

_WRAPPING: Final = 1_000  # bytes that a body has around an element


class Intake:
    """Knows the connector and the action of one load.

    Args:
        connector: The connector.
        action: What to do with the elements.
        transaction: Whether a call with several elements is tagged as one transaction.
        metainfo: What elements are checked against; None for no check.
    """

    def __init__(
        self, connector: UpdateConnector, action: Action, *, transaction: bool, metainfo: UpdateMetainfo | None
    ) -> None:
        self._connector = connector
        self._action: Action = action
        self._transaction = transaction
        self._checker = None if metainfo is None else Checker(metainfo, action, allow_none=connector.allow_none)
        self._keys = {field.id for field in metainfo.fields if field.primary_key} if metainfo else set[str]()

    def piece(self, index: int, item: object) -> Piece:
        """Return an element as it will be sent.

        Raises:
            InvalidElementError: If it cannot be sent, or the check finds fault with it.
        """
        name = self._connector.name
        try:
            element = element_of(item)
            body = encode_element(element, allow_none=self._connector.allow_none)
            if self._action == "delete":
                self._check_delete(element)
        except InvalidElementError as error:
            raise InvalidElementError(f"{name}: element {index}: {error}") from None
        if len(body) > BODY_LIMIT - _WRAPPING:
            raise InvalidElementError(f"{name}: element {index} has {len(body)} bytes, and a request 75 MB at most")
        if self._checker is not None and (faults := self._checker.faults(element)):
            raise InvalidElementError(f"{name}: element {index}: {'; '.join(map(str, faults))}")
        return Piece(index, body, self._lane(element))

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
            return None
        return tuple(sorted(key.items()))

    def is_whole(self, pieces: Sequence[Piece]) -> bool:
        """Whether a refusal of these elements is one of all of them."""
        return self._transaction or len(pieces) == 1


def _laned(value: object) -> str:
    # A value too many in a lane costs a wait, and one too few the order.
    return widely_folded(str(value.value if isinstance(value, Enum) else value).strip())
