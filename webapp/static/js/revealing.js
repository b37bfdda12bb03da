// Beside each password field stands a button that shows what was typed, until it is pressed again or the form is sent.
globalThis.bindTo("data-reveal", (button) => {
  const input = document.getElementById(button.dataset.reveal);
  const set = (isShown) => {
    input.type = isShown ? "text" : "password";
    button.setAttribute("aria-pressed", String(isShown));
  };
  button.hidden = false;
  button.addEventListener("click", () => set(input.type === "password"));
  input.form?.addEventListener("submit", () => set(false));
});
