// The finder: opens with "/" or Ctrl/Cmd+K, moves by arrow keys, opens what is chosen. Tab on a stream
// shows what can be done with it. It opens with the streams looked at last, kept in this browser.
const KEPT = "streams-opened";
const STEPS = new Map([["ArrowDown", 1], ["ArrowUp", -1], ["Home", "first"], ["End", "last"]]);
const palette = document.getElementById("palette");
const input = palette?.querySelector("input[name=q]");
const list = document.getElementById("palette-list");
const status = document.getElementById("palette-status");
let opener = null;
let acting = false;

function opened() {
  try {
    const names = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

const here = document.querySelector("[data-opened]")?.dataset.opened;
if (here) {
  try {
    localStorage.setItem(KEPT, JSON.stringify([here, ...opened().filter((name) => name !== here)].slice(0, 5)));
  } catch {
    // Storage may be switched off; the finder then opens with other streams.
  }
}

export function openFinder() {
  if (!palette || palette.open) return;
  opener = document.activeElement;
  palette.showModal();
  input.select();
  ask();
}

function ask() {
  acting = false;
  input.dispatchEvent(new CustomEvent("finder:open", { bubbles: true }));
}

function options() {
  return [...list.querySelectorAll("[role=option]")];
}

function chosen() {
  return options().find((option) => option.getAttribute("aria-selected") === "true");
}

function choose(option) {
  for (const other of options()) other.setAttribute("aria-selected", String(other === option));
  if (option) {
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else {
    input.removeAttribute("aria-activedescendant");
  }
}

function move(step) {
  const all = options();
  if (!all.length) return;
  const at = all.indexOf(chosen());
  const next = step === "first" ? 0 : step === "last" ? all.length - 1 : (at + step + all.length) % all.length;
  choose(all[next]);
}

function showActions(name) {
  acting = true;
  window.htmx.ajax("GET", `/search/palette/?of=${encodeURIComponent(name)}`, { target: list, swap: "innerHTML" });
}

if (palette) {
  document.addEventListener("click", (event) => {
    const trigger = event.target.closest("[data-open=palette]");
    if (trigger) {
      event.preventDefault();
      openFinder();
    }
    const option = event.target.closest("#palette [role=option]");
    if (option) location.assign(option.dataset.href);
    if (event.target === palette) palette.close();
  });
  palette.addEventListener("cancel", (event) => {
    if (!acting) return;
    event.preventDefault(); // the first Escape leads back from the actions of a stream
    ask();
  });
  palette.addEventListener("close", () => {
    input.setAttribute("aria-expanded", "false");
    opener?.focus();
  });
  input.addEventListener("input", () => (acting = false));
  input.addEventListener("keydown", (event) => {
    const step = STEPS.get(event.key);
    if (step !== undefined && (typeof step === "number" || !input.value)) {
      event.preventDefault();
      move(step);
    }
    const option = chosen();
    if (event.key === "Enter" && option) {
      event.preventDefault();
      location.assign(option.dataset.href);
    }
    if (event.key === "Tab" && !event.shiftKey && option?.dataset.stream) {
      event.preventDefault();
      showActions(option.dataset.stream);
    }
  });
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.target === input && !input.value) event.detail.parameters.opened = opened().join(",");
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target !== list) return;
    const all = options();
    choose(all[0] ?? null);
    input.setAttribute("aria-expanded", String(all.length > 0));
    status.textContent = list.querySelector("[data-said]")?.dataset.said || "Nothing fits.";
  });
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      if (event.target !== input) return;
      choose(null);
      status.textContent = "The portal does not answer. Type on to try again.";
      const note = document.createElement("p");
      note.className = "none";
      note.textContent = status.textContent;
      list.replaceChildren(note);
    });
  }
}
