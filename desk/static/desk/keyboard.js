// Where the keyboard is: on what was asked or said when a page opens, and in what opens over it until that is closed.
"use strict";

const STOPS = "a[href], button:not([disabled]), input:not([type=hidden], [disabled]), select, textarea, [tabindex='0']";
const WRONG = "#content .errors :is(input:not([type=hidden]), select, textarea)";
const FIRST = ".desk-form :is(input:not([type=hidden]), select, textarea)";
// Enter has opened the page, and may still be held down: it must not decide anything, so no button is chosen.
const CHOSEN = ".desk-list:has(~ .desk-form)";

window.addEventListener("load", () => {
  if (document.activeElement !== document.body) return;
  const begin =
    document.querySelector("[autofocus]") || document.querySelector("#desk-said[tabindex]") ||
    document.querySelector(WRONG) || document.querySelector(`${FIRST}:checked`) || document.querySelector(FIRST) ||
    document.querySelector(CHOSEN);
  if (!begin) return;
  if (begin.matches(CHOSEN)) begin.tabIndex = -1;
  begin.focus();
});

// Over the menu; the address stays as it is, for a form that is posted would take its "#content" along.
document.addEventListener("click", (event) => {
  if (!event.target.closest(".desk-skip")) return;
  event.preventDefault();
  document.getElementById("content")?.focus();
});

// The theme says in a variable of its own whether each of these is open.
const SHEETS = {
  filterOpen: () => document.querySelector("#changelist-filter > :not(#changelist-filter-close)"),
  sidebarMobileOpen: () => document.getElementById("nav-sidebar"),
  openUserLinks: () => document.querySelector("nav[x-show=openUserLinks]"),
};

function stops(box) {
  return [...box.querySelectorAll(STOPS)].filter((each) => each.checkVisibility({ visibilityProperty: true }));
}

function keep(name, box) {
  const openers = [...document.querySelectorAll(`[x-on\\:click*=${name}]`)].filter((each) => !box.contains(each));
  const data = Alpine.$data(box);
  let from = null;
  Alpine.effect(() => {
    const isOpen = data[name];
    for (const each of openers) each.setAttribute("aria-expanded", String(isOpen));
    Alpine.nextTick(() => requestAnimationFrame(() => {
      if (isOpen && !box.contains(document.activeElement)) {
        from = document.activeElement;
        stops(box)[0]?.focus();
      } else if (!isOpen && from) {
        if (box.contains(document.activeElement) || document.activeElement === document.body) from.focus();
        from = null;
      }
    }));
  });
  document.addEventListener("keydown", (event) => {
    if (!data[name] || !box.contains(document.activeElement)) return;
    if (event.key === "Escape") {
      data[name] = false;
    } else if (event.key === "Tab") {
      const all = stops(box);
      const edge = event.shiftKey ? all[0] : all.at(-1);
      if (document.activeElement !== edge) return;
      event.preventDefault();
      all.at(event.shiftKey ? -1 : 0).focus();
    }
  });
}

document.addEventListener("alpine:initialized", () => {
  for (const [name, find] of Object.entries(SHEETS)) {
    const box = find();
    if (box) keep(name, box);
  }
});
