"""The report in a browser."""
from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

BROWSER = next(filter(None, map(shutil.which, (
    "chromium", "chromium-browser", "google-chrome", "chrome", "chrome-headless-shell"))), None)


class Browser:
    """Headless Chromium, spoken to by its debugging protocol over a pair of pipes."""

    def __init__(self, profile):
        (self._their_input, self._to), (self._from, self._their_output) = os.pipe(), os.pipe()
        # The protocol is spoken on descriptors 3 and 4.
        command = f'exec "$@" 3<&{self._their_input} 4>&{self._their_output}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, "browser", BROWSER, "--headless", "--no-sandbox", "--remote-debugging-pipe",
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(self._their_input, self._their_output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(self._their_input)
        os.close(self._their_output)
        self._answers, self._count, self.session, self.events = os.fdopen(self._from, "rb"), 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()

    def call(self, method, **parameters):
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._count:
            self.events.append(answer)
        return answer["result"]

    def open(self, path):
        self.call("Page.navigate", url=f"file://{path}")
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self):
        data = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("L"))

    def _read(self):
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "The browser has ended."
            message += byte
        return json.loads(message)


@pytest.mark.skipif(not BROWSER, reason="No Chromium on the PATH.")
@pytest.mark.parametrize("scheme, lightness", [("light", (240, 255)), ("dark", (0, 40))])
def test_a_browser_shows_it_in_light_and_dark_without_a_complaint_or_a_request(commands, tmp_path, scheme, lightness):
    browser = Browser(tmp_path / "profile")
    try:
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open(commands[0] / "r.html")
        assert browser.value("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        shown = "[...document.querySelectorAll('#frames-1 img')].map(image => image.offsetHeight > 0)"
        label = "document.getElementById('frame-label-1').textContent"
        assert (browser.value(shown), browser.value(label)) == ([False, True], "step 6")
        browser.value("{ const s = document.querySelector('[data-frames=frames-1]'); s.value = 0; "
                      "s.dispatchEvent(new Event('input')); }")
        assert (browser.value(shown), browser.value(label)) == ([True, False], "step 3")
        rows = ("[...document.querySelectorAll('#configuration-table tbody tr')]"
                ".filter(row => row.offsetHeight > 0).length")
        assert browser.value(rows) > 30
        browser.value("document.querySelector('[data-table]').click()")
        assert browser.value(rows) == 0  # Both are copies of one run.
        picture = browser.screenshot()
        assert lightness[0] <= np.median(picture) <= lightness[1] and picture.std() > 3
        complaints = [event for event in browser.events if event["method"] in (
            "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")]
        assert complaints == []
        requests = [event["params"]["request"]["url"] for event in browser.events
                    if event["method"] == "Network.requestWillBeSent"]
        assert {url.split(":")[0] for url in requests} == {"file", "data"}
        assert len([url for url in requests if url.startswith("file:")]) == 1
    finally:
        browser.close()
