"""One test for many cases of pure functions, which take less time than it takes to run a test for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from _pytest.mark import ParameterSet

Test = Callable[..., None]


def each_case(names: str | Sequence[str], cases: Iterable[Any]) -> Callable[[Test], Test]:
    """Have a test run for each case, as `pytest.mark.parametrize` does, but all in one, which ends at the first fault.

    A note on the exception names the case.
    """
    fields = [names] if isinstance(names, str) else [*names]
    known = [ParameterSet.extract_from(case, force_tuple=len(fields) == 1).values for case in cases]

    def decorate(test: Test) -> Test:
        def run(**others: Any) -> None:
            for case in known:
                values = dict(zip(fields, case, strict=True))
                try:
                    test(**values, **others)
                except BaseException as error:
                    error.add_note(f"with {values!r}")
                    raise

        run.__name__, run.__qualname__, run.__doc__, run.__module__ = (
            test.__name__,
            test.__qualname__,
            test.__doc__,
            test.__module__,
        )
        return run

    return decorate
