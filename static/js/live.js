// Keeps panels fresh: data-live="<url>" is fetched again every data-every seconds, not in hidden tabs.
// A part inside that was changed by hand (another range) says with data-live-from what to fetch. A failed refresh keeps the old content and says as of when it holds, unless data-live-quiet.
const DEFAULT_SECONDS = 15;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });

function panels() {
  return document.querySelectorAll("[data-live]");
}

async function refresh(panel) {
  if (panel.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) return;
  if (panel.querySelector("details[open]")) return; // somebody reads what they unfolded
  panel.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(panel.querySelector("[data-live-from]")?.dataset.liveFrom ?? panel.dataset.live, {
      headers: { "HX-Request": "true" },
      signal: AbortSignal.timeout(10000),
    });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const held = panel.contains(document.activeElement) ? document.activeElement.id : "";
    panel.innerHTML = await answer.text();
    panel.dataset.shownAt = clock.format(new Date());
    panel.classList.remove("is-stale");
    window.htmx?.process(panel);
    if (held) document.getElementById(held)?.focus();
    for (const dot of document.querySelectorAll(".live")) dot.replaceWith(dot.cloneNode()); // breathes once
    panel.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true }));
  } catch {
    if (!("liveQuiet" in panel.dataset)) stale(panel);
  } finally {
    panel.removeAttribute("aria-busy");
  }
}

function stale(panel) {
  panel.classList.add("is-stale");
  let note = panel.querySelector(":scope > .stale");
  if (!note) {
    note = document.createElement("p");
    note.className = "callout warn stale";
    panel.prepend(note);
  }
  note.textContent = `Shown as of ${panel.dataset.shownAt ?? "the time this page was opened"}. Trying again.`;
}

setInterval(() => {
  if (document.hidden) return;
  const now = Date.now();
  for (const panel of panels()) {
    const every = Number(panel.dataset.every ?? DEFAULT_SECONDS) * 1000;
    if (now - Number(panel.dataset.last ?? performance.timeOrigin) >= every) {
      panel.dataset.last = String(now);
      refresh(panel);
    }
  }
}, 1000);
