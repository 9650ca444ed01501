// Elements of the page. Names come from manifests, so they are only ever made into text.

/** How many rows of a list are shown at first; each further click shows ten times as many. */
const ROWS = 20;

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} id */
const input = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));

/**
 * @param {string} tag
 * @param {Record<string, unknown>} properties
 * @param {(Node | string)[]} children
 * @returns {HTMLElement}
 */
function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** A name, or words with one in them. @param {string} text */
function named(text, also = "") {
  return make("span", { className: `name ${also}` }, text);
}

/** A square of a colour of the style sheet. @param {string} colour */
function swatch(colour) {
  const made = make("span", { className: "swatch" });
  made.style.background = `var(${colour})`;
  return made;
}

/**
 * A list that grows on demand.
 * @template T
 * @param {T[]} items
 * @param {(item: T) => HTMLElement} row
 */
function list(items, row, tag = "ul") {
  const made = make(tag);
  const more = make("button");
  const grow = () => {
    const n = made.childElementCount;
    made.append(...items.slice(n, n + (n === 0 ? ROWS : 10 * ROWS)).map(row));
    const left = items.length - made.childElementCount;
    more.textContent = `show more (${left.toLocaleString("en-US")} left)`;
    more.hidden = left === 0;
  };
  more.onclick = grow;
  grow();
  return make("div", {}, made, more);
}

/** A row of a list: what it begins with, and the words. @param {Node | string} first @param {(Node | string)[]} rest */
function row(first, ...rest) {
  return make("li", {}, first, make("span", { className: "words" }, ...rest));
}

/** A row that begins with a number of bytes. @param {number} bytes @param {(Node | string)[]} rest */
function sized(bytes, ...rest) {
  return row(make("span", { className: "bytes" }, rounded(bytes)), ...rest);
}
