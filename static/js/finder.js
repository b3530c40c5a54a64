// The finder: opens with "/" or Ctrl/Cmd+K, moves by arrow keys, opens what is chosen.
const palette = document.getElementById("palette");
const input = palette?.querySelector("input[name=q]");
const list = document.getElementById("palette-list");
let opener = null;

export function openFinder() {
  if (!palette || palette.open) return;
  opener = document.activeElement;
  palette.showModal();
  input.select();
  input.dispatchEvent(new CustomEvent("finder:open", { bubbles: true }));
}

function options() {
  return [...list.querySelectorAll("[role=option]")];
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
  const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
  const next = step === "first" ? 0 : step === "last" ? all.length - 1 : (at + step + all.length) % all.length;
  choose(all[next]);
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
  palette.addEventListener("close", () => opener?.focus());
  input.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, Home: "first", End: "last" };
    if (event.key in steps && (typeof steps[event.key] === "number" || !input.value)) {
      event.preventDefault();
      move(steps[event.key]);
    }
    if (event.key === "Enter") {
      const chosen = options().find((option) => option.getAttribute("aria-selected") === "true");
      if (chosen) {
        event.preventDefault();
        location.assign(chosen.dataset.href);
      }
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target === list) choose(options()[0] ?? null);
  });
}
