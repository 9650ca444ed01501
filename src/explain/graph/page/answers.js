// What the page says: why something is in, what it retains, what would go without it, what is missing.

/** What is unticked, and what follows from that. */
class Without {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.entries = /** @type {Set<number>} */ (new Set());
    this.packages = /** @type {Set<number>} */ (new Set());
    this.rules = /** @type {Set<number>} */ (new Set());
    this.isGone = new Uint8Array(model.n);
    /** @type {WhatIf} */
    this.answer = { gone: [], freed: model.tally([]), left: model.total, broken: [] };
  }

  /** @param {Set<number>} among @param {number} item @param {boolean} ticked */
  tick(among, item, ticked) {
    if (ticked) among.delete(item);
    else among.add(item);
    this.find();
  }

  get isNothing() {
    return this.entries.size + this.packages.size + this.rules.size === 0;
  }

  /** A directory goes with all that is in it, a package without its directories. */
  find() {
    const { model } = this;
    const entries = [...this.entries].flatMap((entry) => model.below(entry));
    const files = [...this.packages].flatMap((at) => model.filesOfPackage[at]);
    const dropped = [...entries, ...files.filter((entry) => model.data.type[entry] !== model.directory)];
    this.answer = model.whatIf(model.only(dropped), this.rules);
    this.isGone = model.only(this.answer.gone);
  }
}

class Answers {
  /** @param {Model} model @param {Without} without @param {() => void} changed  after something is ticked */
  constructor(model, without, changed) {
    this.model = model;
    this.without = without;
    this.changed = changed;
  }

  // Links: what is selected is the part of the address after `#`, so that "back" works.

  /** @param {number} entry */
  hash(entry) {
    return `#${encodeURI(this.model.paths[entry]).replace(/#/g, "%23")}`;
  }

  /** @param {number} at */
  packageHash(at) {
    return `#package=${encodeURIComponent(this.model.data.packages[at])}`;
  }

  /** @param {number} entry */
  link(entry, text = this.model.paths[entry]) {
    const made = make("a", { className: "name", href: this.hash(entry) }, text);
    if (this.without.isGone[entry]) made.append(make("span", { className: "bad" }, " (gone)"));
    return made;
  }

  /** @param {number} at */
  packageLink(at) {
    return make("a", { className: "name", href: this.packageHash(at) }, this.model.data.packages[at]);
  }

  /** @param {number} at */
  ruleHash(at) {
    return `#rule=${encodeURIComponent(this.model.data.rules[at])}`;
  }

  /** @param {number} at */
  ruleLink(at) {
    return make("a", { className: "name", href: this.ruleHash(at) }, this.model.data.rules[at]);
  }

  // Parts of answers

  /** Entries, the largest first. @param {number[]} entries */
  entries(entries, bytes = this.model.data.size) {
    const sorted = [...entries].sort((a, b) => bytes[b] - bytes[a] || a - b);
    return list(sorted, (entry) => sized(bytes[entry], this.link(entry)));
  }

  /** @param {number} entry @param {number} position */
  reason(entry, position) {
    const from = this.model.data.from[position];
    const words = this.model.words(entry, position);
    const rule = this.model.ruleOf(position);
    const about = rule >= 0 ? [" (", this.ruleLink(rule), ")"] : [];
    return row(this.evidence(position), from >= 0 ? this.link(from, words) : named(words), ...about);
  }

  /** @param {number} position of a reason */
  evidence(position) {
    return swatch(`--evidence-${this.model.evidence[position]}`);
  }

  /** `2 files, 1 link`. @param {number[]} entries */
  kinds(entries) {
    const { type, types } = this.model.data;
    /** @type {Record<string, string>} */
    const nouns = { file: "file", generated: "file", symlink: "link", hardlink: "link", dir: "directory" };
    const counts = new Map(["file", "link", "directory", "special file"].map((noun) => [noun, 0]));
    for (const entry of entries) {
      const noun = nouns[types[type[entry]]] ?? "special file";
      counts.set(noun, (counts.get(noun) ?? 0) + 1);
    }
    const words = [...counts].filter(([, n]) => n > 0).map(([noun, n]) => count(n, noun));
    return words.join(", ") || "nothing";
  }

  /** @param {Set<number>} among @param {number} item */
  tickBox(among, item, state = "in the image") {
    const box = /** @type {HTMLInputElement} */ (make("input", { type: "checkbox", checked: !among.has(item) }));
    box.addEventListener("change", () => this.tick(among, item, box.checked));
    const label = make("label", {}, box, `${state} (untick it: what would go, and what would break?)`);
    if (box.checked) return label;
    const show = make("button", { onclick: () => element("without").focus() }, "show");
    return make("div", {}, label, make("p", { className: "bad" }, `${this.summary()} `, show));
  }

  /** What follows from all that is unticked, in short. */
  summary() {
    const { answer, isNothing } = this.without;
    if (isNothing) return "everything is in";
    const n = answer.broken.filter(({ required }) => required).length;
    return `${size(answer.freed.bytes)} would go, ${count(n, "reference")} would break`;
  }

  /** @param {Set<number>} among @param {number} item @param {boolean} ticked */
  tick(among, item, ticked) {
    this.without.tick(among, item, ticked);
    this.changed();
  }

  // Whole answers

  writeTotals() {
    const { model } = this;
    const targets = [...model.paths.keys()].filter((entry) => model.isTarget[entry] === 1);
    const first = targets.slice(0, 3).map((entry) => model.paths[entry]).join(", ");
    const what = targets.length > 3 ? `${first} and ${targets.length - 3} more` : first;
    const image = [model.data.system, model.data.arch].filter(Boolean).join(" ");
    const { files, bytes } = model.total;
    const packed = model.data.archive === null ? "" : `, ${size(model.data.archive)} packed`;
    element("totals").textContent =
      `${count(model.n, "entry")}, ${count(files, "file")}, ${size(bytes)}${packed}, for ${image}: ${what}`;
    document.title = `minroot: ${what}`;
  }

  /** Before anything is selected. */
  largest() {
    const { model } = this;
    const retained = model.retainedBytes();
    return [
      make("h2", {}, "The largest, with what they retain"),
      make("p", { className: "soft" }, "What would go without each. Select one to see why it is in."),
      this.entries([...model.paths.keys()].filter((entry) => retained[entry] > 0), retained),
    ];
  }

  /** @param {number} entry */
  aboutEntry(entry) {
    const { model } = this;
    const chain = model.chain(entry);
    const step = (/** @type {{ entry: number, position: number }} */ { entry, position }) =>
      row(this.evidence(position), this.link(entry), " — ", named(model.words(entry, position), "soft"));
    const reasons = [...model.reasons(entry)];
    const needs = [...new Set(model.needs(entry))];
    const retained = model.retained(entry);
    const choices = model.data.chosen.filter(([chosen]) => chosen === entry);
    return [
      make("h2", { className: "name" }, model.paths[entry]),
      this.facts(entry),
      ...choices.map(([, words]) => make("p", {}, named(`chosen among alternatives: ${words}`))),
      this.tickBox(this.without.entries, entry),
      make("h3", {}, "Why it is in"),
      chain.length > 0 ? list(chain, step, "ol") : make("p", {}, "no chain of reasons leads here from a target"),
      make("h3", {}, count(reasons.length, "reason")),
      list(reasons, (position) => this.reason(entry, position)),
      make("h3", { id: "retained" }, `Without it ${this.wouldGo(retained)}`),
      this.entries(retained),
      make("h3", {}, `It needs ${count(needs.length, "entry")}`),
      this.entries(needs),
    ];
  }

  /** `1.2 KiB (1,234 bytes) would go: 2 files`. @param {number[]} entries */
  wouldGo(entries) {
    const { files, bytes, packed } = this.model.tally(entries);
    return `${size(bytes)} would go: ${this.kinds(entries)}${files > 0 ? this.packed(packed) : ""}`;
  }

  /** @param {Tally} sum */
  sum({ bytes, packed }) {
    return `${size(bytes)}${this.packed(packed)}`;
  }

  /** `, about 1.2 KiB (1,234 bytes) packed`, where that was measured. @param {number} bytes */
  packed(bytes) {
    return this.model.data.packed ? `, about ${size(bytes)} packed` : "";
  }

  /** `file, 1.2 KiB (1,234 bytes), of package libx1`. @param {number} entry */
  facts(entry) {
    const { data, isFile, symlinks, hardlinks } = this.model;
    const facts = make("p", {}, data.types[data.type[entry]]);
    const [target, file, of] = [symlinks.get(entry), hardlinks.get(entry), data.package[entry]];
    if (isFile[entry]) facts.append(`, ${this.sum(this.model.tally([entry]))}`);
    if (target !== undefined) facts.append(" to ", named(target));
    if (file !== undefined) facts.append(" to ", this.link(file));
    if (of >= 0) facts.append(", of package ", this.packageLink(of));
    return facts;
  }

  /** @param {number} at */
  aboutPackage(at) {
    const { data, filesOfPackage, ofPackage } = this.model;
    return [
      make("h2", { className: "name" }, `package ${data.packages[at]}`),
      make("p", {}, `${this.sum(ofPackage[at])}: ${this.kinds(filesOfPackage[at])}`),
      this.tickBox(this.without.packages, at),
      make("h3", {}, "Entries"),
      this.entries(filesOfPackage[at]),
    ];
  }

  /** @param {number} at */
  aboutRule(at) {
    const { model } = this;
    const entries = model.entriesOfRule[at];
    return [
      make("h2", { className: "name" }, `rule ${model.data.rules[at]}`),
      make("p", {}, `${this.sum(model.ofRule[at])} in by it: ${this.kinds(entries)}`),
      this.tickBox(this.without.rules, at, "in force"),
      make("h3", {}, "Entries"),
      this.entries(entries),
    ];
  }

  writeWithout() {
    const { without } = this;
    const { gone, freed, left, broken } = without.answer;
    const section = element("without");
    section.hidden = without.isNothing;
    const item = (/** @type {Set<number>} */ among, /** @type {number} */ at, /** @type {Node} */ link) =>
      row(make("button", { onclick: () => this.tick(among, at, true) }, "put back"), link);
    section.replaceChildren(
      make("h2", {}, "Without"),
      make("ul", {},
        ...[...without.entries].map((entry) => item(without.entries, entry, this.link(entry))),
        ...[...without.packages].map((at) => item(without.packages, at, this.packageLink(at))),
        ...[...without.rules].map((at) => item(without.rules, at, this.ruleLink(at)))),
      make("p", { id: "freed" }, `${size(freed.bytes)} would go: ${this.kinds(gone)}`),
      make("p", { id: "left" }, `${size(left.bytes)} would be left in ${count(left.files, "file")}`),
      ...this.ofArchive(freed),
      ...this.broken("Breaks", broken.filter(({ required }) => required)),
      ...this.broken("May miss it", broken.filter(({ required }) => !required)),
      make("h3", {}, "Goes"),
      this.entries(gone),
    );
  }

  /** @param {Tally} freed */
  ofArchive(freed) {
    const { archive } = this.model.data;
    if (archive === null) return [];
    return [make("p", { id: "packed" }, `packed: about ${size(freed.packed)} of ${size(archive)} would go`)];
  }

  /** @param {string} title @param {Broken[]} broken */
  broken(title, broken) {
    if (broken.length === 0) return [];
    const item = (/** @type {Broken} */ { referrer, dropped, position }) =>
      row("", this.link(referrer), ": ", this.link(dropped), " — ", named(this.model.words(dropped, position), "soft"));
    const found = list(broken, item);
    found.className = "broken";
    return [make("h3", { className: "bad" }, `${title}: ${count(broken.length, "reference")}`), found];
  }

  writeDoubts() {
    const { unknown, dropped } = this.model.data;
    const missing = [...this.model.data.missing].sort((a, b) => Number(b.bad) - Number(a.bad));
    const group = (/** @type {string} */ title, /** @type {Doubt[]} */ doubts, /** @type {boolean} */ open) =>
      make("details", { open: open && doubts.length > 0 },
        make("summary", {}, `${title}: ${doubts.length.toLocaleString("en-US")}`),
        list(doubts, (doubt) => this.doubt(doubt)));
    element("doubts").replaceChildren(
      group("Missing", missing, true),
      group("Unknown", unknown, true),
      group("Left out", dropped, false),
    );
  }

  /** All rules that brought something in, those that brought the most first. */
  writeRules() {
    const bytes = this.model.ofRule.map((sum) => sum.bytes);
    const order = [...bytes.keys()].sort((a, b) => bytes[b] - bytes[a] || a - b);
    element("rules").replaceChildren(
      make("details", {},
        make("summary", {}, `Rules: ${bytes.length.toLocaleString("en-US")}`),
        list(order, (at) => sized(bytes[at], this.ruleLink(at)))));
  }

  /** @param {Doubt} doubt @param {Node | string} first */
  doubt(doubt, first = "") {
    const reference = doubt.from >= 0 ? this.link(doubt.from, doubt.words) : named(doubt.words);
    const places = doubt.places.map((place) => make("li", {}, named(place)));
    const summary = make("summary", {}, `tried in ${count(places.length, "place")}`);
    const tried = make("details", {}, summary, make("ul", {}, ...places));
    const about = make("strong", {}, named(doubt.name, doubt.bad ? "bad" : ""));
    return row(first, about, ` ${doubt.why} — `, reference, ...(places.length > 0 ? [tried] : []));
  }

  /** @param {string} text */
  writeResults(text) {
    const { model } = this;
    const results = element("results");
    results.hidden = text === "";
    if (text === "") return;
    const { missing, unknown, dropped } = model.data;
    const wanted = text.toLowerCase();
    const doubts = [...missing, ...unknown, ...dropped].filter(({ name }) => name.toLowerCase().includes(wanted));
    const rules = [...model.data.rules.keys()].filter((at) => model.data.rules[at].toLowerCase().includes(wanted));
    const notIn = () => make("span", { className: "bytes" }, "not in");
    const found = [
      ...model.search(wanted).map((entry) => () => sized(model.data.size[entry], this.link(entry))),
      ...rules.map((at) => () => sized(model.ofRule[at].bytes, "rule ", this.ruleLink(at))),
      ...doubts.map((doubt) => () => this.doubt(doubt, notIn())),
    ];
    element("found").textContent = `${found.length.toLocaleString("en-US")} found`;
    results.replaceChildren(element("found"), list(found, (row) => row()));
  }
}
