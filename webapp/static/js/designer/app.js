// The designer's page: bar, list, editor, and the preview of the saved draft.
import { html } from "../../vendor/preact.js";
import { Asking } from "./dialogs.js";
import { QuestionList } from "./list_view.js";
import { Finding, Icon, IconButton } from "./parts.js";
import { QuestionEditor } from "./question_view.js";
import { PromptEditor, SettingsEditor } from "./settings_view.js";
import { counted } from "./words.js";

// PHONE-52, CLAR-53: iOS takes a survey that differs for a new one.
const ASKED_AGAIN =
  "This survey is asked as soon as it reaches a phone. Once this draft is published, iPhones ask it again, also of those who have answered it.";

export function App({ designer, saving }) {
  return html`<${Bar} designer=${designer} saving=${saving} />
    ${saving.state === "conflict" && html`<${Conflict} saving=${saving} />`}
    ${saving.isDraft && saving.isPublished && designer.settings.trigger_on_first_download === true && html`<p class="note warn"><${Icon} name="triangle-alert" /><span>${ASKED_AGAIN}</span></p>`}
    ${designer.findingsOfAll.map((finding) => html`<${Finding} finding=${finding} />`)}
    ${designer.isAudio
      ? html`<div class="designer is-audio"><div class="stack-4"><${PromptEditor} designer=${designer} /><${SettingsEditor} designer=${designer} /></div></div>`
      : html`<div class="designer"><${QuestionList} designer=${designer} /><div class="designer-editor">${editorOf(designer)}</div></div>`}
    <${Asking} designer=${designer} />`;
}

function editorOf(designer) {
  if (designer.selected === "settings") return html`<${SettingsEditor} designer=${designer} />`;
  if (designer.selected === null) return html`<section class="card empty"><h2>No question yet</h2><p>A survey may be published without questions. Add one in the list: what is asked, and how it is answered.</p></section>`;
  return html`<${QuestionEditor} key=${designer.keyOf(designer.questions[designer.selected], designer.selected)} designer=${designer} place=${designer.selected} />`;
}

const STATES = { waiting: "not saved yet", saving: "saving…", failed: "not saved", conflict: "not saved" };

function Bar({ designer, saving }) {
  const errors = designer.findings.filter((finding) => finding.level === "error").length;
  const state = STATES[saving.state] ?? (saving.isDraft ? `Draft, saved ${saving.savedAt}` : saving.isPublished ? "as published" : "nothing to save");
  return html`<div class="toolbar designer-bar">
    <${IconButton} icon="undo-2" label="Undo" disabled=${!designer.history.canUndo} onClick=${() => designer.undo()} />
    <${IconButton} icon="redo-2" label="Redo" disabled=${!designer.history.canRedo} onClick=${() => designer.redo()} />
    <span class=${`small ${saving.state === "failed" ? "error" : "quiet"}`} role="status">${state}${saving.reason && `: ${saving.reason}`}</span>
    ${errors > 0 && html`<button type="button" class="button plain is-danger" onClick=${() => showFirst(designer)}><${Icon} name="circle-alert" />${counted(errors, "error")}</button>`}
  </div>`;
}

function showFirst(designer) {
  const place = designer.questions.findIndex((_, at) => designer.worstOf(at) === "error");
  designer.select(place < 0 ? "settings" : place, place >= 0);
}

function Conflict({ saving }) {
  const { saved_by: by, saved_at: at } = saving.conflict;
  return html`<div class="banner warn" role="alert"><${Icon} name="triangle-alert" /><div>
    <strong>${by || "Somebody"} has saved this survey meanwhile${at && `, at ${at}`}.</strong> Your changes are kept in this page, and are not saved.
    <div class="actions"><button type="button" class="button" onClick=${saving.compare}>Compare</button>
      <button type="button" class="button" onClick=${saving.takeTheirs}>Take theirs</button>
      <button type="button" class="button" onClick=${saving.keepMine}>Save mine over it</button></div>
    <div id="conflict-sides"></div></div></div>`;
}
