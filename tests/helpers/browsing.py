"""A headless Chromium that looks at pages, and what it had to say and to load meanwhile."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
TEXTS = ("Colourless <b>green</b> ideas", "sleep & furiously")
"""Of samples of a page; not all may be taken for markup."""
LOCAL = ("file:", "data:", "blob:", "about:", "chrome:", "devtools:")


def start_browser():
    """A selenium driver; skips the test where Debian's chromium, chromium-driver or selenium are missing."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("pages are not looked at: install chromium and chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="pages are not looked at: install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for one in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


class Visit:
    """One page in a browser.

    Args:
        width: of the window in CSS pixels. dark: what the system prefers.
    """

    def __init__(self, browser, page: Path, width: int = 1200, *, dark: bool = False, views: bool = True):
        self.browser = browser
        for kind in ("browser", "performance"):
            browser.get_log(kind)  # of the page before
        self.widen(width)
        prefers = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": prefers})
        browser.get(page.resolve().as_uri())
        if views:
            self.see_all()

    def widen(self, width):
        """Give the window another width."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def see_all(self):
        """Scroll to every view, so that it is drawn."""
        for view in self.all(".view"):
            self.view(view.get_attribute("data-view"))

    def one(self, selector):
        return self.browser.find_element("css selector", selector)

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def view(self, name):
        """Scroll to a view, so that it is drawn."""
        found = self.one(f'[data-view="{name}"]')
        self.run("arguments[0].scrollIntoView({block: 'center'})", found)
        self.until(lambda: found.get_attribute("data-ready"))
        return found

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def until(self, condition, seconds=30):
        """Wait for a condition, which the browser may fulfil in its own time."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, "the page did not get there"
            time.sleep(0.05)
        return found

    def press(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def focus(self, element):
        self.run("arguments[0].focus()", element)

    def choose(self, field, value):
        """Set a select, as a person would."""
        self.run("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))", field, value)

    def messages(self):
        """What the console shows."""
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def loaded(self):
        """Addresses that were asked for, but for the page's own insides."""
        events = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        asked = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith(LOCAL)], len(asked)

    def too_wide(self):
        """What reaches beyond the window and does not stand in something that scrolls."""
        return self.run("""
            const wide = document.documentElement.scrollWidth > innerWidth ? ["the page"] : [];
            for (const one of document.querySelectorAll("body *")) {
              if (one.closest(".skip, .scroll *, .contents ol, .chart *, script, style")) continue;
              const box = one.getBoundingClientRect();
              if (box.width && (box.right > innerWidth + 1 || box.left < -1)) wide.push(one.outerHTML.slice(0, 80));
            }
            return wide;""")


def data_of(page, ending):
    """What a page holds under an id that ends so, as JSON."""
    html = page.read_text()
    start = html.index(">", html.index(f'{ending}">') + len(ending))
    return json.loads(html[start + 1 : html.index("</script>", start)])
