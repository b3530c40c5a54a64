// Passkeys: hands a page's button to the library's script, and says why nothing came of it.
const FORMS = new Map([
  ["add", ["addForm", "add"]],
  ["authenticate", ["authenticateForm", "authenticate"]],
  ["login", ["loginForm", "login"]],
]);
const WHY = new Map([
  ["NotAllowedError", "It was called off, or took too long."],
  ["InvalidStateError", "This device already holds a passkey of your account."],
  ["SecurityError", "Browsers take passkeys by the portal’s name only, over https or at localhost."],
]);

// The library's scripts stand after this module in the page: all have run when it is loaded.
document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector("[data-passkey]");
  if (!button) return;
  const forms = window.allauth?.webauthn?.forms;
  if (!forms || !window.PublicKeyCredential) {
    button.hidden = true;
    return;
  }
  const [form, id] = FORMS.get(button.dataset.passkey);
  forms[form]({
    ids: {
      [id]: button.id,
      credential: "id_credential",
      passwordless: document.getElementById("id_passwordless") ? "id_passwordless" : undefined,
      data: document.getElementById("js_data") ? "js_data" : undefined,
    },
  });
});

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const place = document.querySelector("[data-passkey-fault]");
  if (!place) return;
  const why = WHY.get(event.detail.exception.name) ?? "The browser could not do it.";
  place.querySelector("p").textContent = `No passkey was used. ${why}`;
  place.hidden = false;
});
