// Elements, made of text alone: names of keys, reasons and what gateways say are written by anybody.

/** @typedef {Node | string | number | false | null | undefined | readonly Child[]} Child */
/** @typedef {Readonly<Record<string, string | number | boolean | null | undefined>>} Attributes */

const svgSpace = 'http://www.w3.org/2000/svg';
const safeName =
  /^(class|id|type|value|max|min|for|role|tabindex|disabled|hidden|open|title|scope|d|viewBox|points|x|y|cx|cy|r|x1|x2|y1|y2|width|height|preserveAspectRatio|placeholder|name|checked|autocomplete|spellcheck|data-[a-z-]+|aria-[a-z-]+)$/;

/** Letters that change how the text around them is shown, or cannot be seen. */
const hidden = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/** @param {string} text */
export function visible(text) {
  return text.replaceAll(hidden, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}

/**
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/**
 * @param {string} tag
 * @param {Attributes} attributes
 * @param {...Child} children
 */
export function svg(tag, attributes, ...children) {
  return filled(document.createElementNS(svgSpace, tag), attributes, children);
}

/**
 * @template {Element} T
 * @param {T} element
 * @param {Attributes} attributes
 * @param {readonly Child[]} children
 */
function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (!safeName.test(name)) throw new Error(`no attribute of this page: ${name}`);
    element.setAttribute(name, value === true ? '' : String(value));
  }
  append(element, children);
  return element;
}

/**
 * @param {Element} parent
 * @param {readonly Child[]} children
 */
function append(parent, children) {
  for (const child of children) {
    if (child === false || child === null || child === undefined) continue;
    if (typeof child === 'string' || typeof child === 'number') parent.append(visible(String(child)));
    else if (child instanceof Node) parent.append(child);
    else append(parent, child);
  }
}

/**
 * Makes what is shown like what is wanted, and touches nothing that is so already: focus, selection and what a reader of
 * the screen is at stay where they are. Children with a `data-key` are the same ones wherever they stand.
 * @param {Element} shown
 * @param {Element} wanted
 */
export function morph(shown, wanted) {
  for (const { name } of [...shown.attributes]) {
    // What somebody unfolded stays so.
    if (!wanted.hasAttribute(name) && !(name === 'open' && shown.tagName === 'DETAILS'))
      shown.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  morphChildren(shown, [...wanted.childNodes]);
}

/**
 * @param {Element} parent
 * @param {readonly Node[]} wanted
 */
export function morphChildren(parent, wanted) {
  /** @type {Map<string, Element>} */
  const keyed = new Map();
  for (const child of parent.children) {
    const key = keyOf(child);
    if (key !== undefined) keyed.set(key, child);
  }
  let at = parent.firstChild;
  for (const next of wanted) {
    const key = keyOf(next);
    const held = key === undefined ? at : (keyed.get(key) ?? null);
    if (held === null || !isAlike(held, next)) {
      parent.insertBefore(next, at);
      continue;
    }
    if (held === at) at = at.nextSibling;
    else parent.insertBefore(held, at);
    if (held instanceof Element && next instanceof Element) morph(held, next);
    else if (held.nodeValue !== next.nodeValue) held.nodeValue = next.nodeValue;
  }
  while (at !== null) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

/** @param {Node} node */
function keyOf(node) {
  return node instanceof Element ? (node.getAttribute('data-key') ?? undefined) : undefined;
}

/**
 * @param {Node} a
 * @param {Node} b
 */
function isAlike(a, b) {
  return a.nodeName === b.nodeName && keyOf(a) === keyOf(b);
}

/**
 * The element of the page with this id.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`the page has no ${id}`);
}
