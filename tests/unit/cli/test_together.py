"""Work that is done side by side has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ml.cli.errors import UserError
from ml.cli.together import together


async def slow(clean: Callable[[], None]) -> str:
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        clean()
    return "never"


async def failing() -> str:
    await asyncio.sleep(0)
    raise UserError("it is broken", "repair it")


async def after(seconds: float, answer: str) -> str:
    await asyncio.sleep(seconds)
    return answer


def test_results_have_the_order_of_the_work_when_all_succeed() -> None:
    assert asyncio.run(together(after(0.01, "first"), after(0, "second"))) == ["first", "second"]


def test_others_have_cleaned_up_when_one_fails() -> None:
    cleaned: list[bool] = []

    async def run() -> None:
        with pytest.raises(UserError, match="it is broken"):
            await together(slow(lambda: cleaned.append(True)), failing(), slow(lambda: cleaned.append(True)))
        assert cleaned == [True, True]

    asyncio.run(run())


def test_all_have_cleaned_up_when_the_caller_is_told_to_stop() -> None:
    cleaned: list[bool] = []

    def clean() -> None:
        cleaned.append(True)

    async def run() -> None:
        task = asyncio.create_task(together(slow(clean), slow(clean), slow(clean)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cleaned == [True, True, True]

    asyncio.run(run())
