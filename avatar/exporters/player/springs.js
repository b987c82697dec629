// Loose clothes and hair swing: spring bones as damped pendulums, as in avatar/model/spring_motion.py, which says why.

import {
  add, dot, normalize, quatBetween, quatConjugate, quatDot, quatMultiply, quatNormalize, quatToMatrix, rotate, scaled,
  subtract,
} from "./rotations.js";

const DOWN = [0, -1, 0];
const UNTURNED = [1, 0, 0, 0];
const LATEST = 0.25; // seconds that a frame may come after the last one; later, or before it, the motion was taken elsewhere
const LEAD_IN = 1; // seconds before such a moment from which on it is played
const LEAD_RATE = 30; // poses per second of that
const mix = (a, b, t) => a.map((x, i) => x + t * (b[i] - x));

export class Springs {
  /**
   * @param {object} table `springs` of the header, see docs/formats/player-file.md
   * @param {import("./skeleton.js").Skeleton} skeleton
   */
  constructor(table, skeleton) {
    Object.assign(this, table);
    this.skeleton = skeleton;
    this.stiffness = this.lengths.map((length) => (1.5 * this.physics.gravity) / length);
    this.support = this.places.map((place, node) => {
      const bone = normalize(subtract(place, this.places[Math.max(this.above[node], 0)]));
      return subtract(scaled(bone, dot(bone, DOWN)), DOWN);
    });
    // Rings stand one after the other, and neighbours ring by ring.
    const depths = [];
    for (const above of this.above) depths.push(above < 0 ? 0 : depths[above] + 1);
    this.rings = Array.from({ length: Math.max(...depths) }, (_, i) => ({
      nodes: depths.flatMap((depth, node) => (depth === i + 1 ? [node] : [])),
      pairs: this.beside.filter(([node]) => depths[node] === i + 1).map(([one, other]) => ({
        one, other, clearance: this.clearanceBetween(one, other),
      })),
    }));
  }

  // The least distance of the point half-way between two nodes: the mean of theirs, or that at rest if it is less.
  clearanceBetween(one, other) {
    const middle = mix(this.places[one], this.places[other], 0.5);
    return this.capsules.map((pair, i) => {
      const [first, last] = pair.map((joint) => this.skeleton.joints[joint].position);
      return Math.min((this.clearance[one][i] + this.clearance[other][i]) / 2, Math.hypot(...fromLine(middle, first, last)));
    });
  }

  // Where the body carries everything, by the rows of the joints.
  carried(placed, rows) {
    const places = [], turns = [];
    this.bases = this.places.map((place, node) => {
      const base = new Float64Array(16);
      this.bones[node].forEach((joint, k) => {
        for (let i = 0; i < 16; i++) base[i] += this.weights[node][k] * rows[16 * joint + i];
      });
      places.push([0, 4, 8].map((i) => base[i] * place[0] + base[i + 1] * place[1] + base[i + 2] * place[2] + base[i + 3]));
      turns.push(quatNormalize(base.slice(12)));
      return base;
    });
    const ends = this.capsules.map((pair) => pair.map((joint) => placed.places[joint]));
    return { places, turns, ends, root: placed.places[0], rootTurn: placed.turns[0] };
  }

  // Hold a pose until nothing swings any more.
  settle(at) {
    this.state = {
      places: at.places, speeds: at.places.map(() => [0, 0, 0]), goals: at.places, swing: at.places.map(() => UNTURNED),
    };
    const { settling, step } = this.physics;
    for (let i = 0; i < Math.round(settling / step); i++) this.state = this.stepped(this.state, at, step, 1);
    this.state = { ...this.state, speeds: at.places.map(() => [0, 0, 0]) };
    Object.assign(this, { before: at, late: 0, shown: this.state });
  }

  // Move on to a pose that comes some seconds after the last one, in steps that do not depend on the rate of the poses.
  advance(at, seconds, again = false) {
    const { step, instant, jump, damping } = this.physics;
    if (again || Math.hypot(...subtract(at.root, this.before.root)) > jump * seconds) this.takeAlong(at);
    const { before } = this;
    this.late += seconds;
    while (this.late >= step - instant) {
      this.late -= step;
      this.state = this.stepped(this.state, between(before, at, 1 - this.late / seconds), step, damping);
    }
    this.before = at;
    this.shown = this.late < instant ? this.state : this.stepped(this.state, at, this.late, damping);
  }

  // To where the motion goes on, with the pelvis.
  takeAlong(to) {
    const turn = quatMultiply(to.rootTurn, quatConjugate(this.before.rootTurn)), start = this.before.root;
    const along = (point) => add(to.root, rotate(turn, subtract(point, start)));
    const { places, speeds, goals, swing } = this.state;
    this.state = {
      places: places.map(along), goals: goals.map(along), speeds: speeds.map((speed) => rotate(turn, speed)),
      swing: swing.map((q) => quatMultiply(quatMultiply(turn, q), quatConjugate(turn))),
    };
    this.before = to;
  }

  /**
   * The pose of a motion at a moment, whatever came before.
   * @param {object} clip
   * @param {number} seconds
   * @param {number} duration of the clip
   * @param {(seconds: number) => object} carriedAt what `carried` returns for any moment of the clip
   */
  follow(clip, seconds, duration, carriedAt) {
    let elapsed = clip === this.clip ? seconds - this.seconds : Infinity;
    const again = elapsed < 0;
    if (again) elapsed += duration;
    if (elapsed > LATEST) {
      let time = Math.max(0, seconds - LEAD_IN);
      this.settle(carriedAt(time));
      while (time < seconds) {
        const next = Math.min(time + 1 / LEAD_RATE, seconds);
        this.advance(carriedAt(next), next - time);
        time = next;
      }
    } else {
      this.advance(carriedAt(seconds), elapsed, again);
    }
    Object.assign(this, { clip, seconds });
  }

  // The state some seconds later, when the body has come to `at`.
  stepped(state, at, seconds, damping) {
    const { shape, rounds } = this.physics;
    const places = at.places.slice(), goals = at.places.slice(), swing = at.places.map(() => UNTURNED);
    for (const { nodes, pairs } of this.rings) {
      const bones = {};
      for (const node of nodes) {
        const above = this.above[node], stiffness = this.stiffness[node];
        const bone = rotate(swing[above], subtract(at.places[node], at.places[above])), length = Math.hypot(...bone);
        goals[node] = add(places[above], bone);
        bones[node] = { bone, length, straight: normalize(bone) };
        const decay = Math.exp(-2 * damping * Math.sqrt((1 + shape) * stiffness) * seconds);
        const held = rotate(at.turns[node], this.support[node]);
        const place = state.places[node], goal = goals[node];
        places[node] = place.map((x, i) => {
          const moving = (goal[i] - state.goals[node][i]) / seconds;
          const force = stiffness * (length * (DOWN[i] + held[i]) + shape * (goal[i] - x));
          return x + (moving + decay * (state.speeds[node][i] - moving) + force * seconds) * seconds;
        });
      }
      for (let round = 0; round < rounds; round++) {
        this.keepTogether(places, at.places, pairs);
        keepOut(places, at.ends, pairs);
        for (const node of nodes) {
          const pivot = places[this.above[node]], { length, straight } = bones[node];
          const free = outside(places[node], at.ends, this.clearance[node]);
          places[node] = add(pivot, scaled(this.bent(subtract(free, pivot), straight), length));
        }
      }
      for (const node of nodes) {
        const above = this.above[node];
        swing[node] = quatMultiply(quatBetween(bones[node].bone, subtract(places[node], places[above])), swing[above]);
      }
    }
    const speeds = places.map((place, node) => scaled(subtract(place, state.places[node]), 1 / seconds));
    return { places, speeds, goals, swing };
  }

  // Neighbours in a ring as far apart as cloth lets them be.
  keepTogether(places, usual, pairs) {
    const { widest, narrowest } = this.physics;
    for (const { one, other } of pairs) {
      const apart = subtract(places[other], places[one]), distance = Math.hypot(...apart);
      const length = Math.hypot(...subtract(usual[other], usual[one]));
      const right = Math.min(Math.max(distance, narrowest * length), widest * length);
      const shift = scaled(apart, 0.5 * (1 - right / Math.max(distance, 1e-9)));
      places[one] = add(places[one], shift);
      places[other] = subtract(places[other], shift);
    }
  }

  // The direction of a bone, turned back to the largest angle from where it belongs.
  bent(bone, straight) {
    const { bend } = this.physics, way = normalize(bone), along = dot(way, straight);
    if (along >= bend) return way;
    const aside = normalize(subtract(way, scaled(straight, along)));
    return add(scaled(straight, bend), scaled(aside, Math.sqrt(1 - bend * bend)));
  }

  // The rows of the nodes, behind those of the joints.
  write(rows) {
    const { places, swing } = this.shown;
    this.bases.forEach((base, node) => {
      const turn = quatToMatrix(swing[node]), carried = this.before.places[node];
      for (let r = 0; r < 3; r++) {
        const own = turn.slice(3 * r, 3 * r + 3), at = 16 * (this.skeleton.size + node) + 4 * r;
        for (let c = 0; c < 3; c++) rows[at + c] = own[0] * base[c] + own[1] * base[4 + c] + own[2] * base[8 + c];
        const shift = [base[3] - carried[0], base[7] - carried[1], base[11] - carried[2]];
        rows[at + 3] = places[node][r] + dot(own, shift);
      }
      rows.set(quatMultiply(swing[node], this.before.turns[node]), 16 * (this.skeleton.size + node) + 12);
    });
  }
}

// A moment on the way from one to the other.
function between(a, b, t) {
  return {
    ...b,
    places: a.places.map((place, node) => mix(place, b.places[node], t)),
    turns: a.turns.map((q, node) => {
      const other = b.turns[node];
      return quatNormalize(mix(q, quatDot(q, other) < 0 ? other.map((x) => -x) : other, t));
    }),
    ends: a.ends.map((pair, capsule) => pair.map((end, i) => mix(end, b.ends[capsule][i], t))),
  };
}

// The cloth half-way between neighbours, or a leg that is kicked would pass between them.
function keepOut(places, ends, pairs) {
  for (const { one, other, clearance } of pairs) {
    const middle = mix(places[one], places[other], 0.5), shift = subtract(outside(middle, ends, clearance), middle);
    places[one] = add(places[one], shift);
    places[other] = add(places[other], shift);
  }
}

// A point moved out of one capsule after the other.
function outside(point, ends, clearance) {
  ends.forEach(([first, last], capsule) => {
    const away = fromLine(point, first, last), distance = Math.max(Math.hypot(...away), 1e-9);
    if (distance < clearance[capsule]) point = add(point, scaled(away, (clearance[capsule] - distance) / distance));
  });
  return point;
}

// The vector to a point from the nearest one of the line between two others.
function fromLine(point, first, last) {
  const along = subtract(last, first), fromFirst = subtract(point, first);
  const share = Math.min(Math.max(dot(fromFirst, along) / Math.max(dot(along, along), 1e-12), 0), 1);
  return subtract(fromFirst, scaled(along, share));
}
