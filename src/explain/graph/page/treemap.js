// Boxes in boxes: trees of the entries, their layout and their picture on a canvas.

/**
 * A box: a file, a directory, a package, or an entry with what it retains.
 * @typedef {object} Box
 * @property {string} name
 * @property {number} entry  -1 for a package, and for the whole
 * @property {number} package  the package that the box stands for, otherwise -1
 * @property {number} total  bytes
 * @property {Box[]} children  the largest first
 * @property {Box | null} parent
 * @property {{ x: number, y: number, w: number, h: number } | null} place  in pixels of the page; null: too small
 */

/** @param {string} name @param {number} entry @param {number} total @returns {Box} */
function box(name, entry, total) {
  return { name, entry, package: -1, total, children: [], parent: null, place: null };
}

/**
 * Puts boxes into those that hold them, sums up and sorts.
 * @param {Box} root
 * @param {Box[]} boxes  every box after the one that holds it
 * @param {(box: Box, i: number) => Box} holder
 */
function assemble(root, boxes, holder) {
  boxes.forEach((child, i) => (child.parent = holder(child, i)));
  for (let i = boxes.length - 1; i >= 0; i--) {
    const { parent, total } = boxes[i];
    if (!parent || total === 0) continue;
    parent.total += total;
    parent.children.push(boxes[i]);
  }
  for (const { children } of [root, ...boxes]) children.sort((a, b) => b.total - a.total || a.entry - b.entry);
  return root;
}

/** Own sizes in the directories. @param {Model} model */
function byDirectory(model) {
  const root = box("all", -1, 0);
  const boxes = model.paths.map((_, i) => box(model.name(i), i, model.data.size[i]));
  return assemble(root, boxes, (_, i) => (model.parent[i] < 0 ? root : boxes[model.parent[i]]));
}

/**
 * What the files take in the archive, in the directories; with what it takes besides, it is the archive.
 * @param {Model} model
 */
function byPacked(model) {
  const { packed, archive } = model.data;
  const root = box("all", -1, 0);
  const boxes = model.paths.map((_, i) => box(model.name(i), i, packed?.[i] ?? 0));
  const rest = box("(headers and the like)", -1, (archive ?? 0) - model.total.packed);
  return assemble(root, [...boxes, rest], ({ entry }) => (boxes[model.parent[entry]] ?? root));
}

/** Own sizes in the packages. @param {Model} model */
function byPackage(model) {
  const root = box("all", -1, 0);
  const packages = model.data.packages.map((name, i) => ({ ...box(name, -1, 0), package: i }));
  const none = box("(of no package)", -1, 0);
  const files = model.paths.map((_, i) => box(model.name(i), i, model.data.size[i]));
  const holder = (/** @type {Box} */ { entry }) => (entry < 0 ? root : (packages[model.data.package[entry]] ?? none));
  return assemble(root, [...packages, none, ...files], holder);
}

/**
 * Retained sizes: each entry in the one without which it would go. What an entry with others in it has of its own is a
 * box among them.
 * @param {Model} model
 */
function byRetained(model) {
  const root = box("all", -1, 0);
  const { above, size } = model.data;
  const isHolder = new Uint8Array(model.n);
  above.forEach((holder) => holder >= 0 && (isHolder[holder] = 1));
  // Holders first: each after all that hold it.
  const order = /** @type {number[]} */ ([]);
  const below = /** @type {number[][]} */ (model.paths.map(() => []));
  above.forEach((holder, i) => (holder < 0 ? order.push(i) : below[holder].push(i)));
  for (const entry of order) order.push(...below[entry]);
  const boxes = model.paths.map((_, i) => box(model.name(i), i, isHolder[i] ? 0 : size[i]));
  const own = order.filter((i) => isHolder[i]).map((i) => box(model.name(i), i, size[i]));
  const holders = order.map((i) => boxes[i]);
  return assemble(root, [...holders, ...own], (child, i) => {
    if (i >= holders.length) return boxes[child.entry];
    return above[child.entry] < 0 ? root : boxes[above[child.entry]];
  });
}

const HEAD = 15;
const GAP = 2;

/**
 * Places a box and what is in it, as squares as can be ("Squarified Treemaps", Bruls, Huizing, van Wijk, 2000).
 * @param {Box} top
 * @param {number} width
 * @param {number} height
 * @returns {Box[]} what can be seen, outer boxes first
 */
function layout(top, width, height) {
  top.place = { x: 0, y: 0, w: width, h: height };
  const shown = [top];
  for (const { children, place } of shown) {
    for (const child of children) child.place = null;
    if (!place || children.length === 0) continue;
    const head = place.w > 40 && place.h > 2.5 * HEAD ? HEAD : GAP;
    const inner = { x: place.x + GAP, y: place.y + head, w: place.w - 2 * GAP, h: place.h - head - GAP };
    if (inner.w > 2 && inner.h > 2) squarify(children, inner, shown);
  }
  return shown;
}

/**
 * @param {Box[]} boxes  the largest first
 * @param {{ x: number, y: number, w: number, h: number }} area
 * @param {Box[]} shown
 */
function squarify(boxes, area, shown) {
  let { x, y, w, h } = area;
  let left = boxes.reduce((sum, { total }) => sum + total, 0);
  for (let i = 0; i < boxes.length; ) {
    const side = Math.min(w, h);
    const scale = (w * h) / left;
    // Nothing that is left can be seen.
    if (side < 1 || boxes[i].total * scale < 0.5) return;
    let [n, sum, worst] = [0, 0, Infinity];
    while (i + n < boxes.length) {
      const next = sum + boxes[i + n].total;
      const depth = (next * scale) / side;
      const ratio = (/** @type {number} */ total) => {
        const length = (total * scale) / depth;
        return Math.max(length / depth, depth / length);
      };
      const worse = Math.max(ratio(boxes[i].total), ratio(boxes[i + n].total));
      if (worse > worst) break;
      [n, sum, worst] = [n + 1, next, worse];
    }
    const depth = (sum * scale) / side;
    let at = 0;
    for (const box of boxes.slice(i, i + n)) {
      const length = (box.total / sum) * side;
      box.place = w >= h ? { x, y: y + at, w: depth, h: length } : { x: x + at, y, w: length, h: depth };
      at += length;
      shown.push(box);
    }
    if (w >= h) [x, w] = [x + depth, w - depth];
    else [y, h] = [y + depth, h - depth];
    [left, i] = [left - sum, i + n];
  }
}

/** The innermost box at a point. @param {Box} top @param {number} x @param {number} y */
function pick(top, x, y) {
  const holds = (/** @type {Box} */ { place }) =>
    place && x >= place.x && y >= place.y && x < place.x + place.w && y < place.y + place.h;
  let found = top;
  for (let inner = found.children.find(holds); inner; inner = found.children.find(holds)) found = inner;
  return found;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Box[]} shown
 * @param {{ fill: (box: Box) => string, frame: string, line: string, text: string }} colours
 */
function paint(context, shown, colours) {
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const box of shown) {
    if (!box.place) continue;
    const { x, y, w, h } = box.place;
    const isHolder = Boolean(box.children[0]?.place);
    context.fillStyle = isHolder ? colours.frame : colours.fill(box);
    context.fillRect(x, y, w, h);
    if (w < 6 || h < 6) continue;
    context.strokeStyle = colours.line;
    context.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
    if (w < 40 || h < HEAD || (isHolder && h <= 2.5 * HEAD)) continue;
    context.fillStyle = colours.text;
    const bytes = rounded(box.total);
    context.fillText(clipped(context, isHolder ? `${box.name}  ${bytes}` : box.name, w - 8), x + 4, y + HEAD / 2 + 1);
    if (!isHolder && h > 2.2 * HEAD && context.measureText(bytes).width < w - 8) {
      context.fillText(bytes, x + 4, y + 1.5 * HEAD);
    }
  }
}

/** As much of a text as fits. @param {CanvasRenderingContext2D} context @param {string} text @param {number} width */
function clipped(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const characters = Math.floor((width / context.measureText(text).width) * text.length) - 1;
  return characters > 2 ? `${text.slice(0, characters)}…` : "";
}
