"""What the service says to its users, in the two languages that its texts are known in.

The English texts are those of docs.afas.help, "Troubleshooting"; of the Dutch ones only the sense is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["nl", "en"]

_GENERAL: Final = -2_147_180_996
_VALUE: Final = -2_147_220_469


@dataclass(frozen=True, slots=True)
class Message:
    """A text for the user.

    Attributes:
        en: The text in English.
        nl: The text in Dutch.
        number: The `errorNumber` that goes with it, which says little: different texts share one.
    """

    en: str
    nl: str
    number: int = _GENERAL

    def text(self, language: Language) -> str:
        """Return the text in a language."""
        return self.nl if language == "nl" else self.en


UNEXPECTED: Final = Message(
    "An unexpected error has occurred.", "Er is een onverwachte fout opgetreden.", -2_147_180_999
)
OUT_OF_MEMORY: Final = Message("Out of memory", "Onvoldoende geheugen")
OUT_OF_TIME: Final = Message(
    "The maximum duration for performing the assignment has been exceeded.",
    "De maximale tijdsduur voor het uitvoeren van de opdracht is overschreden.",
)
ONE_EACH: Final = Message("Multiple records are not allowed.", "Meerdere records zijn niet toegestaan.")
LOCKED: Final = Message("The record is locked by another user.", "Het record is geblokkeerd door een andere gebruiker.")


def not_supported(kind: Literal["GetConnector", "UpdateConnector"]) -> Message:
    """Say that there is no such connector, or none for this user: the service does not tell which."""
    return Message(
        f"{kind} not supported for this app or the user is not authorized",
        f"{kind} wordt niet ondersteund voor deze app of de gebruiker is niet geautoriseerd",
    )


def field_not_found(field: str) -> Message:
    """Say that a connector has no such field."""
    return Message(f"Connector field '{field}' not found", f"Connectorveld '{field}' niet gevonden")


def element_not_found(name: str) -> Message:
    """Say that a connector has no such element."""
    return Message(f"Element '{name}' not found", f"Element '{name}' niet gevonden")


def one_only(name: str) -> Message:
    """Say that an element may stand once only in the one around it."""
    return Message(
        f"Only one element '{name}' is allowed.", f"Van het element '{name}' is er niet meer dan 1 toegestaan."
    )


def does_not_exist(label: str) -> Message:
    """Say that there is no record with this key."""
    return Message(
        f"The entered value for '{label}' does not exist.", f"De ingevoerde waarde bij '{label}' bestaat niet.", _VALUE
    )


def already_exists(label: str) -> Message:
    """Say that there is a record with this key."""
    return Message(
        f"The entered value for '{label}' already exists.", f"De ingevoerde waarde bij '{label}' bestaat al.", _VALUE
    )


def not_valid(label: str) -> Message:
    """Say that a field cannot have this value."""
    return Message(
        f"The entered value for '{label}' is not valid.", f"De ingevoerde waarde bij '{label}' is ongeldig.", _VALUE
    )


def required(label: str) -> Message:
    """Say that a field has no value and must have one."""
    return Message(f"Enter a value for '{label}'.", f"Vul een waarde in bij '{label}'.", _VALUE)


def preferred(accepted: str, otherwise: Language) -> Language:
    """Choose the language of an answer.

    Args:
        accepted: The request's `Accept-Language`, such as `nl-nl`, `en-en`, `*`, a browser's list, or nothing.
        otherwise: The language if the header names none that is known.
    """
    for entry in accepted.lower().split(","):
        match entry.partition(";")[0].strip().partition("-")[0]:
            case "nl":
                return "nl"
            case "en":
                return "en"
            case _:
                continue
    return otherwise
