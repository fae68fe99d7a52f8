"""What a load makes of the elements it is given: checked, encoded, and put into requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from afas_async.connectors import UpdateConnector
from afas_async.elements import Action, element_of
from afas_async.errors import InvalidElementError
from afas_async.metainfo import UpdateMetainfo
from afas_async.policy.checking import Checker
from afas_async.policy.lanes import Piece
from afas_async.wire.payloads import BODY_LIMIT, body_of, decode_element, encode_element, tagged
from afas_async.wire.urls import Request, delete_request, write_request

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
                delete_request(name, (self._connector.element_name, element.key))
        except InvalidElementError as error:
            raise InvalidElementError(f"{name}: element {index}: {error}") from None
        if len(body) > BODY_LIMIT - _WRAPPING:
            raise InvalidElementError(f"{name}: element {index} has {len(body)} bytes, and a request 75 MB at most")
        if self._checker is not None and (faults := self._checker.faults(element)):
            raise InvalidElementError(f"{name}: element {index}: {'; '.join(faults)}")
        key = {field: value for field, value in element.fields.items() if field in self._keys} | dict(element.key)
        return Piece(index, body, tuple(sorted((field, str(value)) for field, value in key.items())) or None)

    def request(self, pieces: Sequence[Piece]) -> Request:
        """Return the request for some elements; for a delete there is one."""
        name, root = self._connector.name, self._connector.element_name
        bodies = [piece.body for piece in pieces]
        if self._action == "delete":
            return delete_request(name, (root, decode_element(bodies[0]).key))
        if len(bodies) > 1 and self._transaction:
            bodies = [tagged(body, self._action) for body in bodies]
        return write_request("POST" if self._action == "insert" else "PUT", name, body_of(root, bodies))

    def is_whole(self, pieces: Sequence[Piece]) -> bool:
        """Whether a refusal of these elements is one of all of them."""
        return self._transaction or len(pieces) == 1
