// What happens when somebody selects, ticks, types or presses a key.

class Page {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.without = new Without(model);
    this.answers = new Answers(model, this.without, () => this.ticked());
    this.map = new TreemapView(model, this.without, {
      open: (box) => this.open(box),
      tick: (box) => this.tick(box),
    });
    element("packed-sizes").hidden = model.data.packed === null;
    this.answers.writeTotals();
    this.answers.writeDoubts();
    this.answers.writeRules();
    this.map.zoom(this.map.tree);
    this.follow();
    this.listen();
  }

  /** @param {Box} box */
  open(box) {
    if (box.entry >= 0) location.hash = this.answers.hash(box.entry);
    else if (box.package >= 0) location.hash = this.answers.packageHash(box.package);
  }

  /** Leaves out what a box stands for, or puts it back. @param {Box} box */
  tick({ entry, package: at }) {
    const { entries, packages } = this.without;
    if (entry >= 0) this.answers.tick(entries, entry, entries.has(entry));
    else if (at >= 0) this.answers.tick(packages, at, packages.has(at));
  }

  /** Shows what the address says. */
  follow() {
    const selected = this.model.positions.get(decoded(location.hash.slice(1))) ?? -1;
    this.map.select(selected);
    this.writeDetails();
    // Who walks in the treemap goes on there.
    if (location.hash !== "" && document.activeElement?.id !== "treemap") element("details").focus();
  }

  writeDetails() {
    const { answers, model, map } = this;
    const [, kind, name] = /^#(package|rule)=(.*)$/.exec(location.hash) ?? [];
    const positionIn = (/** @type {string} */ wanted, /** @type {string[]} */ names) =>
      kind === wanted ? names.indexOf(decoded(name)) : -1;
    const ofPackage = positionIn("package", model.data.packages);
    const ofRule = positionIn("rule", model.data.rules);
    let about;
    if (map.selected >= 0) about = answers.aboutEntry(map.selected);
    else if (ofPackage >= 0) about = answers.aboutPackage(ofPackage);
    else if (ofRule >= 0) about = answers.aboutRule(ofRule);
    else about = answers.largest();
    element("details").replaceChildren(...about);
  }

  ticked() {
    // What is written anew takes the focus with it.
    const wasTickBox = document.activeElement?.matches("#details input");
    this.answers.writeWithout();
    this.writeDetails();
    this.map.draw();
    if (wasTickBox) /** @type {HTMLElement | null} */ (document.querySelector("#details input"))?.focus();
    element("status").textContent = this.answers.summary();
  }

  listen() {
    const search = input("search");
    const first = () => /** @type {HTMLElement | null} */ (document.querySelector("#results a"));
    search.addEventListener("input", () => this.answers.writeResults(search.value.trim()));
    element("search-form").addEventListener("submit", (event) => {
      first()?.click();
      event.preventDefault();
    });
    element("arrangements").addEventListener("change", (event) => this.map.arrange(valueOf(event)));
    element("colours").addEventListener("change", (event) => this.map.paintBy(valueOf(event)));
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && document.activeElement !== search && !event.ctrlKey) search.select();
      else if (event.key === "ArrowDown" && document.activeElement === search) first()?.focus();
      else if (!this.step(event.key)) return;
      event.preventDefault();
    });
    window.addEventListener("hashchange", () => this.follow());
  }

  /** Goes from row to row of the lists. @param {string} key */
  step(key) {
    const here = document.activeElement;
    const by = key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0;
    if (by === 0 || !here?.matches("aside a, aside button, aside summary")) return false;
    const all = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("aside a, aside button, aside summary"));
    const shown = [...all].filter((one) => one.getClientRects().length > 0);
    shown[shown.indexOf(/** @type {HTMLElement} */ (here)) + by]?.focus();
    return true;
  }
}

/** @param {Event} event */
const valueOf = ({ target }) => /** @type {HTMLInputElement} */ (target).value;

/** A part of the address as text; one that somebody typed need not be encoded. @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

new Page(new Model(JSON.parse(element("data").textContent ?? "")));
// In milliseconds from the beginning of the load.
document.documentElement.dataset.ready = String(Math.round(performance.now()));
