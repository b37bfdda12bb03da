// An element with data-default is shown while the field that data-for names has another value than the default; its
// button with data-reset sets the field to it.
globalThis.bindTo("data-default", (mark) => {
  const field = document.getElementById(mark.dataset.for);
  const wanted = mark.dataset.default;
  const isSwitch = field.type === "checkbox";
  const update = () => {
    mark.hidden = isSwitch ? String(field.checked) === wanted : field.value.trim() === wanted;
  };
  field.addEventListener("input", update);
  mark.querySelector("[data-reset]").addEventListener("click", () => {
    if (isSwitch) field.checked = wanted === "true";
    else field.value = wanted;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  });
});
