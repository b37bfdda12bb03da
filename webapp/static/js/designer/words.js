// Words of the designer, in one place.
export const OPERATORS = {
  value: { "==": "is", "not": "is not", "<": "is less than", "<=": "is at most", ">": "is more than", ">=": "is at least", "!=": "is not (crashes the iOS app)" },
  radio_button: { "==": "is", "not": "is not", "<": "comes before", "<=": "comes before or is", ">": "comes after", ">=": "comes after or is", "!=": "is not (crashes the iOS app)" },
  checkbox: { "==": "includes", "not": "does not include", "<": "includes one before", "<=": "includes one up to", ">": "includes one after", ">=": "includes one from", "!=": "includes another than (crashes the iOS app)" },
};

export const MODES = {
  always: "always",
  and: "if all of these hold",
  or: "if any of these holds",
  "not-and": "unless all of these hold",
  "not-or": "unless any of these holds",
};

const LONGEST = 48;
export const short = (text, longest = LONGEST) => {
  const line = String(text ?? "").split(/\s+/).join(" ").trim();
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
};

export const counted = (count, thing) => (count === 1 ? `1 ${thing}` : `${count} ${thing}s`);

export const titleOf = (question, place) => `${place + 1} ${short(question?.question_text) || "without a text"}`;

export const operatorWords = (question) =>
  OPERATORS[question?.question_type === "checkbox" || question?.question_type === "radio_button" ? question.question_type : "value"];

// A comparison in words, for the questions that the designer asks.
export function comparisonWords(part, questions) {
  const [operator] = Object.keys(part);
  const [id, number] = part[operator];
  const place = questions.findIndex((question) => question?.question_id === id);
  const question = questions[place];
  const value = question?.answers?.[number]?.text !== undefined ? `“${short(question.answers[number].text)}”` : number;
  return `${operatorWords(question)[operator]} ${value}`;
}
