// The condition of a question, built by clicks: mode, comparisons, nested groups (SURVEY-21, SURVEY-23).
import { html, useState } from "../../vendor/preact.js";
import { compared, comparison, fromRoot, isNotPair, kindOf, notPair, rootOf } from "./logic.js";
import { Icon, IconButton } from "./parts.js";
import { hasAnswers, numberMeans } from "./questions.js";
import { MODES, operatorWords, short, titleOf } from "./words.js";

// "Is not" is allowed in a group where less or more says the same: the question is always answered (SURVEY-23).
const isAlwaysAnswered = (question) =>
  ["slider", "radio_button"].includes(question?.question_type) && question.required === true && !question.display_if;

export function LogicEditor({ questions, place, onChange }) {
  const logic = questions[place].display_if ?? null;
  const earlier = questions.slice(0, place).filter((question) => numberMeans(question) && typeof question.question_id === "string");
  const [joined, setJoined] = useState("and");
  const root = withChosenMode(rootOf(logic), joined);
  const change = (mode, parts) => {
    setJoined(mode);
    onChange(fromRoot({ mode, parts }));
  };
  if (!earlier.length && root.mode === "always") {
    return html`<p class="quiet small">Always. A condition needs an earlier slider, list of answers or typed number.</p>`;
  }
  if (root.mode === "unreadable") {
    return html`<div class="condition-box"><p class="small">The stored condition cannot be shown here.</p>
      <button type="button" class="button" onClick=${() => onChange(null)}>Remove the condition</button></div>`;
  }
  const first = () => defaultComparison(earlier.at(-1));
  const choose = ({ currentTarget: { value } }) =>
    change(value, value === "always" ? [] : root.parts.length ? root.parts : [first()]);
  return html`<div class="condition-box">
    <select class="input" aria-label="Shown" value=${root.mode} onChange=${choose}>
      ${Object.entries(MODES).map(([mode, words]) => html`<option value=${mode} selected=${mode === root.mode}>${words}</option>`)}
    </select>
    ${root.mode !== "always" &&
    html`<${Parts} parts=${root.parts} earlier=${earlier} questions=${questions} isRoot=${true} isNegated=${root.mode.startsWith("not-")} onChange=${(parts) => change(root.mode, parts)} />`}
  </div>`;
}

// One condition alone says nothing of how others will be joined to it, so the mode that was chosen is remembered.
function withChosenMode(root, joined) {
  if (root.parts.length !== 1) return root;
  const isNot = joined.startsWith("not-");
  if (isNot && kindOf(root.parts[0]) === "not") return { mode: joined, parts: [root.parts[0].not] };
  return isNot === root.mode.startsWith("not-") && joined !== "always" ? { mode: joined, parts: root.parts } : root;
}

const defaultComparison = (question) =>
  compared("==", question.question_id, question.question_type === "slider" ? Number(question.min) || 0 : 0);

function Parts({ parts, earlier, questions, onChange, isRoot = false, isNegated = false }) {
  const replace = (at, part) => onChange(part === null ? parts.toSpliced(at, 1) : parts.with(at, part));
  const isAlone = isRoot && !isNegated && parts.length === 1;
  const alone = isAlone && kindOf(parts[0]) === "not" ? parts[0] : null;
  const asked = alone && questions.find((question) => question?.question_id === comparison(alone.not).id);
  const blocked = alone !== null && !isAlwaysAnswered(asked);
  const more = (part) => onChange([...(alone ? [notPair(comparison(alone.not).id, comparison(alone.not).number)] : parts), part]);
  const first = () => defaultComparison(earlier.at(-1));
  return html`<ul class="condition-parts">
    ${parts.map((part, at) => html`<li key=${at}><${Part} part=${part} earlier=${earlier} questions=${questions} isAlone=${isAlone} onChange=${(next) => replace(at, next)} /></li>`)}
    </ul>
    ${blocked
      ? html`<p class="quiet small">“Is not” stands alone here: the iOS app crashes on it beside other conditions. To combine it, make question ${questions.indexOf(asked) + 1} a required slider or single answer that is always shown, or choose “unless”.</p>`
      : earlier.length > 0 &&
        html`<div class="actions">
          <button type="button" class="button plain" onClick=${() => more(first())}><${Icon} name="plus" />Condition</button>
          <button type="button" class="button plain" onClick=${() => more({ or: [first(), first()] })}><${Icon} name="plus" />Group</button></div>`}`;
}

function Part({ part, earlier, questions, isAlone, onChange }) {
  const kind = kindOf(part);
  const pair = isNotPair(part);
  if (kind === "comparison" || pair || (isAlone && kind === "not")) {
    return html`<${Comparison} part=${part} earlier=${earlier} questions=${questions} isAlone=${isAlone} onChange=${onChange} />`;
  }
  if (kind === "group") {
    const [name] = Object.keys(part);
    const parts = part[name];
    const change = (mode, next) => onChange(next.length > 1 ? { [mode]: next } : (next[0] ?? null));
    return html`<div class="condition-group">
      <div class="condition-row"><select class="input" aria-label="Group" onChange=${({ currentTarget: { value } }) => onChange({ [value]: parts })}>
        ${["and", "or"].map((mode) => html`<option value=${mode} selected=${mode === name}>${mode === "and" ? "all of these" : "any of these"}</option>`)}</select>
        <${IconButton} icon="x" label="Remove the group" onClick=${() => onChange(null)} /></div>
      <${Parts} parts=${parts} earlier=${earlier} questions=${questions} onChange=${(next) => change(name, next)} /></div>`;
  }
  return html`<div class="condition-row"><span class="small">A “not” inside a group, on which the iOS app crashes.</span>
    <${IconButton} icon="x" label="Remove the condition" onClick=${() => onChange(null)} /></div>`;
}

function Comparison({ part, earlier, questions, isAlone, onChange }) {
  const isNot = kindOf(part) === "not" || isNotPair(part) !== null;
  const { operator, id, number } = isNotPair(part) ?? comparison(kindOf(part) === "not" ? part.not : part);
  const place = questions.findIndex((question) => question?.question_id === id);
  const question = questions[place];
  const isKnown = earlier.some((other) => other.question_id === id);
  const words = operatorWords(question);
  const shown = isNot ? "not" : operator;
  const mayNot = isAlone || isAlwaysAnswered(question) || isNot;
  const operators = Object.keys(words).filter((name) => (name === "not" ? mayNot : name !== "!=" || operator === "!="));
  const build = (name, asked, value) => {
    if (name !== "not") return compared(name, asked, value);
    return isAlone ? { not: compared("==", asked, value) } : notPair(asked, value);
  };
  const ask = ({ currentTarget: { value } }) => {
    const next = earlier.find((other) => other.question_id === value);
    const fitting = shown === "not" && !isAlone && !isAlwaysAnswered(next) ? "==" : shown;
    const isAlike = numberMeans(next) === numberMeans(question) && !hasAnswers(next);
    onChange(build(fitting, value, isAlike ? number : comparison(defaultComparison(next)).number));
  };
  return html`<div class="condition-row">
    <select class="input" aria-label="Question" onChange=${ask}>
      ${!isKnown && html`<option value=${id} selected>${question ? titleOf(question, place) : "a question that is not there"}</option>`}
      ${earlier.map((other) => html`<option value=${other.question_id} selected=${other.question_id === id}>${titleOf(other, questions.indexOf(other))}</option>`)}</select>
    <select class="input" aria-label="Comparison" onChange=${({ currentTarget: { value } }) => onChange(build(value, id, number))}>
      ${operators.map((name) => html`<option value=${name} selected=${name === shown}>${words[name]}</option>`)}</select>
    ${hasAnswers(question)
      ? html`<select class="input" aria-label="Answer" onChange=${({ currentTarget: { value } }) => onChange(build(shown, id, Number(value)))}>
          ${(question.answers ?? []).map((answer, index) => html`<option value=${index} selected=${index === number}>${short(answer?.text) || `answer ${index + 1}`}</option>`)}
          ${!question.answers?.[number] && html`<option value=${number} selected>answer ${Number(number) + 1}, which is not there</option>`}</select>`
      : html`<${NumberField} key=${id} number=${number} question=${question} onChange=${(value) => onChange(build(shown, id, value))} />`}
    <${IconButton} icon="x" label="Remove the condition" onClick=${() => onChange(null)} /></div>`;
}

// What is typed is kept while it is no number; the condition then keeps the last one.
function NumberField({ number, question, onChange }) {
  const [typed, setTyped] = useState(null);
  const isWrong = typed !== null && (typed.trim() === "" || !Number.isFinite(Number(typed)));
  const input = ({ currentTarget: { value } }) => {
    setTyped(value);
    if (value.trim() !== "" && Number.isFinite(Number(value))) onChange(Number(value));
  };
  return html`<input class="input" inputmode="numeric" aria-label="Value" aria-invalid=${isWrong}
    title=${question?.question_type === "slider" ? `from ${question.min} to ${question.max}` : "a number"}
    value=${typed ?? String(number)} onInput=${input} onBlur=${() => setTyped(null)} />`;
}
