// Skip logic as a tree (SURVEY-21): null, a comparison {"<": [question id, number]}, {"and": [part, …]},
// {"or": [part, …]} or {"not": part}. Pure functions; trees are never changed in place, and a tree in which nothing
// changes is returned itself.
export const ORDERS = ["<", "<=", ">", ">="];
const EQUALITIES = ["==", "!="];
const GROUPS = ["and", "or"];

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

// "none", "comparison", "group", "not", or "unreadable" for what SURVEY-21 does not allow.
export function kindOf(logic) {
  if (logic === null || logic === undefined) return "none";
  if (!isObject(logic) || Object.keys(logic).length !== 1) return "unreadable";
  const [name] = Object.keys(logic);
  const operand = logic[name];
  if (GROUPS.includes(name)) return Array.isArray(operand) && operand.length ? "group" : "unreadable";
  if (name === "not") return "not";
  const isComparison = [...EQUALITIES, ...ORDERS].includes(name) && Array.isArray(operand) && operand.length === 2;
  return isComparison && typeof operand[0] === "string" ? "comparison" : "unreadable";
}

export function comparison(logic) {
  const [name] = Object.keys(logic);
  return { operator: name, id: logic[name][0], number: logic[name][1] };
}

export const compared = (operator, id, number) => ({ [operator]: [id, number] });

export function comparisonsOf(logic) {
  const kind = kindOf(logic);
  if (kind === "comparison") return [logic];
  if (kind === "not") return comparisonsOf(logic.not);
  return kind === "group" ? Object.values(logic)[0].flatMap(comparisonsOf) : [];
}

export const namesQuestion = (logic, id) => comparisonsOf(logic).some((part) => comparison(part).id === id);

// The tree with each comparison replaced by `change(comparison tree)`: null removes it. A group keeps the rest, and a
// group of which one part is left becomes that part.
export function rewritten(logic, change) {
  const kind = kindOf(logic);
  if (kind === "comparison") return change(logic);
  if (kind === "not") {
    const inner = rewritten(logic.not, change);
    if (inner === logic.not) return logic;
    return inner === null ? null : negated(inner);
  }
  if (kind !== "group") return logic ?? null;
  const [name] = Object.keys(logic);
  const parts = logic[name].map((part) => rewritten(part, change));
  if (parts.every((part, place) => part === logic[name][place])) return logic;
  const kept = parts.filter((part) => part !== null);
  if (!kept.length) return null;
  return kept.length === 1 && parts.length > 1 ? kept[0] : { [name]: kept };
}

export const without = (logic, id) => rewritten(logic, (part) => (comparison(part).id === id ? null : part));

export const negated = (logic) => (kindOf(logic) === "not" ? logic.not : { not: logic });

// The root as the designer shows it: a mode, and the parts that it joins. Modes: "always", "and", "or", "not-and",
// "not-or", "unreadable". One condition alone counts as "and"; "is not" alone is a part {"not": {"==": …}}.
export function rootOf(logic) {
  const kind = kindOf(logic);
  if (kind === "none") return { mode: "always", parts: [] };
  if (kind === "comparison") return { mode: "and", parts: [logic] };
  if (kind === "group") return { mode: Object.keys(logic)[0], parts: Object.values(logic)[0] };
  if (kind === "unreadable") return { mode: "unreadable", parts: [] };
  const inner = logic.not;
  if (kindOf(inner) === "comparison") {
    return comparison(inner).operator === "==" ? { mode: "and", parts: [logic] } : { mode: "not-and", parts: [inner] };
  }
  if (kindOf(inner) === "group") return { mode: `not-${Object.keys(inner)[0]}`, parts: Object.values(inner)[0] };
  return { mode: "unreadable", parts: [] };
}

export function fromRoot({ mode, parts }) {
  if (mode === "always" || !parts.length) return null;
  const inner = parts.length === 1 ? parts[0] : { [mode.replace("not-", "")]: parts };
  return mode.startsWith("not-") ? negated(inner) : inner;
}

// "Is not" inside a group: the iOS app crashes on `not` there, so it is written as less or more (SURVEY-23).
export const isNotPair = (logic) => {
  if (kindOf(logic) !== "group" || !logic.or || logic.or.length !== 2) return null;
  const [less, more] = logic.or;
  if (kindOf(less) !== "comparison" || kindOf(more) !== "comparison") return null;
  const [a, b] = [comparison(less), comparison(more)];
  return a.operator === "<" && b.operator === ">" && a.id === b.id && a.number === b.number ? a : null;
};
export const notPair = (id, number) => ({ or: [compared("<", id, number), compared(">", id, number)] });
