// "/" goes to the search box at the top, wherever one is, unless one is writing.
"use strict";

const WRITES = "input, textarea, select, [contenteditable]";
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest(WRITES)) return;
  const box = document.getElementById("desk-search");
  if (!box) return;
  event.preventDefault();
  event.stopImmediatePropagation(); // the theme would go to the search of the list
  box.focus();
  box.select();
}, true);
