// Copies the text of what a button names: data-copy holds a selector.
import { say } from "./say.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button || "copied" in button.dataset) return;
  const source = document.querySelector(button.dataset.copy);
  await navigator.clipboard.writeText((source.value ?? source.textContent).trim());
  const before = [...button.childNodes]; // with its icon
  button.dataset.copied = "";
  button.textContent = "Copied";
  say("Copied");
  setTimeout(() => {
    button.replaceChildren(...before);
    delete button.dataset.copied;
  }, 2000);
});
