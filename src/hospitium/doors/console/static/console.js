// All that these pages do by script; each works without.
"use strict";

// A link's token stands behind the #, where no server sees it. It is put into the form, wiped from the address, and shown
// what it is about. Whoever has no script pastes it.
function lift() {
  const form = document.querySelector("form[data-lift]");
  const token = location.hash.slice(1);
  if (!form || !token || token === "content" || document.getElementById(token)) return;
  history.replaceState(null, "", location.pathname + location.search);
  form.elements[form.dataset.lift || "link"].value = token;
  form.submit();
}
lift();
addEventListener("hashchange", lift);

// A password may be looked at by whoever typed it.
for (const button of document.querySelectorAll("button.show")) {
  const input = document.getElementById(button.getAttribute("aria-controls"));
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
    input.focus();
  });
}

// Pressed twice is meant once.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    for (const input of form.querySelectorAll("[autocomplete$=password]")) input.type = "password";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form")) delete form.dataset.sent;
});
