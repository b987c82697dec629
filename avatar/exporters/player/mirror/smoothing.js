// The One-Euro filter (Casiez et al. 2012): calm where nothing moves, without delay where it moves fast.

export class OneEuro {
  // cutoff: frequency of the filter at rest, hertz; slope: by how much it rises with the speed, hertz per unit and second.
  constructor({ cutoff, slope, speedCutoff = 1 }) {
    Object.assign(this, { cutoff, slope, speedCutoff });
    this.time = null;
  }

  // The filtered values at a time in seconds.
  next(values, time) {
    if (this.time === null || time <= this.time) {
      if (this.time === null) {
        this.values = Float64Array.from(values);
        this.speeds = new Float64Array(values.length);
      }
    } else {
      const seconds = time - this.time;
      const share = (frequency) => 1 / (1 + 1 / (2 * Math.PI * frequency * seconds));
      values.forEach((value, i) => {
        this.speeds[i] += share(this.speedCutoff) * ((value - this.values[i]) / seconds - this.speeds[i]);
        this.values[i] += share(this.cutoff + this.slope * Math.abs(this.speeds[i])) * (value - this.values[i]);
      });
    }
    this.time = Math.max(time, this.time ?? time);
    return this.values;
  }
}

// The filter for landmarks: metres in the world, heights of the image in the image.
const WORLD_FILTER = { cutoff: 1, slope: 2 }, IMAGE_FILTER = { cutoff: 4, slope: 7 };

export class LandmarkSmoother {
  constructor() {
    this.filters = [new OneEuro(WORLD_FILTER), new OneEuro(IMAGE_FILTER)];
  }

  next({ world, image, size }, time) {
    const names = Object.keys(image), unit = size[1];
    const places = this.filters[0].next(names.flatMap((name) => world[name]), time);
    const pixels = this.filters[1].next(names.flatMap((name) => [image[name].x / unit, image[name].y / unit]), time);
    const at = (values, i, width) => Array.from(values.subarray(width * i, width * (i + 1)));
    return {
      world: Object.fromEntries(names.map((name, i) => [name, at(places, i, 3)])),
      image: Object.fromEntries(names.map((name, i) => {
        const [x, y] = at(pixels, i, 2);
        return [name, { x: x * unit, y: y * unit, confidence: image[name].confidence }];
      })),
      size,
    };
  }
}
