// Which joint of a foreign skeleton is which of ours: avatar/motion/joint_names.py and joint_tree.py, rule by rule.

import { add, cross, dot, normalize, scaled, subtract } from "./rotations.js";
import { MOTION_WORDS } from "./words.js";

const LIKE = 1.15, BALANCE = 2, SHORTEST = 1e-3;
export const SIDE_NAMES = ["left", "right"];
const LEG = ["hip", "knee", "ankle", "foot"], ARM = ["collar", "shoulder", "elbow", "wrist", "hand"];
const NEEDED = ["pelvis", ...SIDE_NAMES.flatMap((side) =>
  ["hip", "knee", "ankle", "shoulder", "elbow"].map((part) => `${side}_${part}`))];

// Index of the source joint for each of our joints that the source has.
export function matchJoints(name, names, parents, places) {
  const parsed = parseNames(names);
  const matches = limbsByName(parsed);
  const tree = limbsOfTree(parents, places, parsed.map(({ side }) => side));
  completeLimbs(matches, tree);
  Object.assign(matches, middleJoints(parsed, parents, matches, tree));
  const missing = NEEDED.filter((joint) => matches[joint] === undefined);
  if (missing.length) throw new Error(`${name} has no joint that could be the ${missing[0].replace("_", " ")}.`);
  return matches;
}

function nameWords(name) {
  name = name.normalize("NFKC").replace(/^.*[:|]/, "");
  for (const [theirs, ours] of Object.entries(MOTION_WORDS.japanese)) name = name.replaceAll(theirs, ` ${ours} `);
  return name.replace(/^mixamorig\d*_?/, "").match(/[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+/g) ?? [];
}

// Names taken apart; words with which nearly all of them begin or end are dropped.
function parseNames(names) {
  let split = names.map(nameWords);
  const { sides, vocabulary, pelvis, roots, heads } = MOTION_WORDS;
  for (const first of [true, false]) {
    for (;;) {
      const long = split.filter((words) => words.length > 1);
      const counts = new Map();
      for (const words of long) {
        const word = words.at(first ? 0 : -1).toLowerCase();
        counts.set(word, (counts.get(word) ?? 0) + 1);
      }
      const [word, count] = [...counts].reduce((best, one) => (one[1] > best[1] ? one : best), ["", 0]);
      const isPart = word in sides || [vocabulary, pelvis, roots, heads].some((list) => list.includes(word)) ||
        /^\d+$/.test(word);
      if (isPart || count < 0.9 * long.length || count < 5) break;
      split = split.map((words) => (words.length > 1 && words.at(first ? 0 : -1).toLowerCase() === word
        ? (first ? words.slice(1) : words.slice(0, -1)) : words));
    }
  }
  return split.map(parsedName);
}

function parsedName(words) {
  const { sides, noise, beside, vocabulary } = MOTION_WORDS;
  const numbers = words.filter((word) => /^\d+$/.test(word)).map(Number);
  const small = words.filter((word) => !/^\d+$/.test(word)).map((word) => word.toLowerCase());
  let side = sides[small.find((word) => word in sides)] ?? null;
  const rest = small.filter((word) => !(word in sides) && !noise.includes(word));
  let part = rest.join("");
  if (part === "hip" && small.includes("joint")) part = "hipjoint";
  if (side === null && part[0] in sides && vocabulary.includes(part.slice(1))) {
    side = sides[part[0]];
    part = part.slice(1);
  }
  const twist = side !== null && ["twist", "buttock"].some((word) => part.includes(word));
  return { side, part, numbers, beside: twist || rest.some((word) => beside.includes(word)) };
}

function compareNumbers(a, b) {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if (a[i] !== b[i]) return a[i] === undefined ? -1 : b[i] === undefined ? 1 : a[i] - b[i];
  }
  return 0;
}

function limbsByName(parsed) {
  const order = parsed.map((_, i) => i).sort((a, b) => compareNumbers(parsed[a].numbers, parsed[b].numbers) || a - b);
  const candidates = (side, word) =>
    order.filter((i) => !parsed[i].beside && parsed[i].side === side && parsed[i].part === word);
  const matches = {};
  for (const side of SIDE_NAMES) {
    const words = new Set(parsed.filter((name) => name.side === side && !name.beside).map(({ part }) => part));
    for (const [part, choices] of Object.entries(MOTION_WORDS.parts)) {
      for (const word of choices) {
        const free = candidates(side, word).filter((i) => !Object.values(matches).includes(i));
        if (free.length && meansPart(word, part, words)) {
          matches[`${side}_${part}`] = free[0];
          break;
        }
      }
    }
    for (const [word, parts] of [["leg", LEG], ["arm", ARM.slice(1)]]) {
      const chain = candidates(side, word);
      if (chain.length >= 3 && !MOTION_WORDS.parts[parts[1]].some((w) => w !== word && words.has(w))) {
        parts.forEach((part, k) => { if (k < chain.length) matches[`${side}_${part}`] = chain[k]; });
      }
    }
  }
  return matches;
}

// Whether a word of two meanings, among the words of one side, means this part.
function meansPart(word, part, words) {
  const has = (list) => list.some((other) => words.has(other));
  const { hip, knee, shoulder } = MOTION_WORDS.parts;
  if (word === "leg") return part === (has(knee.slice(0, -1)) && !has(hip.slice(0, 6)) ? "hip" : "knee");
  if (word === "shoulder") return part === (has(shoulder.slice(0, -1)) ? "collar" : "shoulder");
  return true;
}

// A whole limb from the tree where its names leave a needed joint open.
function completeLimbs(matches, tree) {
  for (const side of SIDE_NAMES) {
    for (const parts of [LEG, ARM]) {
      const limb = parts.map((part) => `${side}_${part}`);
      if (!limb.some((joint) => NEEDED.includes(joint) && matches[joint] === undefined)) continue;
      for (const joint of limb) {
        if (tree[limb[1]] !== undefined) delete matches[joint];
        if (tree[joint] !== undefined) matches[joint] = tree[joint];
      }
    }
  }
}

export function ancestorsOf(parents, joint) {
  const above = [];
  for (let i = parents[joint]; i >= 0 && !above.includes(i); i = parents[i]) above.push(i);
  return above;
}

// Pelvis, spine, neck and head, from the chain between the pelvis and the head.
function middleJoints(parsed, parents, limbs, tree) {
  const taken = new Set(Object.values(limbs));
  const plain = parsed.map((_, i) => i).filter((i) => parsed[i].side === null && !taken.has(i));
  const named = (words) => plain.find((i) => words.includes(parsed[i].part) && !parsed[i].beside);
  const spines = plain.filter((i) => parsed[i].part === "spine")
    .sort((a, b) => compareNumbers(parsed[a].numbers, parsed[b].numbers));
  let head = named(MOTION_WORDS.heads), neck;
  if (head === undefined && spines.length >= 6 && !plain.some((i) => parsed[i].part.includes("neck"))) {
    [head, neck] = [spines.at(-1), spines.at(-3)];
  }
  head ??= tree.head;
  let pelvis = named(MOTION_WORDS.pelvis);
  if (pelvis === undefined && limbs.left_hip !== undefined && limbs.right_hip !== undefined) {
    const [left, right] = [limbs.left_hip, limbs.right_hip].map((joint) => ancestorsOf(parents, joint));
    if (!right.includes(limbs.left_hip) && !left.includes(limbs.right_hip)) {
      pelvis = right.find((i) => left.includes(i) && plain.includes(i));
    }
  }
  pelvis ??= MOTION_WORDS.roots.map((word) => named([word])).find((i) => i !== undefined);
  if (pelvis === undefined) return {};
  const matches = { pelvis };
  const end = head ?? limbs.left_collar ?? limbs.left_shoulder ?? pelvis;
  const below = new Set([pelvis, ...ancestorsOf(parents, pelvis)]);
  let chain = ancestorsOf(parents, end).reverse().filter((i) => plain.includes(i) && !below.has(i));
  if (head !== undefined) matches.head = head;
  const first = chain.find((i) => i === neck || parsed[i].part.includes("neck") || i === tree.neck);
  if (first !== undefined) {
    matches.neck = first;
    chain = chain.slice(0, chain.indexOf(first));
  }
  if (chain.length) matches.spine3 = chain.at(-1);
  if (chain.length > 1) matches.spine1 = chain[0];
  if (chain.length > 2) matches.spine2 = chain[chain.length >> 1];
  return matches;
}

// The limbs of a skeleton from its tree alone: two legs at the pelvis, above it two arms, a neck and a head.
function limbsOfTree(parents, places, sides) {
  const children = parents.map((_, joint) => parents.map((p, i) => (p === joint ? i : -1)).filter((i) => i >= 0));
  const bones = parents.map((p, i) => (p < 0 ? 0 : Math.hypot(...subtract(places[i], places[p]))));
  const reaches = new Map();
  const reach = (joint) => {
    if (!reaches.has(joint)) reaches.set(joint, Math.max(0, ...children[joint].map((c) => bones[c] + reach(c))));
    return reaches.get(joint);
  };
  const below = (joint) => [joint, ...children[joint].flatMap(below)];
  const longest = (list, length) => list.reduce((best, one) => (length(one) > length(best) ? one : best));
  const limbAt = (joint) => {
    let path = [joint], lengths = [];
    while (children[path.at(-1)].length) {
      path.push(longest(children[path.at(-1)], (c) => bones[c] + reach(c)));
      lengths.push(bones[path.at(-1)]);
    }
    while (lengths.length > 1 && lengths[0] < SHORTEST * Math.max(...lengths)) {
      path = path.slice(1);
      lengths = lengths.slice(1);
    }
    if (lengths.length < 2) return null;
    const start = longest([...Array(lengths.length - 1).keys()], (i) => lengths[i] + lengths[i + 1]);
    const [a, b] = [lengths[start], lengths[start + 1]];
    return Math.min(a, b) > 0 && Math.max(a, b) < BALANCE * Math.min(a, b)
      ? { path, start, lengths: [a, b], joints: path.slice(start) } : null;
  };
  const alike = (one, two) => one.start === two.start &&
    one.lengths.every((a, k) => a / two.lengths[k] < LIKE && two.lengths[k] / a < LIKE);
  const pairAt = (joint) => {
    const limbs = children[joint].map(limbAt).filter(Boolean);
    const pairs = limbs.flatMap((a, i) => limbs.slice(i + 1).filter((b) => alike(a, b)).map((b) => [a, b]));
    return pairs.length ? longest(pairs, ([a]) => a.lengths[0] + a.lengths[1]) : null;
  };
  const depth = (joint) => ancestorsOf(parents, joint).length;
  const pairs = new Map(parents.map((_, i) => [i, pairAt(i)]).filter(([, pair]) => pair));
  for (const pelvis of [...pairs.keys()].sort((a, b) => depth(a) - depth(b))) {
    const inside = new Set(pairs.get(pelvis).flatMap(({ path }) => below(path[0])));
    const chests = [...pairs.keys()].filter((j) =>
      j !== pelvis && !inside.has(j) && ancestorsOf(parents, j).includes(pelvis)).sort((a, b) => depth(a) - depth(b));
    if (chests.length) return namedLimbs(pelvis, chests[0]);
  }
  return {};

  function namedLimbs(pelvis, chest) {
    const both = [pairs.get(pelvis), pairs.get(chest)], matches = { pelvis };
    const inside = new Set(both.flat().flatMap(({ path }) => below(path[0])));
    const heads = children[chest].filter((child) => !inside.has(child));
    if (heads.length) {
      const first = longest(heads, reach);
      matches.head = children[first].length ? longest(children[first], reach) : first;
      if (matches.head !== first) matches.neck = first;
    }
    const left = leftOf(pelvis, chest, both[0]);
    for (const [limbs, parts] of [[both[0], LEG], [both[1], ["shoulder", "elbow", "wrist"]]]) {
      let named = limbs.map(({ path }) => path.map((j) => sides[j]).find(Boolean) ?? null);
      if (named[0] === named[1] || named.includes(null)) {
        if (!left) return {};
        const across = subtract(places[limbs[0].joints[0]], places[limbs[1].joints[0]]);
        named = dot(across, left) > 0 ? ["left", "right"] : ["right", "left"];
      }
      limbs.forEach((limb, k) => {
        parts.forEach((part, i) => { if (i < limb.joints.length) matches[`${named[k]}_${part}`] = limb.joints[i]; });
        if (parts[0] === "shoulder" && limb.start) matches[`${named[k]}_collar`] = limb.path[limb.start - 1];
      });
    }
    return matches;
  }

  function leftOf(pelvis, chest, legs) {
    const up = normalize(subtract(places[chest], places[pelvis]));
    const toes = legs.filter(({ joints }) => joints.length > 3)
      .map(({ joints }) => subtract(places[joints[3]], places[joints[2]]));
    if (!toes.length) return null;
    const mean = scaled(toes.reduce(add), 1 / toes.length);
    const forward = subtract(mean, scaled(up, dot(mean, up)));
    return Math.hypot(...forward) < 0.05 * (legs[0].lengths[0] + legs[0].lengths[1]) ? null : cross(up, forward);
  }
}
