// Keeps a form that was sent, or being filled in, when the session ended (CLAR-24): in this tab only, for the same
// researcher only, without passwords and files. After signing in again the form is filled in as it was, to be looked at
// and sent once more. A form that went through is forgotten with the next page; the sign-in page (kept_forms_note.js)
// marks one that did not.
const KEY = "kept-form";
const INTERRUPTED = "kept-form-interrupted";
const SECRET = new Set(["password", "file", "hidden"]);
const who = document.body.dataset.researcher;

const fieldsOf = (form) =>
  [...form.elements]
    .filter((field) => field.name && !SECRET.has(field.type) && field.autocomplete !== "one-time-code")
    .filter((field) => !/password|mfa_code|csrf/.test(field.name))
    .map((field) => {
      if (field.type === "checkbox" || field.type === "radio") return [field.name, field.value, field.checked];
      if (field.type === "select-multiple") return [field.name, [...field.selectedOptions].map((option) => option.value), true];
      return [field.name, field.value, true];
    });

// Hidden fields are not kept as fields, but tell forms of one address apart, such as those of a list's rows: what was
// typed goes into the form of the same row only.
const marksOf = (form) =>
  JSON.stringify(
    [...form.elements]
      .filter(({ type, name }) => type === "hidden" && name && !/csrf|passkey|password/.test(name))
      .map(({ name, value }) => [name, value]),
  );

const pathOf = (form) => new URL(form.action, location.href).pathname;
const isKept = (form) => form.method === "post" && !form.closest("[data-not-kept]") && fieldsOf(form).length > 0;
const keep = (form) => {
  const kept = { who, page: document.body.dataset.page, path: pathOf(form), marks: marksOf(form), fields: fieldsOf(form) };
  sessionStorage.setItem(KEY, JSON.stringify(kept));
};
const forget = () => {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(INTERRUPTED);
};

let touched = null;
document.addEventListener("input", ({ target }) => { touched = target.form ?? touched; });
document.addEventListener("submit", ({ target }) => {
  forget();
  if (isKept(target)) keep(target);
  touched = null;
});
document.addEventListener("session-ended", () => { if (touched && isKept(touched)) keep(touched); });
document.addEventListener("htmx:after:swap", () => { if (!touched) forget(); });

function fill(form, fields) {
  for (const [name, value, isOn] of fields) {
    for (const field of [...form.elements].filter((element) => element.name === name)) {
      if (field.type === "checkbox" || field.type === "radio") {
        if (field.value === value) field.checked = isOn;
      } else if (field.type === "select-multiple") {
        for (const option of field.options) option.selected = value.includes(option.value);
      } else field.value = value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }
}

function bring() {
  const text = sessionStorage.getItem(KEY);
  const kept = text && JSON.parse(text);
  if (!kept || kept.who !== who || !sessionStorage.getItem(INTERRUPTED)) return forget();
  const banner = document.getElementById("kept-form");
  const show = (name) => { banner.querySelector(`[data-${name}]`).hidden = false; };
  const isItsPage = kept.page === document.body.dataset.page;
  const form = [...document.forms].find(
    (candidate) => candidate.method === "post" && pathOf(candidate) === kept.path && marksOf(candidate) === kept.marks,
  );
  banner.hidden = false;
  banner.querySelector("button").addEventListener("click", () => {
    forget();
    banner.hidden = true;
  });
  if (isItsPage && form) {
    forget();
    fill(form, kept.fields);
    form.closest("details")?.setAttribute("open", "");
    form.scrollIntoView({ block: "center" });
    show("here");
  } else if (kept.page && !isItsPage) {
    banner.querySelector("a").href = kept.page;
    show("elsewhere");
  } else {
    const typed = kept.fields.filter(([, value, isOn]) => isOn && value).map(([name, value]) => `${name}: ${value}`);
    banner.querySelector("pre").textContent = typed.join("\n");
    show("typed");
  }
}
bring();
