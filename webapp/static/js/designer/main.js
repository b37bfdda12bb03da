// Starts the designer on #designer: draws it, saves by itself, publishes and discards after saving, and keeps what was
// edited when the session ends.
import { html, render } from "../../vendor/preact.js";
import { App } from "./app.js";
import { Designer } from "./designer.js";
import { useSprite } from "./parts.js";
import { Saver } from "./saving.js";

const root = document.getElementById("designer");
const editor = JSON.parse(root.dataset.editor);
const token = JSON.parse(document.body.getAttribute("hx-headers:inherited"))["X-CSRFToken"];
const KEPT = `kept-draft ${location.pathname}`;
useSprite(root.dataset.icons);

const saving = {
  state: "saved",
  reason: "",
  isDraft: editor.is_draft,
  isPublished: root.dataset.published === "yes",
  savedAt: editor.saved_at,
  conflict: null,
  compare,
  takeTheirs: () => leaveConflict((theirs) => { designer.load(theirs); }),
  keepMine: () => leaveConflict(() => {}),
};
const draw = () => { render(html`<${App} designer=${designer} saving=${saving} />`, root); designer.settleFocus(); };
const designer = new Designer(editor, { draw, changed: (document) => saver.want(document) });
designer.bringInAddress = root.dataset.bringIn;
const saver = new Saver(root.dataset.draft, token, designer.document, editor.number, hear);
const form = (name) => document.querySelector(`form[data-${name}]`);

function hear(state, body) {
  saving.state = state;
  saving.reason = body.reason ?? "";
  if (state === "saved" && body.findings) {
    designer.hear(body);
    Object.assign(saving, { isDraft: body.is_draft, savedAt: body.saved_at });
    form("discard").hidden = !body.is_draft;
    tryIt(body.number);
  }
  if (state === "conflict") saving.conflict = body;
  draw();
}

// The server's draft becomes what is saved; `act` is given it, and decides what is wanted.
function leaveConflict(act) {
  const { content, settings, number } = saving.conflict;
  const theirs = { content, settings };
  designer.hear(saving.conflict);
  saving.conflict = null;
  saver.rebase(theirs, number);
  act(theirs);
  draw();
}

async function compare() {
  const answer = await fetch(root.dataset.compare, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": token },
    body: JSON.stringify({ number: saver.number, ...designer.document }),
  });
  const sides = document.getElementById("conflict-sides");
  if (answer.ok) sides.innerHTML = await answer.text(); // made by the server's template
  else sides.textContent = `The server answers ${answer.status}.`;
}

for (const name of ["publish", "discard"]) {
  form(name).addEventListener("submit", async (event) => {
    event.preventDefault();
    if (name === "discard") await saver.rest();
    else if (!(await saver.flush())) return draw();
    saver.want(saver.saved); // what is being typed belongs to no draft any more
    form(name).elements.number.value = saver.number;
    event.target.submit();
  });
}

// A link that works on the draft waits for it to be saved.
root.addEventListener("click", async (event) => {
  const link = event.target.closest("a.list-extra");
  if (!link || saver.isSaved) return;
  event.preventDefault();
  if (await saver.flush()) location.assign(link.href);
});

addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || document.querySelector("dialog[open]")) return;
  const key = event.key.toLowerCase();
  if (key === "s") saver.flush();
  else if (key === "z" && !event.shiftKey) designer.undo();
  else if (key === "y" || key === "z") designer.redo();
  else return;
  event.preventDefault();
});
addEventListener("beforeunload", (event) => { if (!saver.isSaved) event.preventDefault(); });

// A session that ended: what is not saved stays in this tab, and is saved after signing in again (PORTAL-211).
const { researcher, signIn } = document.body.dataset;
const keep = () => {
  if (saver.isSaved) return;
  sessionStorage.setItem(KEPT, JSON.stringify({ researcher, number: saver.number, document: designer.document }));
  saver.want(saver.saved);
};
document.addEventListener("session-ended", keep);
document.addEventListener("designer-signed-out", () => {
  keep();
  location.assign(`${signIn}?page=${encodeURIComponent(location.pathname)}&ended=1`);
});
function bringBack() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sessionStorage.removeItem(KEPT);
  if (kept?.researcher !== researcher) return;
  if (kept.number !== editor.number) hear("conflict", editor);
  designer.load(kept.document);
}

// On wide screens a phone beside the designer shows the draft that was saved last.
const { preview } = document.querySelector("[data-preview]").dataset;
function tryIt(number) {
  if (!document.getElementById("phone")?.closest(".designer-preview").offsetParent) return;
  htmx.ajax("GET", `${preview}${number}`, { target: "#phone", swap: "outerHTML" });
}

draw();
bringBack();
addEventListener("load", () => tryIt(editor.number));
document.documentElement.dataset.designer = "ready";
