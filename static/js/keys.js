// Keys of every page. Single letters do nothing while a field has focus, or when switched off in settings.
import { openFinder } from "./finder.js";

let pending = "";
let timer = 0;

function typing(target) {
  return target.closest?.("input, textarea, select, [contenteditable], dialog[open]");
}

function remember(key) {
  pending = key;
  clearTimeout(timer);
  timer = setTimeout(() => (pending = ""), 1200);
}

// What a key means on this page: a field takes the focus, anything else is pressed.
function press(found, event) {
  if (!found) return;
  if (found.matches("input, textarea, select")) {
    event.preventDefault(); // or the letter would stand in the field
    found.focus();
  } else {
    found.click();
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key === "k" && (event.metaKey || event.ctrlKey)) {
    event.preventDefault();
    openFinder();
    return;
  }
  if (event.metaKey || event.ctrlKey || event.altKey || typing(event.target)) return;
  if (!("singleKeys" in document.body.dataset)) return;
  if (event.key === "/") {
    event.preventDefault();
    openFinder();
  } else if (event.key === "?") {
    document.getElementById("keys")?.showModal();
  } else if (pending === "g") {
    pending = "";
    document.querySelector(`[data-go="${CSS.escape(event.key)}"]`)?.click();
  } else if (pending === "c") {
    pending = "";
    if (event.key === "s") location.assign("/streams/new/");
  } else if (event.key === "g" || event.key === "c") {
    remember(event.key);
  } else {
    press(document.querySelector(`main [data-key="${CSS.escape(event.key)}"]`), event);
  }
});
