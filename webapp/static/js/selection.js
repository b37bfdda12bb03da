// In a form with data-selection: the box with data-selects ticks all boxes of that name, and data-selected says how many
// are ticked.
globalThis.bindTo("data-selection", (form) => {
  const all = form.querySelector("[data-selects]");
  const said = form.querySelector("[data-selected]");
  if (!all || !said) return;
  const boxes = () => [...form.querySelectorAll(`input[name="${all.dataset.selects}"]`)];
  const count = () => {
    const ticked = boxes().filter((box) => box.checked).length;
    all.checked = ticked > 0 && ticked === boxes().length;
    all.indeterminate = ticked > 0 && !all.checked;
    said.textContent = ticked ? `With ${ticked} selected:` : "With the selected:";
  };
  form.addEventListener("change", ({ target }) => {
    if (target === all) for (const box of boxes()) box.checked = all.checked;
    count();
  });
  count();
});
