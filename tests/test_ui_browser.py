"""The inspector in a real browser: that it works, keeps up, can be used without a mouse, and runs nothing of an item's.

What is in the pages is the business of test_ui.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from browser import IS_WANTED, VARIABLE, chromium, colours, complaints, resize, until
from papertiger_shm import Connection, Events, Manager, Store

pytestmark = pytest.mark.skipif(
    not IS_WANTED, reason=f"a browser takes seconds to come up: tox -e browser sets {VARIABLE}"
)

pytest.importorskip("jinja2")

from papertiger_shm.ui import Inspector  # noqa: E402

EVENTS = "paper_tiger_events"
PAGES = (
    "/",
    "/items?table=things&namespace=gw1/odd",
    "/timeline",
    "/runs",
    "/item?table=things&namespace=gw1/odd&id=a",
)
SCRIPTS = [
    "<script>document.title='taken';alert(1)</script>",
    "</script><script>alert(2)</script>",
    '"><img src=x onerror="document.title=\'taken\';alert(3)">',
    "'><svg onload=alert(4)>",
    "javascript:alert(5)",
    "<iframe srcdoc='<script>parent.document.title=1</script>'></iframe>",
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content='0;url=https://example.com'>",
    "</div></main><h1>not ours",
]

ELEMENTS = "return document.querySelectorAll('script,iframe,style,img,meta,object,base').length"
COMMITS = "return document.getElementById('live').dataset.commits"


class Things(Store, table="things", resource="thing"):
    """A table that the inspector has never heard of."""


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def connection() -> Iterator[Connection]:
    with Manager(max_size="64 MiB") as manager, manager.connect() as connection:
        yield connection


@pytest.fixture
def page(driver: Any, connection: Connection) -> Iterator[Any]:
    """The browser, on the first page of a store with a few things in it."""
    for number in range(6):
        type = "charge.refunded" if number % 2 else "invoice.paid"
        Events(connection, f"gw{number % 2}/test_{number}").insert(
            {"id": f"evt_{number}", "type": type, "created": 1735689600 + number, "data": {"object": {"amount": 5}}}
        )
    Things(connection, "gw1/odd").insert({"id": "a", "wide": "w" * 5000, "of": {"deep": [1, {"er": "found"}]}})
    with Inspector(connection) as inspector:
        complaints(driver)
        resize(driver, 1200, 900)
        colours(driver, "light")
        driver.get(inspector.address)
        driver.base = inspector.url
        until(lambda: state(driver) == "live", "a live page")
        yield driver
        driver.get("about:blank")


def go(page: Any, path: str) -> None:
    page.get(page.base + path)
    until(lambda: state(page) == "live", f"a live page at {path}")


def state(page: Any) -> str:
    return str(page.execute_script("return document.documentElement.dataset.state"))


def text(page: Any) -> str:
    return str(page.execute_script("return document.body.innerText"))


def focused(page: Any) -> str:
    """What has the focus, in words."""
    return str(
        page.execute_script(
            "const it = document.activeElement; return it.innerText || it.getAttribute('name') || it.localName"
        )
    ).strip()


def press(page: Any, key: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(page).send_keys(key).perform()


def test_the_address_leads_to_a_page_that_works(page: Any) -> None:
    assert page.current_url == f"{page.base}/"  # no token stays in it, nor in the history
    assert page.execute_script("return document.cookie") == ""
    for number in range(6):
        assert f"gw{number % 2}/test_{number}" in text(page)
    page.find_element("partial link text", "Timeline").click()
    until(lambda: "evt_5" in text(page), "the timeline")
    page.find_element("link text", "evt_5").click()
    until(lambda: page.current_url.endswith("id=evt_5"), "the event")
    for path in PAGES:
        go(page, path)
    assert complaints(page) == []


def test_a_change_arrives_by_itself(page: Any, connection: Connection) -> None:
    for path, there in (
        ("/", "gw7/new"),
        (f"/items?table={EVENTS}&namespace=gw7/new", "evt_new"),
        ("/timeline", "evt_new"),
    ):
        go(page, path)
        Events(connection, "gw7/new").clear_namespace("gw7/new")
        until(lambda there=there: there not in text(page).replace("in gw7/new", ""), "the page without it")
        Events(connection, "gw7/new").insert({"id": "evt_new", "type": "charge.refunded"})
        until(lambda there=there: there in text(page).replace("in gw7/new", ""), f"the change at {path}")
    assert complaints(page) == []


def test_what_is_open_stays_open_and_what_has_the_focus_keeps_it(page: Any, connection: Connection) -> None:
    go(page, "/items?table=things&namespace=gw1/odd")
    page.find_element("css selector", "details.item > summary").click()
    inner = page.find_element("css selector", "details.item details > summary")
    inner.click()
    assert "deep" in text(page)
    Things(connection, "gw1/odd").insert({"id": "b"})
    until(lambda: "2 items" in text(page), "the second item")
    assert page.execute_script("return document.querySelectorAll('details[open]').length") == 2
    assert focused(page).startswith("of")
    assert page.execute_script("return document.activeElement.localName") == "summary"


def test_a_page_that_was_paused_stays_as_it_is_until_it_goes_on(page: Any, connection: Connection) -> None:
    page.find_element("id", "pause").click()
    until(lambda: state(page) == "paused", "a paused page")
    Events(connection, "gw8/later").insert({"id": "evt_later", "type": "a"})
    page.find_element("id", "pause").click()
    until(lambda: "gw8/later" in text(page), "the change")
    assert state(page) == "live"


def test_the_end_is_shown(driver: Any) -> None:
    with Manager(max_size="16 MiB") as manager, manager.connect() as connection, Inspector(connection) as inspector:
        driver.get(inspector.address)
        until(lambda: state(driver) == "live", "a live page")
        manager.stop()
        until(lambda: "The store has gone" in text(driver), "the end of the store")
    with Manager(max_size="16 MiB") as manager, manager.connect() as connection:
        with Inspector(connection) as inspector:
            driver.get(inspector.address)
            until(lambda: state(driver) == "live", "a live page")
        until(lambda: "papertiger-shm ui has ended" in text(driver), "the end of the page")
    driver.get("about:blank")


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_script_of_an_items_runs(page: Any, connection: Connection, script: str) -> None:
    place = "gw0/" + script.replace("//", "/").replace("/", "-")
    Events(connection, place).insert({"id": script, "type": script, script: script, "of": {script: [script]}})
    before = page.execute_script(ELEMENTS)
    here = {"table": EVENTS, "namespace": place, "id": script}
    for path in ("/", "/timeline", "/runs", *(f"/{name}?{query(here)}" for name in ("items", "item"))):
        go(page, path)
        page.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
        title, commits = page.title, page.execute_script(COMMITS)
        Events(connection, place).insert({"id": "evt_more", "type": script})  # so that it is put there anew
        until(lambda before=commits: page.execute_script(COMMITS) != before, "the change")
        assert page.title == title != "taken"
        assert page.execute_script(ELEMENTS) == before
        assert page.current_url.startswith(page.base)
        assert (place if path == "/" else script) in text(page) or path == "/runs"
    assert complaints(page) == []  # a dialog would have made each call above fail


def query(parameters: dict[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(parameters)


def test_it_can_be_used_without_a_mouse(page: Any) -> None:
    from selenium.webdriver import Keys

    page.execute_script("document.activeElement.blur()")
    walked = []
    for _ in range(9):
        press(page, Keys.TAB)
        walked.append(focused(page))
        assert outlined(page), walked
    assert walked[:7] == ["Skip to the contents", "Store", "Timeline", "Runs", "Pause", "text", "Filter"]
    go(page, "/")
    press(page, Keys.TAB)
    skip = page.execute_script("return document.activeElement.getBoundingClientRect().left")
    assert skip >= 0  # to be seen, as soon as it has the focus
    press(page, Keys.ENTER)
    press(page, Keys.TAB)
    assert focused(page) == "text"
    press(page, "gw1/odd")
    press(page, Keys.ENTER)
    until(lambda: "text=gw1" in page.current_url, "the filtered page")
    until(lambda: state(page) == "live", "a live page")
    page.find_element("partial link text", "things").send_keys(Keys.ENTER)
    until(lambda: "/items" in page.current_url and state(page) == "live", "the items")
    page.execute_script("document.querySelector('button:not([type])').focus()")
    press(page, Keys.TAB)
    assert page.execute_script("return document.activeElement.localName") == "summary"
    press(page, Keys.ENTER)
    assert "This item alone" in text(page)
    press(page, Keys.TAB)
    assert focused(page) == "show all"


def outlined(page: Any) -> bool:
    return bool(
        page.execute_script(
            "const style = getComputedStyle(document.activeElement);"
            "return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2"
        )
    )


CONTRASTS = """
const light = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let it = element; it; it = it.parentElement) {
    const colour = getComputedStyle(it).backgroundColor;
    if (!colour.endsWith(', 0)')) return colour;
  }
  return 'rgb(255, 255, 255)';
};
const poor = [];
for (const element of document.querySelectorAll('body *')) {
  if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
  const [one, other] = [light(getComputedStyle(element).color), light(ground(element))];
  const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (contrast < 4.5) poor.push([element.outerHTML.slice(0, 100), contrast]);
}
return poor;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_the_light_and_in_the_dark(page: Any, scheme: str) -> None:
    colours(page, scheme)
    grounds = set()
    for path in PAGES:
        go(page, path)
        page.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
        grounds.add(page.execute_script("return getComputedStyle(document.body).backgroundColor"))
        assert page.execute_script(CONTRASTS) == []
    (ground,) = grounds
    brightness = sum(int(part) for part in ground[4:-1].split(","))
    assert (brightness > 600) if scheme == "light" else (brightness < 150)


@pytest.mark.parametrize("width", [320, 480, 800])
def test_a_narrow_window_does_not_scroll_sideways(page: Any, connection: Connection, width: int) -> None:
    long = "x" * 200
    Events(connection, f"gw0/{long}").insert({"id": long, "type": long, long: long})
    resize(page, width, 700)
    for path in (*PAGES, f"/items?table={EVENTS}&namespace=gw0/{long}"):
        go(page, path)
        page.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
        assert page.execute_script("return document.documentElement.scrollWidth") <= width, path


def test_without_its_script_the_page_is_whole(driver: Any, connection: Connection) -> None:
    Events(connection, "gw0/a").insert({"id": "evt_1", "type": "a"})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        with Inspector(connection) as inspector:
            driver.get(inspector.address)
            driver.find_element("partial link text", EVENTS).click()
            driver.find_element("css selector", "details.item > summary").click()
            driver.find_element("link text", "This item alone").click()
            assert "id=evt_1" in driver.current_url
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        driver.get("about:blank")
