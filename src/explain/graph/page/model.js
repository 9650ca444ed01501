// The manifest in memory: who needs whom, and the answers of `minroot why` and `minroot size --drop` about it.

/**
 * What the page is given: see `data.rs`.
 * @typedef {object} Data
 * @property {string} system
 * @property {string} arch
 * @property {string[]} evidence  classes, the strongest first
 * @property {string[]} types
 * @property {{ name: string, asked: string, referred: string }[]} kinds  words with `{detail}` and `/{from}` in them
 * @property {string[]} packages
 * @property {Texts} details
 * @property {Texts} paths
 * @property {number[]} type
 * @property {number[]} size
 * @property {number[]} package  -1 for none
 * @property {number[] | null} packed  bytes of the archive, where that was measured
 * @property {number | null} archive  all its bytes
 * @property {number[]} above  the dominator, -1 for none
 * @property {[number, string][]} symlinks
 * @property {[number, number][]} hardlinks
 * @property {[number, number, number][]} reasons  evidence, kind and detail
 * @property {string[]} rules
 * @property {[number, number][]} by_rule  which of `reasons` a rule gives, and which rule
 * @property {number[]} count  of reasons, for each entry
 * @property {number[]} from  -1 for the user, -2 and below for what is outside
 * @property {number[]} reason
 * @property {string[]} outside
 * @property {[number, string][]} chosen  among alternatives, with what that saves
 * @property {Doubt[]} missing
 * @property {Doubt[]} unknown
 * @property {Doubt[]} dropped
 *
 * @typedef {{ shared: number[], rest: string[] }} Texts
 * @typedef {{ name: string, from: number, words: string, why: string, bad: boolean, places: string[] }} Doubt
 *
 * @typedef {{ files: number, bytes: number, packed: number }} Tally
 * @typedef {{ referrer: number, dropped: number, position: number, required: boolean }} Broken
 * @typedef {{ gone: number[], freed: Tally, left: Tally, broken: Broken[] }} WhatIf
 */

/**
 * Sorted texts, each told by how much it shares with the one before.
 * @param {Texts} coded
 */
function decode({ shared, rest }) {
  let last = "";
  return rest.map((text, i) => (last = last.slice(0, shared[i]) + text));
}

class Model {
  /** @param {Data} data */
  constructor(data) {
    this.data = data;
    this.paths = decode(data.paths);
    this.details = decode(data.details);
    this.n = this.paths.length;
    /** @type {Map<string, number>} */
    this.positions = new Map(this.paths.map((path, i) => [path, i]));
    this.symlinks = new Map(data.symlinks);
    this.hardlinks = new Map(data.hardlinks);
    this.directory = data.types.indexOf("dir");
    const files = ["file", "generated"].map((name) => data.types.indexOf(name));
    this.isFile = Uint8Array.from(data.type, (type) => Number(files.includes(type)));
    /** The directory of each entry, -1 when that is no entry. */
    this.parent = Int32Array.from(this.paths, (path, i) => this.parentOf(path, i));
    /** The reasons of entry `i` are those from `first[i]` to `first[i + 1]`. */
    this.first = new Int32Array(this.n + 1);
    data.count.forEach((count, i) => (this.first[i + 1] = this.first[i] + count));
    this.evidence = Uint8Array.from(data.reason, (reason) => data.reasons[reason][0]);
    /** The rule of each of `reasons`, -1 when none gives it. */
    this.rule = new Int32Array(data.reasons.length).fill(-1);
    for (const [reason, rule] of data.by_rule) this.rule[reason] = rule;
    /** The strongest evidence for each entry. */
    this.strongest = new Uint8Array(this.n).fill(data.evidence.length - 1);
    this.isTarget = new Uint8Array(this.n);
    this.readReasons();
    const needs = this.findNeeds();
    /** What entry `i` needs is from `needStart[i]` to `needStart[i + 1]`, with the reason or -1 where none is written. */
    this.needStart = needs.start;
    this.needTo = needs.to;
    this.needReason = needs.reason;
    this.total = this.tally(this.paths.keys());
    /** The entries that are in by each rule. */
    this.entriesOfRule = this.findEntriesOfRules();
    this.ofRule = this.entriesOfRule.map((entries) => this.tally(entries));
    /** The entries of each package; the last list is of those without one. */
    this.filesOfPackage = [...data.packages, ""].map(() => /** @type {number[]} */ ([]));
    data.package.forEach((at, entry) => this.filesOfPackage.at(at)?.push(entry));
    this.ofPackage = this.filesOfPackage.map((entries) => this.tally(entries));
    const byEvidence = data.evidence.map(() => /** @type {number[]} */ ([]));
    this.strongest.forEach((at, entry) => byEvidence[at].push(entry));
    this.ofEvidence = byEvidence.map((entries) => this.tally(entries));
    // Found when first asked for.
    this.all = /** @type {Uint8Array | null} */ (null);
    this.depths = /** @type {Int32Array | null} */ (null);
  }

  /** @param {string} path @param {number} i */
  parentOf(path, i) {
    const parent = this.positions.get(path.slice(0, Math.max(path.lastIndexOf("/"), 1)));
    return parent === undefined || parent === i ? -1 : parent;
  }

  /** @param {number} entry */
  name(entry) {
    const path = this.paths[entry];
    return path.slice(path.lastIndexOf("/") + 1) || path;
  }

  /** The positions of its reasons. @param {number} entry */
  reasons(entry) {
    return positions(this.first[entry], this.first[entry + 1]);
  }

  /** @param {number} entry */
  needs(entry) {
    return this.needTo.subarray(this.needStart[entry], this.needStart[entry + 1]);
  }

  readReasons() {
    for (let entry = 0; entry < this.n; entry++) {
      for (let at = this.first[entry]; at < this.first[entry + 1]; at++) {
        if (this.evidence[at] < this.strongest[entry]) this.strongest[entry] = this.evidence[at];
        if (this.data.from[at] === -1) this.isTarget[entry] = 1;
      }
    }
  }

  findEntriesOfRules() {
    const found = this.data.rules.map(() => /** @type {Set<number>} */ (new Set()));
    for (let entry = 0; entry < this.n; entry++) {
      for (let at = this.first[entry]; at < this.first[entry + 1]; at++) found[this.ruleOf(at)]?.add(entry);
    }
    return found.map((entries) => [...entries]);
  }

  /** The rule that gives a reason, or -1. @param {number} position */
  ruleOf(position) {
    return this.rule[this.data.reason[position]];
  }

  /** Reasons turned round. */
  findNeeds() {
    const { from } = this.data;
    /** @type {(visit: (from: number, to: number, position: number) => void) => void} */
    const each = (visit) => {
      for (let to = 0; to < this.n; to++) {
        for (let at = this.first[to]; at < this.first[to + 1]; at++) {
          if (from[at] >= 0) visit(from[at], to, at);
        }
        if (this.parent[to] >= 0) visit(to, this.parent[to], -1);
        const file = this.hardlinks.get(to);
        if (file !== undefined) visit(to, file, -1);
      }
    };
    const start = new Int32Array(this.n + 1);
    each((from) => start[from + 1]++);
    for (let i = 0; i < this.n; i++) start[i + 1] += start[i];
    const free = start.slice();
    const [needed, reason] = [new Int32Array(start[this.n]), new Int32Array(start[this.n])];
    each((from, to, position) => {
      needed[free[from]] = to;
      reason[free[from]++] = position;
    });
    return { start, to: needed, reason };
  }

  /** What the targets lead to without some entries and rules. @param {Uint8Array} without @param {Set<number>} rules */
  reachable(without, rules) {
    const holds = (/** @type {number} */ position) => position < 0 || !rules.has(this.ruleOf(position));
    const isAskedFor = (/** @type {number} */ entry) =>
      rules.size === 0 || this.reasons(entry).some((at) => this.data.from[at] === -1 && holds(at));
    const reached = new Uint8Array(this.n);
    const stack = [];
    for (let entry = 0; entry < this.n; entry++) {
      if (!without[entry] && this.isTarget[entry] && isAskedFor(entry)) {
        reached[entry] = 1;
        stack.push(entry);
      }
    }
    for (let here = stack.pop(); here !== undefined; here = stack.pop()) {
      for (let i = this.needStart[here]; i < this.needStart[here + 1]; i++) {
        const to = this.needTo[i];
        if (!reached[to] && !without[to] && holds(this.needReason[i])) {
          reached[to] = 1;
          stack.push(to);
        }
      }
    }
    return reached;
  }

  /**
   * What goes without some entries and rules, and what breaks.
   * @param {Uint8Array} without
   * @param {Set<number>} rules
   * @returns {WhatIf}
   */
  whatIf(without, rules = new Set()) {
    const all = (this.all ??= this.reachable(new Uint8Array(this.n), new Set()));
    const left = this.reachable(without, rules);
    const isGone = without.map((dropped, i) => Number(dropped || (all[i] && !left[i])));
    // The bytes of a file stay as long as one of its names does.
    const kept = new Set();
    for (const [link, file] of this.hardlinks) if (!isGone[link]) kept.add(file);
    const gone = [];
    const freed = [];
    /** @type {Broken[]} */
    const broken = [];
    for (let entry = 0; entry < this.n; entry++) {
      if (isGone[entry]) {
        gone.push(entry);
        if (!kept.has(entry)) freed.push(entry);
      } else {
        this.findBroken(entry, isGone, rules, broken);
      }
    }
    const sum = this.tally(freed);
    const { files, bytes, packed } = this.total;
    const rest = { files: files - sum.files, bytes: bytes - sum.bytes, packed: packed - sum.packed };
    return { gone, freed: sum, left: rest, broken };
  }

  /** @param {number} referrer @param {Uint8Array} isGone @param {Set<number>} rules @param {Broken[]} broken */
  findBroken(referrer, isGone, rules, broken) {
    for (let i = this.needStart[referrer]; i < this.needStart[referrer + 1]; i++) {
      const position = this.needReason[i];
      if (position < 0 || !isGone[this.needTo[i]] || rules.has(this.ruleOf(position))) continue;
      const [evidence, kind] = this.data.reasons[this.data.reason[position]];
      // A directory that goes takes with it what is in it.
      if (this.data.kinds[kind].name === "directory") continue;
      const required = ["target", "proven", "rule"].includes(this.data.evidence[evidence]);
      broken.push({ referrer, dropped: this.needTo[i], position, required });
    }
  }

  /** What goes with each entry: the sums of the boxes in `byRetained`. */
  retainedBytes() {
    const { above, size } = this.data;
    const bytes = size.slice();
    const waiting = new Int32Array(this.n);
    above.forEach((holder) => holder >= 0 && waiting[holder]++);
    const complete = [...above.keys()].filter((entry) => waiting[entry] === 0);
    for (const entry of complete) {
      const holder = above[entry];
      if (holder < 0) continue;
      bytes[holder] += bytes[entry];
      if (--waiting[holder] === 0) complete.push(holder);
    }
    return bytes;
  }

  /** What goes with an entry, itself included. @param {number} entry */
  retained(entry) {
    return this.whatIf(this.only([entry])).gone;
  }

  /** A mark for each entry. @param {number[]} entries */
  only(entries) {
    const marks = new Uint8Array(this.n);
    for (const entry of entries) marks[entry] = 1;
    return marks;
  }

  /** The entries at or below a path. @param {number} entry */
  below(entry) {
    const prefix = this.paths[entry] === "/" ? "/" : this.paths[entry] + "/";
    const found = [entry];
    for (let i = entry + 1; i < this.n; i++) if (this.paths[i].startsWith(prefix)) found.push(i);
    return found;
  }

  /** @param {Iterable<number>} entries @returns {Tally} */
  tally(entries) {
    const sum = { files: 0, bytes: 0, packed: 0 };
    for (const entry of entries) {
      sum.files += this.isFile[entry];
      sum.bytes += this.data.size[entry];
      sum.packed += this.data.packed?.[entry] ?? 0;
    }
    return sum;
  }

  /**
   * The shortest chain of reasons from a target, the strongest of those; entries with the reason that leads there.
   * @param {number} entry
   * @returns {{ entry: number, position: number }[]}
   */
  chain(entry) {
    this.depths ??= this.findDepths();
    const chain = [];
    for (let here = entry; this.depths[here] >= 0; ) {
      const position = this.lastReason(here, this.depths);
      chain.unshift({ entry: here, position });
      if (this.depths[here] === 0) break;
      here = this.data.from[position];
    }
    return chain;
  }

  /** @param {number} entry @param {Int32Array} depths */
  lastReason(entry, depths) {
    let best = -1;
    for (let at = this.first[entry]; at < this.first[entry + 1]; at++) {
      const from = this.data.from[at];
      const leads = depths[entry] === 0 ? from === -1 : from >= 0 && depths[from] === depths[entry] - 1;
      if (leads && (best < 0 || this.evidence[at] < this.evidence[best])) best = at;
    }
    return best;
  }

  findDepths() {
    const depths = new Int32Array(this.n).fill(-1);
    const queue = [...this.paths.keys()].filter((entry) => this.isTarget[entry]);
    queue.forEach((target) => (depths[target] = 0));
    for (const here of queue) {
      for (let i = this.needStart[here]; i < this.needStart[here + 1]; i++) {
        const to = this.needTo[i];
        if (this.needReason[i] >= 0 && depths[to] < 0) {
          depths[to] = depths[here] + 1;
          queue.push(to);
        }
      }
    }
    return depths;
  }

  /** A reason in the words of `minroot why`. @param {number} entry @param {number} position */
  words(entry, position) {
    const [evidence, kind, detail] = this.data.reasons[this.data.reason[position]];
    const text = this.details[detail];
    const from = this.data.from[position];
    const isTold = text === "" || text === this.name(entry) || text === this.paths[entry];
    const template = from === -1 ? this.data.kinds[kind].asked : this.data.kinds[kind].referred;
    const fill = (/** @type {string} */ mark) => {
      if (mark === "/{from}") return this.referrer(from);
      if (mark === "{detail}" || from === -1) return mark.replace("{detail}", () => text);
      return isTold ? "" : ` \`${text}\``;
    };
    const words = template.replace(/ `\{detail\}`|\{detail\}|\/\{from\}/g, fill).trimEnd();
    const strength = this.data.evidence[evidence];
    return words.startsWith(strength) ? words : `${words} [${strength}]`;
  }

  /** @param {number} from as a reason has it */
  referrer(from) {
    return from >= 0 ? this.paths[from] : this.data.outside[-2 - from];
  }

  /** Entries whose path or package has the text, the best first. @param {string} wanted  in lower case */
  search(wanted) {
    /** @type {[number, number][]} */
    const found = [];
    const ofPackage = this.data.packages.map((name) => name.toLowerCase().includes(wanted));
    for (let entry = 0; entry < this.n; entry++) {
      const path = this.paths[entry].toLowerCase();
      const at = path.lastIndexOf(wanted);
      if (at >= 0) {
        const start = path.lastIndexOf("/") + 1;
        const isWhole = path === wanted || path.slice(start) === wanted;
        found.push([isWhole ? 0 : at === start ? 1 : at > start ? 2 : 3, entry]);
      } else if (ofPackage[this.data.package[entry]]) {
        found.push([4, entry]);
      }
    }
    return found.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, entry]) => entry);
  }
}

/** The numbers from one to before another. @param {number} from @param {number} to */
const positions = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

/** `1.9 MiB (1,948,710 bytes)`; below 1 KiB only exact. @param {number} bytes */
function size(bytes) {
  const exact = count(bytes, "byte");
  return bytes < 1024 ? exact : `${rounded(bytes)} (${exact})`;
}

/** `1.9 MiB`. @param {number} bytes */
function rounded(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  let unit = 1;
  for (const name of ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]) {
    unit *= 1024;
    const tenths = Math.floor((bytes * 10 + unit / 2) / unit);
    if (tenths < 10240 || name === "EiB") return `${Math.floor(tenths / 10)}.${tenths % 10} ${name}`;
  }
  return "";
}

/** `1 file`, `12,000 files`. @param {number} number @param {string} noun */
function count(number, noun) {
  const plural = noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${number.toLocaleString("en-US")} ${number === 1 ? noun : plural}`;
}
