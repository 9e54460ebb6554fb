"""The page in a real browser: it moves, it is played, and it looks whole on a desk and a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dreamvid.cli.preset_files import BUILT_IN
from dreamvid.events import Progress, ignore
from dreamvid.live.server import Page
from dreamvid.live.session import Session
from dreamvid.live.watching import watched
from tests.live.stage import newest, played, until
from tests.live.test_watching import finished, frame_done
from tests.media.clips import Clip, make, steady

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab

DESK, PHONE = (1280, 800), (390, 844)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, str]]:
    """A session with its page."""
    folder = tmp_path_factory.mktemp("page")
    clip = make(folder / "clip.mp4", Clip(steady(24), size=(160, 96)))
    presets = {path.stem: path for path in BUILT_IN.glob("*.toml")}
    with played(clip, folder, lr=0.2) as session, Page(presets)(session) as address:
        yield session, address


def opened(browser: Browser, address: str, size: tuple[int, int]) -> tuple[Tab, list[str]]:
    """The page in a window of this size, once it has drawn, and the errors that it meets."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.goto(address)
    page.wait_for_function("dreamvid.drawn > 2 && dreamvid.state")
    return page, errors


def test_the_picture_moves_at_its_rate(browser, stage):
    page, errors = opened(browser, stage[1], DESK)
    canvas = page.locator("#picture")
    one = canvas.screenshot()
    drawn = page.evaluate("dreamvid.drawn")
    page.wait_for_function(f"dreamvid.drawn > {drawn} + 12", timeout=5000)
    assert canvas.screenshot() != one
    assert float(page.locator("#rate").inner_text()) > 5
    page.close()
    assert errors == []


@pytest.mark.slow
def test_numbers_prompts_and_keys_arrive(browser, stage):
    session, address = stage
    page, errors = opened(browser, address, DESK)
    until(lambda: session.figures.dreams > 3)
    knob = page.locator(".knob[data-name=strength]")
    box = knob.locator("svg").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 90, steps=5)
    page.mouse.up()
    until(lambda: session.bus.value("strength") < 0.05, 1)
    shown = newest(session, newest(session).index + 2)
    off = (shown.frame.image - shown.source.image).square().mean().sqrt()
    assert float(off) <= session.bus.value("strength") + 1e-4
    knob.dblclick()
    until(lambda: session.bus.value("strength") == 0.18, 1)
    page.locator(".knob[data-name=strength][aria-valuenow='0.18']").wait_for()
    knob.press("ArrowUp")
    until(lambda: session.bus.value("strength") > 0.18, 1)

    page.keyboard.press("p")
    page.keyboard.type("a storm at sea")
    page.keyboard.press("Enter")
    until(lambda: session.bus.value("prompt1") < 1 and len(session.bus.config.prompt) == 3, 2)
    page.locator(".strip", has_text="a storm at sea").wait_for()
    page.locator("#text").blur()
    page.keyboard.press("2")
    until(lambda: session.bus.value("prompt2") > 1, 5)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#wipe").get_attribute("aria-valuenow") == "10"
    page.get_by_role("button", name="pulse").click()
    until(lambda: "strength" in session.bus.following, 2)
    for _ in range(2):
        page.locator("#tap").dispatch_event("pointerdown")
    page.keyboard.press("s")
    page.locator("#line", has_text="still-001.png").wait_for()
    page.keyboard.press("r")
    until(lambda: session.is_recording, 2)
    page.locator("body.is-recording").wait_for()
    page.keyboard.press("r")
    until(lambda: not session.is_recording, 2)
    page.close()
    assert errors == []


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_nothing_sticks_out_and_all_is_within_reach(browser, stage, size):
    session, address = stage
    page, errors = opened(browser, address, size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for number in session.bus.numbers:
        control = page.locator(f"[data-name='{number.name}']")
        control.scroll_into_view_if_needed()
        box = control.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["height"] >= 40
    page.close()
    assert errors == []


def test_a_film_that_is_made_is_watched(browser):
    addresses: list[str] = []
    with watched(ignore, "clip → film", on_ready=addresses.append) as listener:
        listener(Progress("dreaming", 0, 4))
        listener(frame_done(0))
        page = browser.new_page()
        page.goto(addresses[0])
        page.wait_for_function("dreamvid.drawn > 0 && dreamvid.state")
        listener(Progress("dreaming", 1, 4))
        page.locator("#done", has_text="1 of 4").wait_for()
        assert page.locator("#similarity").inner_text() == "0.100 → 0.300"
        assert page.locator(".to-play >> visible=true").count() == 0
        page.keyboard.press("r")
        page.locator("#line.is-error", has_text="watched only").wait_for()
        page.keyboard.press("ArrowRight")  # asks for the source
        page.wait_for_function("dreamvid.drawn > 1")
        listener(finished())
    page.locator("body.is-whole.is-lost").wait_for()
    page.close()


@pytest.mark.slow
def test_the_server_ends_and_the_page_says_so(browser: Browser, tmp_path: Path) -> None:
    clip = make(tmp_path / "clip.mp4", Clip(steady(12)))
    with played(clip, tmp_path) as session, Page()(session) as address:
        page, _ = opened(browser, address, DESK)
    page.locator("body.is-lost").wait_for()
    page.close()
