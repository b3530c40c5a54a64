// Tells screen readers, once and politely, what changed.
export function say(text) {
  const region = document.getElementById("live-region");
  if (region) region.textContent = text;
}
