// Uses the designer's controls at random: a seed gives the same steps again. Returns what was done, for a failed test.
async ({ seed, steps, texts }) => {
  const random = (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const pick = (list) => list[random(list.length)];
  const frame = () => new Promise((done) => setTimeout(done, 0));
  const done = [];
  const type = (field, text) => {
    const prototype = field.tagName === "TEXTAREA" ? HTMLTextAreaElement : HTMLInputElement;
    Object.getOwnPropertyDescriptor(prototype.prototype, "value").set.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  for (let step = 0; step < steps; step += 1) {
    await frame();
    const scope = document.querySelector("dialog[open]") ?? document.getElementById("designer");
    const controls = [...scope.querySelectorAll("button, select, input, textarea")].filter(
      (control) => control.offsetParent !== null && control.getAttribute("aria-disabled") !== "true",
    );
    // Adding and conditions are rarer than the rest, and most of what is to be tried.
    const wanted = controls.filter((control) => control.closest(".condition-box, .add-menu, .answers-editor, dialog") || control.id === "add-question");
    const control = pick(random(3) && wanted.length ? wanted : controls);
    done.push(`${control.tagName} ${control.getAttribute("aria-label") ?? control.textContent.slice(0, 30)}`);
    if (control.tagName === "SELECT") {
      control.selectedIndex = random(control.options.length);
      control.dispatchEvent(new Event("change", { bubbles: true }));
    } else if (control.type === "checkbox" || control.tagName === "BUTTON") {
      control.click();
    } else if (control.inputMode === "numeric") {
      type(control, String(random(12)));
    } else {
      type(control, pick(texts));
    }
  }
  document.querySelector("dialog[open] footer .primary")?.click();
  return done;
}
