// What the theme makes of elements that no keyboard reaches becomes a button for everybody.
"use strict";

function reachable(element) {
  if (element.dataset.desk || element.closest("a[href], button, summary")) return;
  element.dataset.desk = "reachable";
  if (!element.hasAttribute("role")) element.setAttribute("role", "button");
  element.tabIndex = 0;
  element.addEventListener("keydown", (event) => {
    if (event.target !== element || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    element.click();
  });
}

const CLICKED = ":is(span, div, h2, a:not([href]))[x-on\\:click]";
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(CLICKED).forEach(reachable);
  // A sign is written as the word that its font draws: nobody should hear "dock to right".
  const names = document.getElementById("desk-names");
  for (const sign of document.querySelectorAll(".material-symbols-outlined")) {
    const word = sign.textContent.trim();
    const button = sign.closest("a, button, [role=button]");
    const isAlone = button && button.textContent.trim() === word && !button.hasAttribute("title");
    if (isAlone && !button.hasAttribute("aria-label")) {
      button.setAttribute("aria-label", names?.getAttribute(`data-${word}`) || word);
    }
    if (button !== sign) sign.setAttribute("aria-hidden", "true");
  }
  // Where the page begins, for whoever jumps from landmark to landmark, or over the menu.
  document.getElementById("main")?.setAttribute("role", "main");
  document.getElementById("content")?.setAttribute("tabindex", "-1");
});

// Django's own boxes to choose in, which are made when the page has loaded.
window.addEventListener("load", () => setTimeout(() => {
  for (const hint of document.querySelectorAll("span[aria-label]:not([role])")) hint.setAttribute("role", "img");
}));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.dataset.done = "yes";
    button.append(" ✓");
  } catch {
    button.parentElement.querySelector("input")?.select();
  }
});
