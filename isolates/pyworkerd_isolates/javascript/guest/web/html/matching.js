// Which selectors mean an element. Each selector is a chain of steps, one for each part of it; an element that passes a
// step makes the next one apply to its children, or to all that is in it. So an element is looked at once, and of its
// ancestors nothing is kept but the steps that they have opened.

import { lower } from "pyworkerd:web/html/tokenizer";

const SPACES = /[\t\n\f\r ]+/;

// Whether an attribute's value is as a selector says.
const COMPARE = {
  __proto__: null,
  "=": (value, wanted) => value === wanted,
  "~=": (value, wanted) => wanted !== "" && value.split(SPACES).includes(wanted),
  "|=": (value, wanted) => value === wanted || value.startsWith(`${wanted}-`),
  "^=": (value, wanted) => wanted !== "" && value.startsWith(wanted),
  "$=": (value, wanted) => wanted !== "" && value.endsWith(wanted),
  "*=": (value, wanted) => wanted !== "" && value.includes(wanted),
};

const isNth = (step, offset, place) =>
  step === 0 ? place === offset : (place - offset) % step === 0 && (place - offset) / step >= 0;

// A function of an element (see `Matcher.open`) from a part of a selector, without its type.
function conditionOf(test, encode) {
  switch (test.kind) {
    case "has":
      return (element) => element.attribute(encode(test.name)) !== undefined;
    case "nth":
      return (element) => isNth(test.step, test.offset, element.place);
    case "nth of type":
      return (element) => isNth(test.step, test.offset, element.placeOfType);
    case "not": {
      const compounds = test.compounds.map((each) => compoundOf(each, encode));
      return (element) => !compounds.some((holds) => holds(element));
    }
    default: {
      const [name, value] = [encode(test.name), encode(test.value)];
      const [small, compare] = [lower(value), COMPARE[test.kind]];
      return (element) => {
        const found = element.attribute(name);
        if (found === undefined) return false;
        return test.caseless(element.isHtml) ? compare(lower(found), small) : compare(found, value);
      };
    }
  }
}

function compoundOf({ type, tests }, encode) {
  const name = type === null ? null : encode(type);
  const conditions = tests.map((each) => conditionOf(each, encode));
  const [first] = conditions;
  if (first === undefined) return (element) => name === null || element.name === name;
  if (conditions.length === 1) return (element) => (name === null || element.name === name) && first(element);
  return (element) => (name === null || element.name === name) && conditions.every((holds) => holds(element));
}

// Whether some of the conditions are of this kind.
function asks(kind, tests) {
  return tests.some(
    (each) => each.kind === kind || (each.kind === "not" && each.compounds.some((part) => asks(kind, part.tests))),
  );
}

const NO_STEPS = Object.freeze([]);

export class Matcher {
  /** `selectors`: those of each registration, as they are parsed. `encode` makes a text one of the document's. */
  constructor(selectors, encode) {
    this.byName = new Map(); // first steps that only elements of a name can pass
    this.first = []; // the others
    this.countsPlaces = false;
    this.countsTypes = false;
    this.steps = 0;
    selectors.forEach((list, index) => {
      for (const parts of list) this.#add(parts, index, encode);
    });
  }

  #add(parts, index, encode) {
    let following = null;
    for (let at = parts.length - 1; at >= 0; at -= 1) {
      const holds = compoundOf(parts[at], encode);
      const child = at + 1 < parts.length && parts[at + 1].child;
      following = { holds, index, following, child };
      this.countsPlaces ||= asks("nth", parts[at].tests);
      this.countsTypes ||= asks("nth of type", parts[at].tests);
      this.steps += 1;
    }
    const { type } = parts[0];
    if (type === null) {
      this.first.push(following);
      return;
    }
    const name = encode(type);
    if (this.byName.has(name)) this.byName.get(name).push(following);
    else this.byName.set(name, [following]);
  }

  /** Whether a selector may mean an element only because of its name, or of what it is in. */
  asksNames() {
    return this.first.length === 0 && !this.countsPlaces && !this.countsTypes;
  }

  /** The numbers of the registrations that mean an element, in ascending order, or null. The element has `name`,
   *  `attribute(name)`, `isHtml`, `place` and `placeOfType`; `forChildren` and `forAll` of its parent are what it
   *  inherits, and its own are set. */
  open(element, parent) {
    const { forChildren, forAll } = parent;
    if (forAll.length > 0) element.forAll = forAll;
    const named = this.byName.get(element.name);
    let found = null;
    if (named !== undefined) found = pass(named, element, forAll, found);
    if (this.first.length > 0) found = pass(this.first, element, forAll, found);
    if (forChildren.length > 0) found = pass(forChildren, element, forAll, found);
    if (forAll.length > 0) found = pass(forAll, element, forAll, found);
    return found === null || found.length === 1 ? found : found.sort((a, b) => a - b);
  }
}

// Takes an element through steps: what it passes opens the next ones, or is found. `inherited` is not to be changed.
function pass(steps, element, inherited, before) {
  let found = before;
  for (let i = 0; i < steps.length; i += 1) {
    const { holds, following, index, child } = steps[i];
    if (!holds(element)) continue;
    if (following === null) {
      if (found === null) found = [index];
      else if (!found.includes(index)) found.push(index);
    } else if (child) {
      if (element.forChildren === NO_STEPS) element.forChildren = [following];
      else if (!element.forChildren.includes(following)) element.forChildren.push(following);
    } else if (!element.forAll.includes(following)) {
      if (element.forAll === inherited) element.forAll = [...inherited];
      element.forAll.push(following);
    }
  }
  return found;
}

/** What the elements at the top inherit. */
export const OUTSIDE = Object.freeze({ forChildren: NO_STEPS, forAll: NO_STEPS });
