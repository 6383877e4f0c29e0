"""What can be measured of a page as it is seen: contrast, names of what can be used, sizes, and what doesn't fit."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Page

LEAST_CONTRAST = 4.5  # WCAG 2.2 AA, for text of any size
LEAST_SIZE = 24  # CSS pixels, likewise (2.5.8)

_MEASURE = """
() => {
  const channel = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const found = parts(getComputedStyle(one).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const seen = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getBoundingClientRect().width > 1;
  const said = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !seen(element)) continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(ground(element))];
    said.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), text]);
  }
  const usable = [...document.querySelectorAll("a, button, input:not([type=hidden]), select, summary")].filter(seen);
  const edges = [...document.querySelectorAll("input:not([type=hidden]), select")].filter(seen).map((element) => {
    const [a, b] = [light(parts(getComputedStyle(element).borderTopColor)), light(ground(element.parentElement))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
  return {
    said,
    edges,
    nameless: usable.filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.[0]?.textContent.trim())).map((e) => e.outerHTML),
    small: usable.filter((e) => getComputedStyle(e).display !== "inline")
      .map((e) => [e.getBoundingClientRect(), e.outerHTML])
      .filter(([box]) => Math.min(box.width, box.height) < 24).map(([_, html]) => html),
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    headings: [...document.querySelectorAll("h1, h2, h3")].map((e) => Number(e.tagName[1])),
    landmarks: ["header", "main", "footer"].filter((name) => document.querySelectorAll(name).length !== 1),
  };
}
"""


async def must_be_readable(page: Page) -> None:
    """Fail if a text is too faint, something that can be used has no name or is too small, or the page is too wide."""
    found = await page.evaluate(_MEASURE)
    assert found["said"], "nothing is said"
    faint = [(round(contrast, 2), text) for contrast, text in found["said"] if contrast < LEAST_CONTRAST]
    assert faint == []
    assert all(contrast >= 3 for contrast in found["edges"]), found["edges"]
    assert found["nameless"] == []
    assert found["small"] == []
    assert found["wide"] <= 0
    assert found["landmarks"] == []
    levels = found["headings"]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
