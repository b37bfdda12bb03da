// One question in the editor: text, type, what belongs to its type, condition.
import { html } from "../../vendor/preact.js";
import { AnswersEditor } from "./answers_view.js";
import { LogicEditor } from "./logic_view.js";
import { Finding, Icon, IconButton } from "./parts.js";
import { hasAnswers, isReadable, TYPES } from "./questions.js";

export function QuestionEditor({ designer, place }) {
  const { questions, words } = designer;
  const question = questions[place];
  const findings = designer.findingsOf(place);
  const last = questions.length - 1;
  const actions = html`<span class="actions">
    <${IconButton} icon="arrow-up" label="Move up" disabled=${place === 0} onClick=${() => designer.move(place, place - 1)} />
    <${IconButton} icon="arrow-down" label="Move down" disabled=${place === last} onClick=${() => designer.move(place, place + 1)} />
    ${isReadable(question) && html`<button type="button" class="button plain" onClick=${() => designer.duplicate(place)}><${Icon} name="copy" />Duplicate</button>`}
    <button type="button" class="button plain is-danger" onClick=${() => designer.remove(place)}><${Icon} name="trash-2" />Delete</button></span>`;
  const head = html`<header><h2 id="question-head">Question ${place + 1}</h2>${actions}</header>`;
  if (!isReadable(question)) {
    return html`<section class="card" aria-labelledby="question-head">${head}<div class="body">${findings.map((finding) => html`<${Finding} finding=${finding} />`)}<p>This is no question that can be edited.</p></div></section>`;
  }
  const set = (values, key) => designer.set(place, values, key);
  const type = question.question_type;
  return html`<section class="card" aria-labelledby="question-head">${head}
    <div class="body stack-4">
      ${findings.map((finding) => html`<${Finding} finding=${finding} />`)}
      <div class="field"><label for="question-text">Text</label>
        <textarea class="input" id="question-text" dir="auto" value=${question.question_text ?? ""} onInput=${({ currentTarget }) => set({ question_text: currentTarget.value }, "text")}></textarea></div>
      <div class="field"><label for="question-type">Answered by</label>
        <select class="input" id="question-type" onChange=${({ currentTarget }) => designer.retype(place, currentTarget.value)}>
          ${!TYPES[type] && html`<option value=${type} selected>${String(type)}</option>`}
          ${Object.entries(words.types).map(([name, label]) => html`<option value=${name} selected=${name === type}>${label}</option>`)}</select></div>
      ${type === "slider" && html`<div class="pair-of-ends">
        <${End} name="min" label="Least value" question=${question} set=${set} /><${End} name="max" label="Greatest value" question=${question} set=${set} /></div>`}
      ${type === "free_response" && html`<div class="field"><label for="field-type">Kind of answer</label>
        <select class="input" id="field-type" onChange=${({ currentTarget }) => designer.retype(place, type, currentTarget.value)}>
          ${!words.field_types[question.text_field_type] && html`<option value=${question.text_field_type} selected>${String(question.text_field_type)}</option>`}
          ${Object.entries(words.field_types).map(([name, label]) => html`<option value=${name} selected=${name === question.text_field_type}>${label}</option>`)}</select></div>`}
      ${hasAnswers(question) && html`<${AnswersEditor} designer=${designer} place=${place} key=${question.question_id} />`}
      ${type !== "info_text_box" && html`<label class="tick-line"><input type="checkbox" checked=${question.required === true} onChange=${({ currentTarget }) => set({ required: currentTarget.checked })} /> Required: the app does not go on without an answer</label>`}
      <div class="field is-wide"><span class="as-label">Shown</span>
        <${LogicEditor} key=${question.question_id} questions=${questions} place=${place} onChange=${(display_if) => set({ display_if }, "logic")} />
        ${place === 0 && question.display_if && html`<p class="quiet small">Android always shows the first question.</p>`}</div>
    </div></section>`;
}

const End = ({ name, label, question, set }) => html`<div class="field"><label for=${`end-${name}`}>${label}</label>
  <input class="input" inputmode="numeric" id=${`end-${name}`} value=${String(question[name] ?? "")} onInput=${({ currentTarget }) => set({ [name]: currentTarget.value.trim() }, name)} /><span class="hint">−100 to 100</span></div>`;
