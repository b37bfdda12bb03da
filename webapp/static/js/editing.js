// A field with data-focus takes the focus when it comes into the page; Escape in one with data-escape asks that address
// for what was there before.
globalThis.bindTo("data-focus", (element) => {
  element.focus();
  element.select?.();
});
document.addEventListener("keydown", (event) => {
  const field = event.target.closest?.("[data-escape]");
  if (!field || event.key !== "Escape") return;
  event.preventDefault();
  globalThis.htmx.ajax("GET", `${field.dataset.escape}?cancel`, { source: field, target: field.closest("td"), swap: "innerHTML" });
});
