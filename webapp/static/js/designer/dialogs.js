// What the designer asks before a change that conditions depend on (SURVEY-25, SURVEY-27).
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { comparisonWords, titleOf } from "./words.js";

export function Asking({ designer }) {
  const { dialog } = designer;
  const box = useRef(null);
  useEffect(() => { if (dialog) box.current.showModal(); }, [dialog]);
  if (!dialog) return null;
  return html`<dialog ref=${box} class="card asking" aria-labelledby="asking-head" onClose=${() => designer.closeDialog()}>
    ${dialog.kind === "places" ? html`<${Places} designer=${designer} box=${box} />` : html`<${Answers} designer=${designer} box=${box} />`}</dialog>`;
}

const Head = ({ title }) => html`<header><h2 id="asking-head">${title}</h2></header>`;

function Foot({ box, verb, go }) {
  const decide = () => { box.current.close(); go(); };
  return html`<footer class="actions"><button type="button" class="button primary" onClick=${decide}>${verb}</button>
    <button type="button" class="button" onClick=${() => box.current.close()}>Cancel</button></footer>`;
}

function Places({ designer, box }) {
  const { title, text, places, verb, go } = designer.dialog;
  return html`<${Head} title=${title} /><div class="body"><p>${text}</p>
    <ul class="plain-list">${places.map((place) => html`<li>${titleOf(designer.questions[place], place)}</li>`)}</ul></div>
    <${Foot} box=${box} verb=${verb} go=${go} />`;
}

function Answers({ designer, box }) {
  const { asking, before, after, go } = designer.dialog;
  const [chosen, choose] = useState(() => asking.map(() => 0));
  const decide = () => go(new Map(asking.map(({ part, proposals }, at) => [part, proposals[chosen[at]]])));
  return html`<${Head} title="What should these conditions become?" /><div class="body stack-4">
    <p>They name answers that change.</p>
    ${asking.map(({ place, part, proposals }, at) => html`<div class="field"><label for=${`choice-${at}`}>${titleOf(before[place], place)}: ${comparisonWords(part, before)}</label>
      <select class="input" id=${`choice-${at}`} onChange=${({ currentTarget }) => choose(chosen.with(at, Number(currentTarget.value)))}>
        ${proposals.map((proposal, index) => html`<option value=${index} selected=${index === chosen[at]}>${proposal === null ? "drop the condition" : inWords(proposal, after)}</option>`)}</select></div>`)}</div>
    <${Foot} box=${box} verb="Change the answers" go=${decide} />`;
}

const inWords = (logic, questions) =>
  logic.or ? logic.or.map((part) => comparisonWords(part, questions)).join(" or ") : comparisonWords(logic, questions);
