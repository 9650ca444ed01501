// What is on the page, and what happens when somebody clicks, types or presses a key.

/** How many rows of a list are shown at first, and with each further click. */
const ROWS = 20;

/** How many packages have a colour of their own; style.css knows one more, for all others. */
const PACKAGES = 9;

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * @param {string} tag
 * @param {Record<string, unknown>} properties
 * @param {(Node | string)[]} children
 */
function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

class Page {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** What is unticked. */
    this.unticked = new Set();
    this.untickedPackages = new Set();
    this.isGone = new Uint8Array(model.n);
    this.tree = byDirectory(model);
    /** The box that fills the treemap, and the one that the keyboard is at. */
    this.top = this.tree;
    this.cursor = this.tree;
    /** @type {Box[]} */
    this.shown = [];
    this.colour = "evidence";
    this.rankPackages();
    this.writeTotals();
    this.writeDoubts();
    this.listen();
    this.draw();
    this.follow();
  }

  // Colours

  /** The largest packages have the first colours. */
  rankPackages() {
    const { model } = this;
    /** The files of each package; the last list is of those without one. */
    this.files = [...model.data.packages, ""].map(() => /** @type {number[]} */ ([]));
    model.data.package.forEach((at, entry) => this.files.at(at)?.push(entry));
    this.sums = this.files.map((files) => model.tally(files));
    const order = [...model.data.packages.keys()].sort((a, b) => this.sums[b].bytes - this.sums[a].bytes);
    this.ranked = order.slice(0, PACKAGES);
    this.rank = new Map(this.ranked.map((at, rank) => [at, rank]));
  }

  /** The name of a colour in the style sheet. @param {number} entry */
  colourOf(entry) {
    if (this.colour === "evidence") return `--evidence-${Math.min(this.model.strongest[entry], 5)}`;
    return `--package-${this.rank.get(this.model.data.package[entry]) ?? PACKAGES}`;
  }

  /** @param {string} name of a colour */
  swatch(name) {
    const made = make("span", { className: "swatch" });
    made.style.background = `var(${name})`;
    return made;
  }

  writeLegend() {
    const { model } = this;
    /** @type {[string, Node | string, number][]} */
    let rows;
    if (this.colour === "evidence") {
      const classes = [...model.data.evidence.keys()];
      const sums = classes.map((at) => model.tally([...model.paths.keys()].filter((i) => model.strongest[i] === at)));
      rows = classes.map((at) => [`--evidence-${at}`, model.data.evidence[at], sums[at].bytes]);
    } else {
      rows = this.ranked.map((at, rank) => [`--package-${rank}`, this.packageLink(at), this.sums[at].bytes]);
      const others = model.total.bytes - this.ranked.reduce((sum, at) => sum + this.sums[at].bytes, 0);
      rows.push([`--package-${PACKAGES}`, "other", others]);
    }
    const items = rows.filter(([, , bytes]) => bytes > 0);
    element("legend").replaceChildren(
      ...items.map(([colour, name, bytes]) =>
        make("li", {}, this.swatch(colour), name, make("span", { className: "soft" }, ` ${rounded(bytes)}`))),
    );
  }

  // The treemap

  /** Lays out and paints, after anything that changes the picture. */
  draw() {
    const holder = element("treemap");
    const [width, height] = [holder.clientWidth, holder.clientHeight];
    this.shown = layout(this.top, width, height);
    if (!this.cursor.place || !this.isInTop(this.cursor)) this.cursor = this.top;
    const style = getComputedStyle(document.documentElement);
    const value = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    /** @type {Map<string, string>} */
    const known = new Map();
    const fill = (/** @type {Box} */ { entry }) => {
      const name = entry < 0 ? "--frame" : this.isGone[entry] ? "--gone" : this.colourOf(entry);
      if (!known.has(name)) known.set(name, value(name));
      return /** @type {string} */ (known.get(name));
    };
    const colours = { fill, frame: value("--frame"), line: value("--panel"), text: value("--text") };
    paint(this.context("boxes", width, height), this.shown, colours);
    this.mark();
    this.writeCrumbs();
    this.writeLegend();
  }

  /** A cleared canvas with the pixels of the screen. @param {string} id @param {number} width @param {number} height */
  context(id, width, height) {
    const canvas = /** @type {HTMLCanvasElement} */ (element(id));
    const scale = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale(scale, scale);
    return context;
  }

  /** Frames what is selected and where the keyboard is. */
  mark() {
    const holder = element("treemap");
    const context = this.context("marks", holder.clientWidth, holder.clientHeight);
    const style = getComputedStyle(document.documentElement);
    const frame = (/** @type {Box} */ { place }, /** @type {string} */ colour, /** @type {number} */ width) => {
      if (!place) return;
      context.strokeStyle = style.getPropertyValue(colour);
      context.lineWidth = width;
      context.strokeRect(place.x + 1, place.y + 1, Math.max(place.w - 2, 1), Math.max(place.h - 2, 1));
    };
    for (const box of this.shown) if (box.entry >= 0 && box.entry === this.selected) frame(box, "--text", 2);
    if (document.activeElement === holder) frame(this.cursor, "--focus", 3);
  }

  /** @param {Box} box */
  isInTop(box) {
    for (let here = /** @type {Box | null} */ (box); here; here = here.parent) if (here === this.top) return true;
    return false;
  }

  /** @param {Box} box */
  zoom(box) {
    this.top = box.children.length > 0 ? box : (box.parent ?? this.tree);
    this.cursor = this.top;
    this.draw();
    this.tell(this.cursor);
  }

  writeCrumbs() {
    const crumbs = [];
    for (let box = /** @type {Box | null} */ (this.top); box; box = box.parent) {
      const to = box;
      const name = box.parent ? box.name : "all";
      crumbs.unshift(box === this.top ? name : make("button", { onclick: () => this.zoom(to) }, name), " › ");
    }
    element("crumbs").replaceChildren(...crumbs.slice(0, -1));
  }

  /** Says what a box is, below the treemap and to screen readers. @param {Box} box */
  tell(box) {
    const { model } = this;
    const name = box.entry < 0 ? (box.package < 0 ? "all" : `package ${box.name}`) : model.paths[box.entry];
    const gone = box.entry >= 0 && this.isGone[box.entry] ? ", gone" : "";
    const inside = box.children.length > 0 ? `, ${count(box.children.length, "part")}` : "";
    element("status").textContent = `${name}: ${size(box.total)}${inside}${gone}`;
  }

  /** @param {string} arrangement */
  arrange(arrangement) {
    const makers = { directory: byDirectory, package: byPackage, retained: byRetained };
    this.tree = makers[/** @type {keyof typeof makers} */ (arrangement)](this.model);
    this.top = this.cursor = this.tree;
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  treemapKey(event) {
    const { cursor, top } = this;
    const near = cursor === top ? [cursor] : (cursor.parent?.children ?? []).filter(({ place }) => place);
    const at = near.indexOf(cursor);
    /** @type {Record<string, () => Box | undefined>} */
    const moves = {
      ArrowRight: () => near[at + 1],
      ArrowLeft: () => near[at - 1],
      ArrowDown: () => cursor.children.find(({ place }) => place),
      ArrowUp: () => (cursor === top ? undefined : (cursor.parent ?? undefined)),
      Home: () => near[0],
      End: () => near.at(-1),
    };
    /** @type {Record<string, () => void>} */
    const acts = {
      Enter: () => this.open(cursor),
      z: () => this.zoom(cursor),
      Z: () => this.zoom(cursor),
      Escape: () => this.zoom(top.parent ?? top),
      " ": () => cursor.entry >= 0 && this.tick(cursor.entry, this.unticked.has(cursor.entry)),
    };
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in moves) {
      this.cursor = moves[event.key]() ?? cursor;
      this.tell(this.cursor);
      this.mark();
    } else if (event.key in acts) {
      acts[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  }

  /** Selects what a box stands for. @param {Box} box */
  open(box) {
    if (box.entry >= 0) location.hash = this.hash(box.entry);
    else if (box.package >= 0) location.hash = this.packageHash(box.package);
  }

  // Links: what is selected is the part of the address after `#`, so that "back" works.

  /** @param {number} entry */
  hash(entry) {
    return `#${encodeURI(this.model.paths[entry]).replace(/#/g, "%23")}`;
  }

  /** @param {number} at */
  packageHash(at) {
    return `#package=${encodeURIComponent(this.model.data.packages[at] ?? "")}`;
  }

  /** @param {number} entry */
  link(entry, text = this.model.paths[entry]) {
    const made = make("a", { className: "name", href: this.hash(entry) }, text);
    if (this.isGone[entry]) made.append(make("span", { className: "bad" }, " (gone)"));
    return made;
  }

  /** @param {number} at */
  packageLink(at) {
    return make("a", { className: "name", href: this.packageHash(at) }, this.model.data.packages[at]);
  }

  /** Shows what the address says. */
  follow() {
    const [, ofPackage] = /^#package=(.*)$/.exec(location.hash) ?? [];
    const named = (/** @type {string} */ text) => {
      try {
        return decodeURIComponent(text);
      } catch {
        return text;
      }
    };
    this.selected = this.model.positions.get(named(location.hash.slice(1))) ?? -1;
    this.selectedPackage = ofPackage === undefined ? -1 : this.model.data.packages.indexOf(named(ofPackage));
    this.writeDetails();
    this.mark();
    if (location.hash) element("details").focus();
  }

  // Answers

  /**
   * A list that grows on demand.
   * @template T
   * @param {T[]} items
   * @param {(item: T) => HTMLElement} row
   */
  list(items, row, tag = "ul") {
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

  /** @param {string} bytes @param {(Node | string)[]} rest */
  row(bytes, ...rest) {
    return make("li", {}, make("span", { className: "bytes" }, bytes), make("span", { className: "words" }, ...rest));
  }

  /** Entries, the largest first. @param {number[]} entries */
  entries(entries) {
    const { size } = this.model.data;
    const sorted = [...entries].sort((a, b) => size[b] - size[a] || a - b);
    return this.list(sorted, (entry) => this.row(rounded(size[entry]), this.link(entry)));
  }

  /** A reason as a row. @param {number} entry @param {number} position */
  reason(entry, position) {
    const from = this.model.data.from[position];
    const words = this.model.words(entry, position);
    const colour = this.swatch(`--evidence-${this.model.evidence(position)}`);
    return make("li", {}, colour, from >= 0 ? this.link(from, words) : make("span", { className: "name" }, words));
  }

  writeTotals() {
    const { model } = this;
    const targets = [...model.paths.keys()].filter((entry) => model.isTarget(entry));
    const first = targets.slice(0, 3).map((entry) => model.paths[entry]).join(", ");
    const others = targets.length > 3 ? ` and ${targets.length - 3} more` : "";
    const { files, bytes } = model.total;
    const image = [model.data.system, model.data.arch].filter(Boolean).join(" ");
    const sum = `${count(model.n, "entry")}, ${count(files, "file")}, ${size(bytes)}`;
    element("totals").textContent = `${sum}, for ${image}: ${first}${others}`;
    document.title = `minroot: ${first}${others}`;
  }

  writeDetails() {
    const details = element("details");
    if (this.selected >= 0) details.replaceChildren(...this.entryDetails(this.selected));
    else if (this.selectedPackage >= 0) details.replaceChildren(...this.packageDetails(this.selectedPackage));
    else details.replaceChildren(...this.largest());
  }

  /** Before anything is selected. */
  largest() {
    const { model } = this;
    const retained = model.retainedBytes();
    const order = [...model.paths.keys()].filter((i) => retained[i] > 0).sort((a, b) => retained[b] - retained[a] || a - b);
    return [
      make("h2", {}, "The largest, with what they retain"),
      make("p", { className: "soft" }, "What would go without each. Select one to see why it is in."),
      this.list(order, (entry) => this.row(rounded(retained[entry]), this.link(entry))),
    ];
  }

  /** @param {number} entry */
  entryDetails(entry) {
    const { model } = this;
    const chain = model.chain(entry);
    const reasons = [...Array(model.first[entry + 1] - model.first[entry]).keys()].map((i) => model.first[entry] + i);
    const needs = [...new Set(model.needTo.subarray(model.needStart[entry], model.needStart[entry + 1]))];
    const retained = model.retained(entry);
    const bytes = model.whatIf(this.only([entry])).freed.bytes;
    return [
      make("h2", { className: "name" }, model.paths[entry]),
      this.facts(entry),
      this.tickBox(!this.unticked.has(entry), (ticked) => this.tick(entry, ticked)),
      make("h3", {}, "Why it is in"),
      chain.length === 0
        ? make("p", {}, "no chain of reasons leads here from a target")
        : this.list(chain, (step) => {
            const words = make("span", { className: "soft name" }, model.words(step.entry, step.position));
            const colour = this.swatch(`--evidence-${model.evidence(step.position)}`);
            return make("li", {}, colour, make("span", { className: "words" }, this.link(step.entry), " — ", words));
          }, "ol"),
      make("h3", {}, count(reasons.length, "reason")),
      this.list(reasons, (position) => this.reason(entry, position)),
      make("h3", {}, `Without it ${size(bytes)} would go: ${this.kinds(retained)}`),
      this.entries(retained),
      make("h3", {}, `It needs ${count(needs.length, "entry")}`),
      this.entries(needs),
    ];
  }

  /** `file, 1.2 KiB (1,234 bytes), of package libx1`. @param {number} entry */
  facts(entry) {
    const { data, isFile, symlinks, hardlinks, paths } = this.model;
    const file = hardlinks.get(entry);
    const made = make("p", {}, data.types[data.type[entry]]);
    if (isFile[entry]) made.append(`, ${size(data.size[entry])}`);
    if (symlinks.has(entry)) made.append(" to ", make("span", { className: "name" }, symlinks.get(entry)));
    if (file !== undefined) made.append(" to ", this.link(file, paths[file]));
    if (data.package[entry] >= 0) made.append(", of package ", this.packageLink(data.package[entry]));
    return made;
  }

  /** @param {number} at */
  packageDetails(at) {
    const files = this.files[at];
    const { bytes } = this.sums[at];
    return [
      make("h2", { className: "name" }, `package ${this.model.data.packages[at]}`),
      make("p", {}, `${size(bytes)}: ${this.kinds(files)}`),
      this.tickBox(!this.untickedPackages.has(at), (ticked) => this.tickPackage(at, ticked)),
      make("h3", {}, "Entries"),
      this.entries(files),
    ];
  }

  /** @param {boolean} checked @param {(ticked: boolean) => void} act */
  tickBox(checked, act) {
    const input = make("input", { type: "checkbox", id: "tick", checked });
    input.addEventListener("change", () => act(/** @type {HTMLInputElement} */ (input).checked));
    return make("label", { htmlFor: "tick" }, input, "in the image (untick: what would go, what would break?)");
  }

  /** `2 files, 1 link`. @param {number[]} entries */
  kinds(entries) {
    const { type, types } = this.model.data;
    const nouns = { file: "file", generated: "file", symlink: "link", hardlink: "link", dir: "directory" };
    const counts = new Map(["file", "link", "directory", "special file"].map((noun) => [noun, 0]));
    for (const entry of entries) {
      const noun = nouns[/** @type {keyof typeof nouns} */ (types[type[entry]])] ?? "special file";
      counts.set(noun, (counts.get(noun) ?? 0) + 1);
    }
    const words = [...counts].filter(([, n]) => n > 0).map(([noun, n]) => count(n, noun));
    return words.join(", ") || "nothing";
  }

  // What if

  /** @param {number[]} entries */
  only(entries) {
    const without = new Uint8Array(this.model.n);
    for (const entry of entries) without[entry] = 1;
    return without;
  }

  /** @param {number} entry @param {boolean} ticked */
  tick(entry, ticked) {
    if (ticked) this.unticked.delete(entry);
    else this.unticked.add(entry);
    this.writeWithout();
  }

  /** @param {number} at @param {boolean} ticked */
  tickPackage(at, ticked) {
    if (ticked) this.untickedPackages.delete(at);
    else this.untickedPackages.add(at);
    this.writeWithout();
  }

  putBack() {
    this.unticked.clear();
    this.untickedPackages.clear();
    this.writeWithout();
  }

  /** All that is left out: a directory with all that is in it, a package without its directories. */
  leftOut() {
    const { model } = this;
    const paths = [...this.unticked].flatMap((entry) => model.below(entry));
    const files = [...this.untickedPackages].flatMap((at) => this.files[at]);
    return this.only([...paths, ...files.filter((entry) => model.data.type[entry] !== model.directory)]);
  }

  writeWithout() {
    const { model, unticked, untickedPackages } = this;
    const without = element("without");
    without.hidden = unticked.size + untickedPackages.size === 0;
    const answer = model.whatIf(this.leftOut());
    this.isGone = this.only(answer.gone);
    const back = (/** @type {() => void} */ act, /** @type {Node} */ name) =>
      make("li", {}, make("button", { onclick: act }, "put back"), make("span", { className: "words" }, name));
    const breaks = answer.broken.filter(({ required }) => required);
    const misses = answer.broken.filter(({ required }) => !required);
    without.replaceChildren(
      make("h2", {}, "Without"),
      make("ul", {},
        ...[...unticked].map((entry) => back(() => this.tick(entry, true), this.link(entry))),
        ...[...untickedPackages].map((at) => back(() => this.tickPackage(at, true), this.packageLink(at)))),
      make("p", { id: "freed" }, `${size(answer.freed.bytes)} would go: ${this.kinds(answer.gone)}`),
      make("p", { id: "left" }, `${size(answer.left.bytes)} would be left in ${count(answer.left.files, "file")}`),
      ...this.broken("Breaks", "breaks", breaks),
      ...this.broken("May miss it", "misses", misses),
      make("h3", {}, "Goes"),
      this.entries(answer.gone),
      make("button", { onclick: () => this.putBack() }, "put all back"),
    );
    this.writeDetails();
    this.draw();
    element("status").textContent = without.hidden
      ? "everything is in"
      : `${size(answer.freed.bytes)} would go, ${count(breaks.length, "reference")} would break`;
  }

  /** @param {string} title @param {string} id @param {Broken[]} broken */
  broken(title, id, broken) {
    if (broken.length === 0) return [];
    const row = (/** @type {Broken} */ { referrer, dropped, position }) => {
      const words = make("span", { className: "soft name" }, this.model.words(dropped, position));
      return make("li", {}, make("span", { className: "words" }, this.link(referrer), " needs ", this.link(dropped), " — ", words));
    };
    return [make("h3", { className: "bad", id }, `${title}: ${count(broken.length, "reference")}`), this.list(broken, row)];
  }

  // Lists

  writeDoubts() {
    const { missing, unknown, dropped } = this.model.data;
    const group = (/** @type {string} */ title, /** @type {Doubt[]} */ doubts, /** @type {boolean} */ open) =>
      make("details", { open: open && doubts.length > 0 },
        make("summary", {}, `${title}: ${doubts.length.toLocaleString("en-US")}`),
        this.list(doubts, (doubt) => this.doubt(doubt)));
    element("doubts").replaceChildren(
      group("Missing", missing, true),
      group("Unknown", unknown, true),
      group("Left out", dropped, false),
    );
  }

  /** @param {Doubt} doubt */
  doubt({ name, from, words, why, bad, places }) {
    const reference = from >= 0 ? this.link(from, words) : make("span", { className: "name" }, words);
    const made = make("span", { className: "words" },
      make("strong", { className: bad ? "name bad" : "name" }, name), ` ${why} — `, reference);
    made.append(...places.map((place) => make("span", { className: "places name" }, place)));
    return make("li", {}, made);
  }

  search() {
    const { model } = this;
    const text = /** @type {HTMLInputElement} */ (element("search")).value.trim();
    const results = element("results");
    results.hidden = text === "";
    if (text === "") return;
    const found = model.search(text);
    const lower = text.toLowerCase();
    const doubts = [...model.data.missing, ...model.data.unknown, ...model.data.dropped]
      .filter(({ name }) => name.toLowerCase().includes(lower));
    element("search-count").textContent = `${(found.length + doubts.length).toLocaleString("en-US")} found`;
    const rows = [...found, ...doubts];
    const row = (/** @type {number | Doubt} */ item) =>
      typeof item === "number" ? this.row(rounded(model.data.size[item]), this.link(item)) : this.doubt(item);
    results.replaceChildren(element("search-count"), this.list(rows, row));
  }

  // Events

  listen() {
    const treemap = element("treemap");
    const search = /** @type {HTMLInputElement} */ (element("search"));
    const at = (/** @type {MouseEvent} */ event) => {
      const { left, top } = treemap.getBoundingClientRect();
      return pick(this.top, event.clientX - left, event.clientY - top);
    };
    treemap.addEventListener("mousemove", (event) => this.tell(at(event)));
    treemap.addEventListener("click", (event) => {
      this.cursor = at(event);
      this.open(this.cursor);
    });
    treemap.addEventListener("dblclick", (event) => this.zoom(at(event)));
    treemap.addEventListener("keydown", (event) => this.treemapKey(event));
    for (const name of ["focus", "blur"]) treemap.addEventListener(name, () => this.mark());
    element("arrangements").addEventListener("change", (event) => this.arrange(/** @type {HTMLInputElement} */ (event.target).value));
    element("colours").addEventListener("change", (event) => {
      this.colour = /** @type {HTMLInputElement} */ (event.target).value;
      this.draw();
    });
    search.addEventListener("input", () => this.search());
    element("search-form").addEventListener("submit", (event) => {
      event.preventDefault();
      element("results").querySelector("a")?.click();
    });
    search.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      element("results").querySelector("a")?.focus();
      event.preventDefault();
    });
    document.addEventListener("keydown", (event) => this.pageKey(event, search));
    window.addEventListener("hashchange", () => this.follow());
    new ResizeObserver(() => this.draw()).observe(treemap);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Keys that mean something everywhere. @param {KeyboardEvent} event @param {HTMLInputElement} search */
  pageKey(event, search) {
    const here = /** @type {HTMLElement} */ (event.target);
    const isLink = here.closest("aside li") && (here.tagName === "A" || here.tagName === "BUTTON");
    if (event.key === "/" && here !== search && !event.ctrlKey) {
      search.select();
    } else if (isLink && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const links = [...document.querySelectorAll("aside a, aside button")].filter((one) => one.getClientRects().length > 0);
      const next = links[links.indexOf(here) + (event.key === "ArrowDown" ? 1 : -1)];
      /** @type {HTMLElement | undefined} */ (next)?.focus();
    } else {
      return;
    }
    event.preventDefault();
  }
}

const data = JSON.parse(element("data").textContent ?? "");
new Page(new Model(data));
document.documentElement.dataset.ready = String(Math.round(performance.now()));
