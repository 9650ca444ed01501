// The treemap on the page: its arrangements and colours, the mouse, and the keyboard.

/** How many packages have a colour of their own; page.css has one more, for all others. */
const PACKAGES = 9;

const ARRANGEMENTS = { directory: byDirectory, package: byPackage, retained: byRetained, packed: byPacked };

class TreemapView {
  /**
   * @param {Model} model
   * @param {Without} without
   * @param {{ open: (box: Box) => void, tick: (box: Box) => void }} actions
   */
  constructor(model, without, actions) {
    this.model = model;
    this.without = without;
    this.actions = actions;
    this.holder = element("treemap");
    /** The entry that is selected, or -1. */
    this.selected = -1;
    this.tree = byDirectory(model);
    /** Whether the boxes are as large as what they take in the archive. */
    this.isPacked = false;
    /** The box that fills the treemap, and the one that the keyboard is at. */
    this.top = this.tree;
    this.cursor = this.tree;
    /** @type {Box[]} */
    this.shown = [];
    this.colour = "evidence";
    const order = [...model.data.packages.keys()].sort((a, b) => model.ofPackage[b].bytes - model.ofPackage[a].bytes);
    this.largest = order.slice(0, PACKAGES);
    this.rank = new Map(this.largest.map((at, rank) => [at, rank]));
    this.listen();
  }

  /** @param {string} arrangement */
  arrange(arrangement) {
    this.tree = ARRANGEMENTS[/** @type {keyof typeof ARRANGEMENTS} */ (arrangement)](this.model);
    this.isPacked = arrangement === "packed";
    this.zoom(this.tree);
  }

  /** @param {string} colour */
  paintBy(colour) {
    this.colour = colour;
    this.draw();
  }

  /** @param {number} entry */
  select(entry) {
    this.selected = entry;
    this.mark();
  }

  /** Lays out and paints, after anything that changes the picture. */
  draw() {
    const { clientWidth: width, clientHeight: height } = this.holder;
    this.shown = layout(this.top, width, height);
    if (!this.shown.includes(this.cursor)) this.cursor = this.top;
    const style = getComputedStyle(document.documentElement);
    /** @type {Map<string, string>} */
    const known = new Map();
    const value = (/** @type {string} */ colour) => {
      if (!known.has(colour)) known.set(colour, style.getPropertyValue(colour).trim());
      return /** @type {string} */ (known.get(colour));
    };
    // What is too small to be seen from inside has the colour of the largest file in it.
    const fill = (/** @type {Box} */ box) => {
      while (box.children.length > 0) box = box.children[0];
      if (box.entry < 0) return value("--frame");
      return value(this.without.isGone[box.entry] ? "--gone" : this.colourOf(box.entry));
    };
    const colours = { fill, frame: value("--frame"), line: value("--panel"), text: value("--text") };
    paint(this.context("boxes"), this.shown, colours);
    this.mark();
    this.writeLegend();
  }

  /** Whether the picture is as large as what holds it: an observer reports the first size too. */
  isPainted() {
    const { w, h } = this.top.place ?? { w: 0, h: 0 };
    return w === this.holder.clientWidth && h === this.holder.clientHeight;
  }

  /** A cleared canvas with the pixels of the screen. @param {string} id */
  context(id) {
    const canvas = /** @type {HTMLCanvasElement} */ (element(id));
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(this.holder.clientWidth * scale);
    canvas.height = Math.round(this.holder.clientHeight * scale);
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale(scale, scale);
    return context;
  }

  /** Frames what is selected and where the keyboard is. */
  mark() {
    const context = this.context("marks");
    const style = getComputedStyle(document.documentElement);
    const frame = (/** @type {Box} */ { place }, /** @type {string} */ colour, /** @type {number} */ width) => {
      if (!place) return;
      context.strokeStyle = style.getPropertyValue(colour);
      context.lineWidth = width;
      context.strokeRect(place.x + 1, place.y + 1, Math.max(place.w - 2, 1), Math.max(place.h - 2, 1));
    };
    for (const box of this.shown) if (box.entry >= 0 && box.entry === this.selected) frame(box, "--text", 2);
    if (document.activeElement === this.holder) frame(this.cursor, "--focus", 3);
  }

  /** Fills the treemap with a box, or with what holds it when nothing is in it. @param {Box} box */
  zoom(box) {
    this.top = box.children.length > 0 ? box : (box.parent ?? this.tree);
    this.cursor = this.top;
    this.draw();
    this.writeCrumbs();
    this.tell(this.cursor);
  }

  /** Not with every `draw`: a button that is made anew is neither clicked nor has the focus any more. */
  writeCrumbs() {
    const crumbs = [];
    for (let box = /** @type {Box | null} */ (this.top); box; box = box.parent) {
      const to = box;
      const text = named(box.name);
      crumbs.unshift(box === this.top ? text : make("button", { onclick: () => this.zoom(to) }, text));
    }
    element("crumbs").replaceChildren(...crumbs);
  }

  /** The name of a colour in the style sheet. @param {number} entry */
  colourOf(entry) {
    if (this.colour === "evidence") return `--evidence-${this.model.strongest[entry]}`;
    return `--package-${this.rank.get(this.model.data.package[entry]) ?? PACKAGES}`;
  }

  writeLegend() {
    const { data, ofPackage, ofEvidence, total } = this.model;
    const bytes = (/** @type {Tally} */ tally) => (this.isPacked ? tally.packed : tally.bytes);
    const item = (/** @type {string} */ colour, /** @type {string} */ text, /** @type {number} */ sum) =>
      sum === 0 ? [] : [make("li", {}, swatch(colour), named(text), named(` ${rounded(sum)}`, "soft"))];
    if (this.colour === "evidence") {
      const items = data.evidence.flatMap((text, at) => item(`--evidence-${at}`, text, bytes(ofEvidence[at])));
      element("legend").replaceChildren(...items);
      return;
    }
    const items = this.largest.flatMap((at, rank) => item(`--package-${rank}`, data.packages[at], bytes(ofPackage[at])));
    const others = bytes(total) - this.largest.reduce((sum, at) => sum + bytes(ofPackage[at]), 0);
    element("legend").replaceChildren(...items, ...item(`--package-${PACKAGES}`, "other", others));
  }

  /** Says what a box is, below the treemap and to screen readers. @param {Box} box */
  tell(box) {
    const path = box.entry < 0 ? box.name : this.model.paths[box.entry];
    const inside = box.children.length > 0 ? `, ${count(box.children.length, "part")}` : "";
    const gone = box.entry >= 0 && this.without.isGone[box.entry] ? ", gone" : "";
    const bytes = this.isPacked ? `about ${size(box.total)} packed` : size(box.total);
    element("status").textContent = `${path}: ${bytes}${inside}${gone}`;
  }

  listen() {
    const { holder } = this;
    const at = (/** @type {MouseEvent} */ event) => {
      const { left, top } = holder.getBoundingClientRect();
      return pick(this.top, event.clientX - left, event.clientY - top);
    };
    holder.addEventListener("mousemove", (event) => this.tell(at(event)));
    holder.addEventListener("click", (event) => {
      this.cursor = at(event);
      this.actions.open(this.cursor);
    });
    holder.addEventListener("dblclick", (event) => this.zoom(at(event)));
    holder.addEventListener("keydown", (event) => this.key(event));
    for (const change of ["focus", "blur"]) holder.addEventListener(change, () => this.mark());
    new ResizeObserver(() => this.isPainted() || this.draw()).observe(holder);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { cursor, top, actions } = this;
    /** @type {Record<string, () => void>} */
    const acts = {
      Enter: () => actions.open(cursor),
      " ": () => actions.tick(cursor),
      z: () => this.zoom(cursor),
      Escape: () => this.zoom(top.parent ?? top),
    };
    const next = this.next(event.key);
    if (next) {
      this.cursor = next;
      this.tell(next);
      this.mark();
    } else if (event.key in acts) {
      acts[event.key]();
    } else if (!event.key.startsWith("Arrow")) {
      return;
    }
    event.preventDefault();
  }

  /** Where a key leads: to a neighbour, in the order of the sizes; into a box; out of it. @param {string} key */
  next(key) {
    const { cursor, top } = this;
    const near = cursor === top ? [cursor] : (cursor.parent?.children ?? []).filter(({ place }) => place);
    const at = near.indexOf(cursor);
    switch (key) {
      case "ArrowRight":
        return near[at + 1];
      case "ArrowLeft":
        return near[at - 1];
      case "ArrowDown":
        return cursor.children.find(({ place }) => place);
      case "ArrowUp":
        return cursor === top ? undefined : cursor.parent;
      case "Home":
        return near[0];
      case "End":
        return near.at(-1);
    }
  }
}
