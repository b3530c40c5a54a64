// Filters apply at once (data-auto on the form), unless they stand in an open drawer with a button; buttons of sent forms cannot be pressed twice.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-auto]");
  if (form && !event.target.closest("[popover]:popover-open")) form.requestSubmit();
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  setTimeout(() => delete form.dataset.sent, 8000);
});

// The first field with a fault gets the focus.
document.querySelector("main [aria-invalid=true]")?.focus();
