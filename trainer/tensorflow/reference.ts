// The operations of the network once more, as plain loops in float64 that share nothing with the
// kernels: what the self-test and the tests compare with. Slow, and only for tiny shapes.

type Numbers = ArrayLike<number>;

export type ConvolutionShapes = {
  /** [B,D,H,W,C] */
  input: number[];
  /** [kd,kh,kw,C,Co] */
  filter: number[];
  strides: number[];
  pad: 'same' | 'valid' | number;
};

/** Output length and zeros before the first voxel, per spatial axis. */
function placesOf({ input, filter, strides, pad }: ConvolutionShapes) {
  return [0, 1, 2].map((axis) => {
    const [length, kernel, stride] = [input[axis + 1], filter[axis], strides[axis]];
    if (pad === 'same') {
      const out = Math.ceil(length / stride);
      const zeros = Math.max(0, (out - 1) * stride + kernel - length);
      return { out, before: Math.floor(zeros / 2) };
    }
    const before = pad === 'valid' ? 0 : pad;
    return { out: Math.floor((length + 2 * before - kernel) / stride) + 1, before };
  });
}

export function convolutionShape(shapes: ConvolutionShapes): number[] {
  return [shapes.input[0], ...placesOf(shapes).map(({ out }) => out), shapes.filter[4]];
}

// Calls `visit` with the flat places of input, filter and output of every product of a convolution.
function products(
  shapes: ConvolutionShapes,
  visit: (input: number, filter: number, output: number) => void,
): void {
  const { input, filter, strides } = shapes;
  const places = placesOf(shapes);
  const [, outDepth, outHeight, outWidth, outChannels] = convolutionShape(shapes);
  const [batch, depth, height, width, channels] = input;
  const rows = batch * outDepth * outHeight * outWidth;
  for (let row = 0; row < rows; row++) {
    const x = (row % outWidth) * strides[2] - places[2].before;
    const y = (Math.floor(row / outWidth) % outHeight) * strides[1] - places[1].before;
    const plane = Math.floor(row / outWidth / outHeight);
    const z = (plane % outDepth) * strides[0] - places[0].before;
    const b = Math.floor(plane / outDepth);
    for (let tap = 0; tap < filter[0] * filter[1] * filter[2]; tap++) {
      const ix = x + (tap % filter[2]);
      const iy = y + (Math.floor(tap / filter[2]) % filter[1]);
      const iz = z + Math.floor(tap / filter[2] / filter[1]);
      if (iz < 0 || iy < 0 || ix < 0 || iz >= depth || iy >= height || ix >= width) continue;
      const from = (((b * depth + iz) * height + iy) * width + ix) * channels;
      for (let c = 0; c < channels; c++) {
        for (let k = 0; k < outChannels; k++) {
          visit(from + c, (tap * channels + c) * outChannels + k, row * outChannels + k);
        }
      }
    }
  }
}

const sizeOf = (shape: number[]) => shape.reduce((a, b) => a * b, 1);
export function convolve(x: Numbers, filter: Numbers, shapes: ConvolutionShapes): Float64Array {
  const out = new Float64Array(sizeOf(convolutionShape(shapes)));
  products(shapes, (i, f, o) => {
    out[o] += x[i] * filter[f];
  });
  return out;
}

/** Gradient by the input; also the transposed convolution of `dy`. */
export function convolveBack(dy: Numbers, filter: Numbers, shapes: ConvolutionShapes) {
  const out = new Float64Array(sizeOf(shapes.input));
  products(shapes, (i, f, o) => {
    out[i] += dy[o] * filter[f];
  });
  return out;
}

export function filterOf(x: Numbers, dy: Numbers, shapes: ConvolutionShapes): Float64Array {
  const out = new Float64Array(sizeOf(shapes.filter));
  products(shapes, (i, f, o) => {
    out[f] += x[i] * dy[o];
  });
  return out;
}

/** leaky(scale (x - mean) / deviation + shift) of x [B,...,C], per case and channel. */
export function normalise(
  [x, scale, shift]: Numbers[],
  [batch, voxels, channels]: number[],
): Float64Array {
  const out = new Float64Array(x.length);
  for (let row = 0; row < batch * channels; row++) {
    const [b, c] = [Math.floor(row / channels), row % channels];
    const places = Array.from({ length: voxels }, (_, v) => (b * voxels + v) * channels + c);
    const mean = places.reduce((sum, at) => sum + x[at], 0) / voxels;
    const variance = places.reduce((sum, at) => sum + (x[at] - mean) ** 2, 0) / voxels;
    for (const at of places) {
      const z = (scale[c] * (x[at] - mean)) / Math.sqrt(variance + 1e-5) + shift[c];
      out[at] = z > 0 ? z : 0.01 * z;
    }
  }
  return out;
}

/** Per case: mean cross entropy + 1 - mean soft Dice of the classes from 1 on. */
export function losses(
  logits: Numbers,
  labels: Numbers,
  [batch, voxels, classes]: number[],
): Float64Array {
  return Float64Array.from({ length: batch }, (_, b) => {
    let entropy = 0;
    const overlap = new Float64Array(classes);
    const size = new Float64Array(classes);
    for (let v = b * voxels; v < (b + 1) * voxels; v++) {
      const powers = Array.from({ length: classes }, (_, k) => Math.exp(logits[v * classes + k]));
      const sum = powers.reduce((a, power) => a + power, 0);
      entropy -= Math.log(powers[labels[v]] / sum) / voxels;
      overlap[labels[v]] += powers[labels[v]] / sum;
      size[labels[v]] += 1;
      for (let k = 0; k < classes; k++) size[k] += powers[k] / sum;
    }
    let dice = 0;
    for (let k = 1; k < classes; k++) {
      dice += (2 * overlap[k] + 1e-5) / (size[k] + 1e-5) / (classes - 1);
    }
    return entropy + 1 - dice;
  });
}
