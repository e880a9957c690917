"""What runs beside a loop, at one of the two ends of when it may: the same at each repetition."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class AtOnce(Executor):
    """Runs what it is given before anything else goes on."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **named))
        except BaseException as error:  # noqa: BLE001  an executor hands on whatever it is
            future.set_exception(error)
        return future


class WhenAsked(Executor):
    """Runs what it is given when somebody waits for its result."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        return Late(lambda: call(*args, **named))


class Late(Future[Any]):
    """A result that is made once it is asked for, which happens once."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self._call = call

    def result(self, timeout: float | None = None) -> Any:
        return self._call()
