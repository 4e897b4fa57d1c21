"""Headless Chromium for tests, driven by selenium: Debian's packages chromium and chromium-driver."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

VARIABLE = "PAPERTIGER_TEST_BROWSER"

IS_WANTED = VARIABLE in os.environ
"""It takes seconds to come up, and is not on every machine, so only `tox -e browser` asks for it."""

SECONDS = 30.0


@contextmanager
def chromium(*, dark: bool = False, width: int = 1200, height: int = 900) -> Iterator[Any]:
    """A browser with a profile of its own, as selenium's driver."""
    from selenium import webdriver

    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        raise AssertionError(f"{' and '.join(missing)} not found: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs["chromium"])
    with tempfile.TemporaryDirectory(prefix="pt-browser-", ignore_cleanup_errors=True) as profile:
        for argument in (
            "--headless=new",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--force-color-profile=srgb",
            "--hide-scrollbars",
            "--no-first-run",
            "--no-sandbox",  # which root cannot have
            f"--user-data-dir={profile}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=programs["chromedriver"])
        driver = webdriver.Chrome(options=options, service=service)
        try:
            resize(driver, width, height)
            colours(driver, "dark" if dark else "light")
            yield driver
        finally:
            driver.quit()


def resize(driver: Any, width: int, height: int, scale: float = 1) -> None:
    """The size of the page itself, in CSS pixels; a window has one below which it does not go."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False},
    )


def colours(driver: Any, scheme: str) -> None:
    """``"dark"`` or ``"light"``, as the system would prefer it."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def complaints(driver: Any) -> list[str]:
    """What the console has heard since the last call, violations of the page's policy included."""
    return [json.dumps(entry) for entry in driver.get_log("browser")]


def until(holds: Callable[[], Any], what: str) -> Any:
    """What it gives as soon as it gives something."""
    deadline = time.monotonic() + SECONDS
    while not (result := holds()):
        assert time.monotonic() < deadline, f"{what} did not come about within {SECONDS:g} s"
        time.sleep(0.02)
    return result
