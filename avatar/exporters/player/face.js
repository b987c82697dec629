// The units of the face, each a direction in which some of the splats move.

export class Face {
  // splats: uint32, places of the k splats; moves: int8, (units x k x 3) in steps of header.step metres.
  constructor(header, { face_splats: splats, face_moves: moves }) {
    this.units = header.units;
    this.step = header.step;
    this.splats = splats;
    this.moves = moves;
  }

  // Move the centres at rest, four numbers per splat.
  apply(coefficients, rest) {
    const { splats, moves } = this;
    coefficients.forEach((coefficient, unit) => {
      if (!coefficient) return;
      const share = coefficient * this.step, start = 3 * splats.length * unit;
      for (let i = 0; i < splats.length; i++) {
        const to = 4 * splats[i], from = start + 3 * i;
        rest[to] += share * moves[from];
        rest[to + 1] += share * moves[from + 1];
        rest[to + 2] += share * moves[from + 2];
      }
    });
  }
}
