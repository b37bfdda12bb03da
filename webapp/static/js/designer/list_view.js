// The list of questions: choose, add, reorder by keys and by dragging.
import { Component, html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { Icon } from "./parts.js";
import { isReadable } from "./questions.js";
import { short } from "./words.js";

export function QuestionList({ designer }) {
  const { questions, selected } = designer;
  const list = useRef(null);
  useEffect(() => {
    const sortable = new Sortable(list.current, {
      handle: ".grip",
      animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 120,
      onEnd({ item, from, oldIndex, newIndex }) {
        // The list is drawn from the questions: put the row back, and move the question.
        from.insertBefore(item, from.children[oldIndex < newIndex ? oldIndex : oldIndex + 1] ?? null);
        designer.move(oldIndex, newIndex);
      },
    });
    return () => sortable.destroy();
  }, []);
  return html`<section class="card question-list" aria-labelledby="list-head">
    <header><h2 id="list-head">Questions</h2><span class="quiet small">${questions.length || ""}</span><${Adding} designer=${designer} /></header>
    ${!questions.length && html`<p class="body quiet small">No questions yet. Add the first one.</p>`}
    <ol ref=${list}>${questions.map((question, place) => html`<${Row} key=${designer.keyOf(question, place)} question=${question} place=${place} isSelected=${place === selected}
      sentence=${designer.sentences[question?.question_id]} worst=${designer.worstOf(place)} designer=${designer} />`)}</ol>
    <button type="button" class="list-extra" aria-current=${selected === "settings"} onClick=${() => designer.select("settings")}><${Icon} name="sliders-horizontal" />Settings of the survey</button>
    <a class="list-extra" href=${designer.bringInAddress}><${Icon} name="copy" />Bring in questions of another survey</a>
  </section>`;
}

// A row is drawn again only when something of it changed, so that 150 questions do not slow down typing in one.
class Row extends Component {
  shouldComponentUpdate(next) {
    return ["question", "place", "isSelected", "sentence", "worst"].some((name) => next[name] !== this.props[name]);
  }

  render({ question, place, isSelected, sentence, worst, designer }) {
    const keys = (event) => {
      if (event.altKey && event.key === "ArrowUp") designer.move(place, place - 1);
      else if (event.altKey && event.key === "ArrowDown") designer.move(place, place + 1);
      else if (event.key === "ArrowUp") designer.select(place - 1, true);
      else if (event.key === "ArrowDown") designer.select(place + 1, true);
      else if (event.key === "Delete") designer.remove(place);
      else return;
      event.preventDefault();
    };
    const type = isReadable(question) ? (designer.words.types[question.question_type] ?? String(question.question_type)) : "cannot be read";
    return html`<li class=${isSelected ? "is-selected" : ""}><span class="grip" aria-hidden="true"><${Icon} name="grip-vertical" /></span>
      <button type="button" id=${`question-${place}`} aria-current=${isSelected} onClick=${() => designer.select(place)} onKeyDown=${keys}>
        <strong dir="auto">${place + 1}. ${short(question?.question_text, 90) || "without a text"}</strong>
        <span class="small quiet">${type}${question?.required === true ? ", required" : ""}</span>
        ${question?.display_if && html`<span class="small shown-if">shown if ${sentence || "…"}</span>`}
        ${worst && html`<span class=${`small ${worst === "error" ? "is-error" : "is-warning"}`}><${Icon} name=${worst === "error" ? "circle-alert" : "triangle-alert"} />${worst === "error" ? "has an error" : "has a warning"}</span>`}
      </button></li>`;
  }
}

function Adding({ designer }) {
  const [isOpen, setOpen] = useState(false);
  const menu = useRef(null);
  useEffect(() => { if (isOpen) menu.current.querySelector("button").focus(); }, [isOpen]);
  const add = (type) => {
    setOpen(false);
    designer.add(type);
  };
  const keys = (event) => {
    if (event.key !== "Escape") return;
    setOpen(false);
    designer.focus("#add-question");
  };
  const leave = ({ currentTarget, relatedTarget }) => { if (!currentTarget.contains(relatedTarget)) setOpen(false); };
  return html`<span class="actions adding" onKeyDown=${keys} onfocusout=${leave}>
    <button type="button" class="button" id="add-question" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}><${Icon} name="plus" />Add</button>
    ${isOpen && html`<ul class="add-menu" ref=${menu} aria-label="Kinds of questions">${Object.entries(designer.words.types).map(([type, label]) => html`<li><button type="button" onClick=${() => add(type)}>${label}</button></li>`)}</ul>`}</span>`;
}
