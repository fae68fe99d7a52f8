"""The messages of the service to its users, in English and Dutch.

The English texts are those of docs.afas.help, "Troubleshooting". Of the Dutch texts only the meaning is known.
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
        number: The `errorNumber` in the response. Different texts share one, so it identifies no error.
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
    """The connector does not exist, or this user may not use it: the service does not say which."""
    return Message(
        f"{kind} not supported for this app or the user is not authorized",
        f"{kind} wordt niet ondersteund voor deze app of de gebruiker is niet geautoriseerd",
    )


def field_not_found(field: str) -> Message:
    """The connector does not have this field."""
    return Message(f"Connector field '{field}' not found", f"Connectorveld '{field}' niet gevonden")


def element_not_found(name: str) -> Message:
    """The connector does not have this element."""
    return Message(f"Element '{name}' not found", f"Element '{name}' niet gevonden")


def one_only(name: str) -> Message:
    """Only one such object may be in an element."""
    return Message(
        f"Only one element '{name}' is allowed.", f"Van het element '{name}' is er niet meer dan 1 toegestaan."
    )


def does_not_exist(label: str) -> Message:
    """No record has this key."""
    return Message(
        f"The entered value for '{label}' does not exist.", f"De ingevoerde waarde bij '{label}' bestaat niet.", _VALUE
    )


def already_exists(label: str) -> Message:
    """A record with this key exists already."""
    return Message(
        f"The entered value for '{label}' already exists.", f"De ingevoerde waarde bij '{label}' bestaat al.", _VALUE
    )


def not_valid(label: str) -> Message:
    """The field cannot have this value."""
    return Message(
        f"The entered value for '{label}' is not valid.", f"De ingevoerde waarde bij '{label}' is ongeldig.", _VALUE
    )


def required(label: str) -> Message:
    """The field must have a value."""
    return Message(f"Enter a value for '{label}'.", f"Vul een waarde in bij '{label}'.", _VALUE)


def preferred(accepted: str, otherwise: Language) -> Language:
    """Choose the language of a response.

    Args:
        accepted: The request's `Accept-Language`, such as `nl-nl`, `en-en`, `*`, a browser's list, or empty.
        otherwise: The language if the header names neither Dutch nor English.
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
