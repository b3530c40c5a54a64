// j and k move through the rows of the lists marked data-rows; Enter follows the row's link.
function rows() {
  return [...document.querySelectorAll("[data-rows] > :is(li, tr)")].filter((row) => row.querySelector("a"));
}

document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, dialog[open]")) return;
  if (!("singleKeys" in document.body.dataset) || !["j", "k"].includes(event.key)) return;
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[Math.max(0, Math.min(all.length - 1, at + (event.key === "j" ? 1 : -1)))];
  next.querySelector("a").focus();
  next.scrollIntoView({ block: "nearest" });
});
