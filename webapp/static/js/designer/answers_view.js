// The answers of a single or multiple choice: conditions follow them (SURVEY-27).
import { html } from "../../vendor/preact.js";
import { Icon, IconButton } from "./parts.js";

const MARKS = /[;,]/;

export function AnswersEditor({ designer, place }) {
  const answers = Array.isArray(designer.questions[place].answers) ? designer.questions[place].answers : [];
  const indices = [...answers.keys()];
  const text = (at) => (typeof answers[at]?.text === "string" ? answers[at].text : "");
  const rename = (at, value) => designer.answer(place, answers.with(at, { ...answers[at], text: value }), indices, `answer ${at}`);
  const add = (at, texts = [""]) => {
    designer.answer(place, answers.toSpliced(at, 0, ...texts.map((value) => ({ text: value }))), indices.toSpliced(at, 0, ...texts.map(() => null)));
    designer.focus(`#answer-${at + texts.length - 1}`);
  };
  const remove = (at) => {
    designer.answer(place, answers.toSpliced(at, 1), indices.toSpliced(at, 1));
    designer.focus(`#answer-${Math.max(0, at - 1)}`);
  };
  const move = (at, to) => {
    const swap = (list) => list.toSpliced(at, 1).toSpliced(to, 0, list[at]);
    designer.answer(place, swap(answers), swap(indices));
    designer.focus(`#answer-${to}`);
  };
  const keys = (event, at) => {
    if (event.key === "Enter") add(at + 1);
    else if (event.altKey && event.key === "ArrowUp" && at > 0) move(at, at - 1);
    else if (event.altKey && event.key === "ArrowDown" && at < answers.length - 1) move(at, at + 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const paste = (event, at) => {
    const lines = event.clipboardData.getData("text").split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
    if (lines.length < 2) return;
    event.preventDefault();
    if (text(at)) return add(at + 1, lines);
    designer.answer(place, answers.toSpliced(at, 1, ...lines.map((value) => ({ text: value }))), indices.toSpliced(at, 1, at, ...lines.slice(1).map(() => null)));
  };
  return html`<fieldset class="answers-editor"><legend>Answers</legend>
    <ol>${answers.map((_, at) => html`<li key=${at}>
      <input class=${`input${MARKS.test(text(at)) ? " is-warned" : ""}`} id=${`answer-${at}`} dir="auto" aria-label=${`Answer ${at + 1}`} value=${text(at)}
        onInput=${({ currentTarget }) => rename(at, currentTarget.value)} onKeyDown=${(event) => keys(event, at)} onPaste=${(event) => paste(event, at)} />
      <${IconButton} icon="arrow-up" label=${`Move answer ${at + 1} up`} disabled=${at === 0} onClick=${() => move(at, at - 1)} />
      <${IconButton} icon="arrow-down" label=${`Move answer ${at + 1} down`} disabled=${at === answers.length - 1} onClick=${() => move(at, at + 1)} />
      <${IconButton} icon="x" label=${`Delete answer ${at + 1}`} onClick=${() => remove(at)} /></li>`)}</ol>
    <button type="button" class="button plain" onClick=${() => add(answers.length)}><${Icon} name="plus" />Add an answer</button>
    <p class="hint">Enter adds the next one; several lines can be pasted at once.</p></fieldset>`;
}
