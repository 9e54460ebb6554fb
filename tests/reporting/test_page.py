"""The page in a real browser: its wipe, its player, and that it asks nobody for anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dreamvid

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Slow: once, on a busy machine, the browser and its driver span without end.
pytestmark = pytest.mark.slow
DESK, PHONE = (1400, 900), (390, 844)
MIDDLE = "picture.getContext('2d').getImageData(picture.width / 2, 40, 1, 1).data.join()"


@pytest.fixture(scope="module")
def address(made: Path) -> str:
    """The page about the clip."""
    page = made / "seen.html"
    dreamvid.report(made / "video.mp4", page)
    return page.as_uri()


def opened(
    browser: Browser, address: str, size: tuple[int, int], **options: Any
) -> tuple[Page, list[str], list[str]]:
    """The page once it has drawn a frame, the errors that it meets, and what it asks for."""
    viewport = {"width": size[0], "height": size[1]}
    page = browser.new_context(viewport=viewport, **options).new_page()  # type: ignore[arg-type]
    errors: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    until(page, f"{MIDDLE} !== '0,0,0,0'")
    return page, errors, requests


def until(page: Page, is_so: str) -> None:
    """Wait until an expression holds; by asking, as the page's own policy forbids a poll in it."""
    for _ in range(500):
        if page.evaluate(is_so):
            return
        page.wait_for_timeout(10)
    raise AssertionError(f"never came to be: {is_so}")


def wiped(page: Page) -> float:
    """The share of the source, as the control tells it and as the line stands."""
    told = float(page.locator("#wipe").input_value())
    line = page.evaluate("line.offsetLeft / stage.clientWidth * 100")
    assert line == pytest.approx(told, abs=1)
    return told


def box_of(page: Page, selector: str) -> dict[str, float]:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}


def test_the_wipe_follows_the_mouse_and_the_keys_and_nothing_is_asked_for(browser, address):
    page, errors, requests = opened(browser, address, DESK)
    box = box_of(page, "#stage")
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.5 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], middle, steps=4)
    assert wiped(page) == 20
    dream = page.evaluate(MIDDLE)
    page.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=4)
    page.mouse.up()
    assert wiped(page) == 80
    assert page.evaluate(MIDDLE) != dream  # now the source's
    page.mouse.move(box["x"], middle)
    assert wiped(page) == 80
    page.keyboard.press("ArrowLeft")
    assert wiped(page) == 79
    page.keyboard.press("End")
    assert wiped(page) == 100
    page.keyboard.press("Home")
    assert wiped(page) == 0
    assert page.evaluate(MIDDLE) == dream
    page.keyboard.press(" ")
    until(page, "footage.currentTime > 0.1")
    page.get_by_role("button", name="Pause").click()
    page.locator(".moment").nth(3).click()
    until(page, "Math.abs(footage.currentTime - 0.25) < 0.02 && footage.paused")
    page.context.close()
    assert errors == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "blob"}
    assert [url for url in requests if url.startswith("file:")] == [address]


def test_the_wipe_follows_a_finger(browser, address):
    page, errors, _ = opened(browser, address, PHONE, has_touch=True)
    box = box_of(page, "#stage")
    middle = box["y"] + box["height"] / 2
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *shares: float) -> None:
        points = [{"x": box["x"] + share * box["width"], "y": middle} for share in shares]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.5)
    for share in (0.45, 0.35, 0.3):
        touch("touchMove", share)
    touch("touchEnd")
    assert wiped(page) == 30
    page.context.close()
    assert errors == []


@pytest.mark.parametrize("size", [DESK, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_of_it_fits_in_light_and_in_dark(browser, address, size, scheme):
    page, errors, _ = opened(browser, address, size, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    ground, ink = (
        page.evaluate(f"getComputedStyle(document.body).{name}.match(/\\d+/g).map(Number)")
        for name in ("backgroundColor", "color")
    )
    assert abs(sum(ground) - sum(ink)) > 450
    assert (sum(ground) < 200) is (scheme == "dark")
    page.context.close()
    assert errors == []
