// A survey's questions as a list (SURVEY-15). Pure functions: they return new lists, in which questions that did not
// change are the same objects. Where a change would take from a condition what it names, they tell which conditions,
// so that the designer can ask first (SURVEY-25, SURVEY-27).
import { compared, comparison, comparisonsOf, namesQuestion, ORDERS, rewritten, without } from "./logic.js";

export const TYPES = {
  info_text_box: [],
  slider: ["min", "max"],
  radio_button: ["answers"],
  checkbox: ["answers"],
  free_response: ["text_field_type"],
  date: [],
  time: [],
  date_time: [],
};
const TYPED = ["min", "max", "answers", "text_field_type"];
const NEW_VALUES = { min: "0", max: "10", answers: [{ text: "" }, { text: "" }], text_field_type: "NUMERIC" };

export const hasAnswers = (question) => ["radio_button", "checkbox"].includes(question?.question_type);
export const isReadable = (question) => question !== null && typeof question === "object" && !Array.isArray(question);

// What a comparison's number means: an answer's index, or a value; null where nothing can be compared (SURVEY-21).
export function numberMeans(question) {
  if (hasAnswers(question)) return "answer";
  const isNumber = question?.question_type === "slider" || question?.text_field_type === "NUMERIC";
  return isNumber && ["slider", "free_response"].includes(question.question_type) ? "value" : null;
}

export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID(); // missing where the page came without TLS
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export function newQuestion(type, id = newId()) {
  const own = Object.fromEntries(TYPES[type].map((key) => [key, NEW_VALUES[key]]));
  return { question_id: id, question_type: type, question_text: "", required: false, display_if: null, ...own };
}

export const inserted = (questions, place, question) => questions.toSpliced(place, 0, question);
export const changed = (questions, place, values) => questions.with(place, { ...questions[place], ...values });
export const duplicated = (questions, place, id = newId()) =>
  questions.toSpliced(place + 1, 0, { ...questions[place], question_id: id });

// Places of the questions whose conditions name that one.
export const referrers = (questions, id) =>
  questions.flatMap((question, place) => (namesQuestion(question?.display_if, id) ? [place] : []));

const withLogic = (question, logic) => (logic === question.display_if ? question : { ...question, display_if: logic });

// Deleting a question: who refers to it, and the list without it and without those conditions.
export function removed(questions, place) {
  const id = questions[place]?.question_id;
  const rest = questions.toSpliced(place, 1);
  const isTwice = rest.some((question) => question?.question_id === id);
  const asking = typeof id === "string" && !isTwice ? referrers(questions, id).filter((other) => other !== place) : [];
  if (!asking.length) return { asking, questions: rest };
  const dropped = rest.map((question) =>
    namesQuestion(question?.display_if, id) ? withLogic(question, without(question.display_if, id)) : question,
  );
  return { asking, questions: dropped };
}

// Moving a question: the list as it would be, the places (in it) of conditions that would then name a later question,
// and the list without those conditions.
export function moved(questions, from, to) {
  const list = questions.toSpliced(from, 1).toSpliced(to, 0, questions[from]);
  const id = questions[from]?.question_id;
  const place = new Map(list.map((question, at) => [question?.question_id, at]));
  const isLater = (part, at) => {
    const named = comparison(part).id;
    return (list[at] === questions[from] || named === id) && place.get(named) >= at && place.get(named) !== undefined;
  };
  const asking = list.flatMap((question, at) =>
    comparisonsOf(question?.display_if).some((part) => isLater(part, at)) ? [at] : [],
  );
  if (!asking.length) return { asking, questions: list };
  const dropped = list.map((question, at) =>
    asking.includes(at)
      ? withLogic(question, rewritten(question.display_if, (part) => (isLater(part, at) ? null : part)))
      : question,
  );
  return { asking, questions: dropped };
}

// Another type of question: its own keys, and whose conditions would lose their meaning.
export function retyped(questions, place, type, fieldType) {
  const before = questions[place];
  const own = Object.fromEntries(TYPES[type].map((key) => [key, before[key] ?? NEW_VALUES[key]]));
  const kept = Object.fromEntries(Object.entries(before).filter(([key]) => !TYPED.includes(key)));
  const after = { ...kept, question_type: type, ...own };
  if (fieldType) after.text_field_type = fieldType;
  const list = questions.with(place, after);
  const isSame = numberMeans(before) === numberMeans(after);
  const asking = isSame ? [] : referrers(questions, before.question_id);
  if (!asking.length) return { asking, questions: list };
  return {
    asking,
    questions: list.map((question) => {
      if (!namesQuestion(question?.display_if, before.question_id)) return question;
      return withLogic(question, without(question.display_if, before.question_id));
    }),
  };
}

const MEETS = {
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};

// New answers for a question. `from` names for each new answer the index that it had before, or null for a new one.
// Conditions follow the answers that they name; `asking` holds those whose meaning cannot be kept by another number.
// `choices` maps such a comparison (the object) to what it becomes, null to drop it; without it the first proposal is.
export function answered(questions, place, answers, from, choices = new Map()) {
  const id = questions[place].question_id;
  const asking = [];
  const list = questions.map((question, at) => {
    if (at === place) return { ...question, answers };
    if (!isReadable(question) || !namesQuestion(question.display_if, id)) return question;
    const logic = rewritten(question.display_if, (part) => {
      if (comparison(part).id !== id) return part;
      const { becomes, proposals } = followed(part, questions[place].answers.length, from);
      if (!proposals) return becomes;
      asking.push({ place: at, part, proposals });
      return choices.has(part) ? choices.get(part) : proposals[0];
    });
    return withLogic(question, logic);
  });
  return { asking, questions: list };
}

// What a comparison becomes when answers move: `becomes`, or `proposals` to choose from (trees; null to drop it).
export function followed(part, oldCount, from) {
  const { operator, id, number } = comparison(part);
  const at = (value) => (value === number ? part : compared(operator, id, value));
  const places = new Map(from.flatMap((old, place) => (old === null ? [] : [[old, place]])));
  if (number >= oldCount) return { becomes: at(number + from.length - oldCount) };
  const isIndex = Number.isInteger(number) && number >= 0;
  if (!ORDERS.includes(operator)) {
    if (!isIndex) return { becomes: part };
    if (places.has(number)) return { becomes: at(places.get(number)) };
    return { proposals: [null, ...from.map((_, place) => compared(operator, id, place))] };
  }
  const meets = MEETS[operator];
  const isKept = (value) => [...places].every(([old, place]) => meets(old, number) === meets(place, value));
  const named = places.has(number) ? [places.get(number)] : [];
  const fitting = [...named, number, ...from.keys(), from.length].find(isKept);
  const same = [...places].filter(([old]) => meets(old, number)).map(([, place]) => compared("==", id, place));
  const isEmptied = !same.length && Array.from({ length: oldCount }, (_, old) => old).some((old) => meets(old, number));
  if (isEmptied) return { proposals: [null] };
  if (fitting !== undefined && (!isIndex || places.has(number))) return { becomes: at(fitting) };
  if (fitting !== undefined) return { proposals: [at(fitting), null] };
  const exactly = same.length === 1 ? same[0] : { or: same.toSorted((a, b) => a["=="][1] - b["=="][1]) };
  return { proposals: [exactly, at(named[0] ?? number), null] };
}
