// A field with data-focus takes the focus when it comes into the page; Escape in one with data-escape asks that address
// for what was there before.
globalThis.bindTo("data-focus", (element) => {
  element.focus();
  element.select?.();
});
// One with data-saves gets a `save` event on Enter, and when it is left with another text than it came with.
globalThis.bindTo("data-saves", (field) => {
  let saved = field.value;
  const save = () => {
    saved = field.value;
    field.dispatchEvent(new Event("save"));
  };
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // the form around the table is for the selection
    save();
  });
  field.addEventListener("blur", () => {
    if (field.isConnected && field.value !== saved) save();
  });
});
document.addEventListener("keydown", (event) => {
  const field = event.target.closest?.("[data-escape]");
  if (!field || event.key !== "Escape") return;
  event.preventDefault();
  globalThis.htmx.ajax("GET", `${field.dataset.escape}?cancel`, { source: field, target: field.closest("td"), swap: "innerHTML" });
});
