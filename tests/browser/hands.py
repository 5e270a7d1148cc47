"""Somebody with a keyboard and no mouse, who has to see where they are."""

from __future__ import annotations

from typing import Any, Final

from playwright.sync_api import Locator, Page, expect

MOST: Final = 150
"""Further nobody goes on pressing the same key."""

WHERE: Final = """() => {
  const at = document.activeElement, box = at.getBoundingClientRect();
  const ringed = (each) => {
    const look = getComputedStyle(each);
    const outlined = look.outlineStyle !== "none" && parseFloat(look.outlineWidth) > 0;
    return (outlined && !/, 0\\)$|transparent/.test(look.outlineColor)) || /0px 0px 0px [1-9]/.test(look.boxShadow);
  };
  // A line to write in may show it by the frame that it stands in.
  const frames = at.matches("input") ? [at, at.parentElement] : [at];
  const [x, y] = [box.x + Math.min(box.width / 2, 200), box.y + Math.min(box.height / 2, 100)];
  const hit = document.elementFromPoint(x, y);
  const said = at.getAttribute("aria-label") || at.textContent || at.name;
  return {
    is: `<${at.tagName.toLowerCase()}> ${said.trim().slice(0, 60)}`,
    inside: Boolean(at.closest("#content, #desk-said")) && at.id !== "content",
    isSeen: box.width > 1 && box.height > 1 && Boolean(hit) && (at.contains(hit) || hit.contains(at)),
    isRinged: frames.some(ringed),
  };
}"""


class Hands:
    """What they do on a page, and what they demand of it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def reach(self, target: Locator, *, by: str = "Tab", most: int = MOST) -> None:
        """Press `by` until this has the focus, shown by a ring around what nothing covers."""
        wanted = target.element_handle()
        for _ in range(most):
            self.page.keyboard.press(by)
            if wanted.evaluate("(each) => each === document.activeElement"):
                self.see()
                return
        raise AssertionError(f"{self.page.url}: {by} never reaches {target}")

    def skip(self) -> None:
        """From the top of a page over the menu, by the first key."""
        self.page.evaluate("const all = document.body; all.tabIndex = -1; all.focus(); all.removeAttribute('tabindex')")
        self.reach(self.page.locator(".desk-skip"), most=1)
        self.press("Enter")
        expect(self.page.locator("#content")).to_be_focused()

    def see(self) -> dict[str, Any]:
        """Where they are, which can be seen."""
        at: dict[str, Any] = self.page.evaluate(WHERE)
        assert at["isSeen"], f"{self.page.url}: the focus is on what is not to be seen: {at}"
        assert at["isRinged"], f"{self.page.url}: nothing shows where the focus is: {at}"
        return at

    def is_led_to_the_matter(self) -> None:
        """A page has opened, and the focus is on what it asks or says, not somewhere at its top."""
        expect(self.page.locator("body"), f"{self.page.url} begins nowhere").not_to_be_focused(timeout=5_000)
        assert self.see()["inside"], f"{self.page.url}: {self.see()}"
