// The state of the designer: the document with its history, what is selected, and what the server said last.
// Views read it and call it; `draw` is called after each change.
import { History } from "./history.js";
import { say } from "./parts.js";
import * as list from "./questions.js";

export class Designer {
  selected = 0;
  dialog = null;
  #focus = null;

  constructor(editor, { draw, changed }) {
    this.words = { types: editor.types, field_types: editor.field_types };
    this.isAudio = editor.survey_type === "audio_survey";
    this.history = new History({ content: editor.content, settings: editor.settings });
    this.draw = draw;
    this.changed = changed;
    this.hear(editor);
    if (!editor.content.length) this.selected = null;
  }

  get document() {
    return this.history.present;
  }

  get questions() {
    return this.document.content;
  }

  get settings() {
    return this.document.settings;
  }

  // What checking says, as the server told with the last save.
  hear({ findings, sentences }) {
    this.findings = findings;
    this.sentences = sentences;
  }

  findingsOf(place) {
    const id = this.questions[place]?.question_id;
    return this.findings.filter((finding) => finding.question_id === (id || `#${place + 1}`));
  }

  worstOf(place) {
    const levels = this.findingsOf(place).map((finding) => finding.level);
    return levels.includes("error") ? "error" : (levels[0] ?? "");
  }

  get findingsOfAll() {
    const known = new Set(this.questions.map((question, place) => question?.question_id || `#${place + 1}`));
    return this.findings.filter((finding) => !known.has(finding.question_id) && finding.kind !== "bad_settings");
  }

  keyOf(question, place) {
    const id = question?.question_id;
    return id && this.questions.findIndex((other) => other?.question_id === id) === place ? id : `#${place}`;
  }

  select(place, withFocus = false) {
    if (typeof place === "number" && !(place >= 0 && place < this.questions.length)) return;
    this.selected = place;
    if (withFocus) this.#focus = `#question-${place}`;
    this.draw();
  }

  // Moves the focus there once the page is drawn.
  focus(selector) {
    this.#focus = selector;
    this.draw();
  }

  // After drawing: moves the focus to where the last change wants it.
  settleFocus() {
    const wanted = this.#focus && document.querySelector(this.#focus);
    this.#focus = null;
    wanted?.focus();
  }

  #replace(content, key = null) {
    this.#change({ ...this.document, content }, key);
  }

  #change(document, key) {
    this.history.change(document, key);
    this.changed(this.document);
    this.draw();
  }

  set(place, values, key = null) {
    this.#replace(list.changed(this.questions, place, values), key && `${place} ${key}`);
  }

  setSettings(values, key = null) {
    this.#change({ ...this.document, settings: { ...this.settings, ...values } }, key && `settings ${key}`);
  }

  setPrompt(prompt) {
    this.#replace([{ ...this.questions[0], prompt }], "prompt");
  }

  add(type) {
    const place = typeof this.selected === "number" ? this.selected + 1 : this.questions.length;
    this.selected = place;
    this.#focus = "#question-text";
    this.#replace(list.inserted(this.questions, place, list.newQuestion(type)));
    say(`Question ${place + 1} added`);
  }

  duplicate(place) {
    this.selected = place + 1;
    this.#focus = "#question-text";
    this.#replace(list.duplicated(this.questions, place));
    say(`Duplicated as question ${place + 2}`);
  }

  move(from, to) {
    if (from === to || to < 0 || to >= this.questions.length) return this.draw();
    const { asking, questions } = list.moved(this.questions, from, to);
    const go = () => {
      this.selected = to;
      if (document.activeElement?.id?.startsWith("question-")) this.#focus = `#question-${to}`;
      this.#replace(questions);
      say(`Question ${from + 1} is now question ${to + 1}`);
    };
    if (!asking.length) return go();
    const places = asking.map((at) => questions[at].question_id);
    this.#ask("Move this question?", "These conditions would name a question that comes later:", this.questions.flatMap((q, at) => (places.includes(q?.question_id) ? [at] : [])), "Move, and drop those conditions", go);
  }

  remove(place) {
    const { asking, questions } = list.removed(this.questions, place);
    const go = () => {
      this.selected = questions.length ? Math.min(place, questions.length - 1) : null;
      this.#focus = questions.length ? `#question-${this.selected}` : "#add-question";
      this.#replace(questions);
      say(`Question ${place + 1} deleted`);
    };
    if (!asking.length) return go();
    this.#ask("Delete this question?", "These questions are shown depending on it:", asking, "Delete, and drop those conditions", go);
  }

  retype(place, type, fieldType) {
    const { asking, questions } = list.retyped(this.questions, place, type, fieldType);
    const go = () => this.#replace(questions);
    if (!asking.length) return go();
    this.#ask("Change how it is answered?", "These conditions compare its answers, and would lose their meaning:", asking, "Change, and drop those conditions", go);
  }

  // New answers; `from` as in `list.answered`. Asks where conditions cannot follow.
  answer(place, answers, from, key = null) {
    const { asking, questions } = list.answered(this.questions, place, answers, from);
    if (!asking.length) return this.#replace(questions, key && `${place} ${key}`);
    const go = (choices) => this.#replace(list.answered(this.questions, place, answers, from, choices).questions);
    const named = { ...this.questions[place], answers };
    this.#open({ kind: "answers", asking, before: this.questions, after: this.questions.with(place, named), go });
  }

  #ask(title, text, places, verb, go) {
    this.#open({ kind: "places", title, text, places, verb, go });
  }

  #open(dialog) {
    this.dialog = dialog;
    this.draw();
  }

  closeDialog() {
    this.dialog = null;
    this.draw();
  }

  undo() {
    this.history.undo();
    this.#afterTravel("Undone");
  }

  redo() {
    this.history.redo();
    this.#afterTravel("Done again");
  }

  // Puts another document in the place of this one, as one step that can be undone.
  load(document) {
    this.history.change(document);
    this.#afterTravel("The other draft is shown");
  }

  #afterTravel(words) {
    const last = this.questions.length - 1;
    if (typeof this.selected === "number" && this.selected > last) this.selected = last < 0 ? null : last;
    if (this.selected === null && last >= 0) this.selected = 0;
    this.changed(this.document);
    this.draw();
    say(words);
  }
}
