// A slider beside a number field, which holds the value: moving one moves the other. Untouched it is no answer.
globalThis.bindTo("data-slides", (slider) => {
  const field = document.getElementById(slider.dataset.slides);
  slider.hidden = false;
  slider.toggleAttribute("data-untouched", field.value === "");
  slider.addEventListener("input", () => {
    field.value = slider.value;
    slider.removeAttribute("data-untouched");
  });
  slider.addEventListener("click", () => slider.dispatchEvent(new Event("input")));
  field.addEventListener("input", () => {
    slider.toggleAttribute("data-untouched", field.value === "");
    if (field.value !== "") slider.value = field.value;
  });
});
