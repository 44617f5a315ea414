// Blur and low resolution of one channel of a patch: both work axis by axis, in place.

import type { Size } from '../nifti.ts';

/** One channel of a patch: voxel k is `image[k * channels + channel]`. */
export type Channel = { image: Float32Array; size: Size; channels: number; channel: number };

/** Gaussian blur of deviation `sigma` in voxels along each axis; the patch's edge goes on. */
export function blur(of: Channel, sigma: number, axes: number[]): void {
  const reach = Math.ceil(3 * sigma);
  const bell = Float64Array.from({ length: 2 * reach + 1 }, (_, k) =>
    Math.exp(-((k - reach) ** 2) / (2 * sigma ** 2)),
  );
  const sum = bell.reduce((total, value) => total + value, 0);
  for (let k = 0; k < bell.length; k++) bell[k] /= sum;
  for (const axis of axes) {
    const length = of.size[axis];
    const padded = new Float64Array(length + 2 * reach);
    alongAxis(of, axis, (line) => {
      for (let k = 0; k < padded.length; k++)
        padded[k] = line[Math.min(Math.max(k - reach, 0), length - 1)];
      for (let at = 0; at < length; at++) {
        let value = 0;
        for (let k = 0; k < bell.length; k++) value += bell[k] * padded[at + k];
        line[at] = value;
      }
    });
  }
}

/** What an image made of fewer voxels shows: nearest voxels kept, the rest linear between them. */
export function lowerResolution(of: Channel, zoom: number, axes: number[]): void {
  for (const axis of axes) {
    const length = of.size[axis];
    const count = Math.max(1, Math.round(length * zoom));
    // Voxel centres of the coarse image, as places in the fine one.
    const kept = Float64Array.from({ length: count }, (_, k) => ((k + 0.5) * length) / count - 0.5);
    const values = new Float64Array(count);
    alongAxis(of, axis, (line) => {
      for (let k = 0; k < count; k++) values[k] = line[Math.min(length - 1, Math.round(kept[k]))];
      for (let at = 0; at < length; at++) {
        const place = Math.min(Math.max(((at + 0.5) * count) / length - 0.5, 0), count - 1);
        const low = Math.floor(place);
        const high = Math.min(low + 1, count - 1);
        line[at] = values[low] + (place - low) * (values[high] - values[low]);
      }
    });
  }
}

/** Hands every line of a channel along an axis to `change` and writes what it left there. */
function alongAxis(of: Channel, axis: number, change: (line: Float64Array) => void): void {
  const { image, size, channels, channel } = of;
  const length = size[axis];
  const step = size.slice(axis + 1).reduce((product, side) => product * side, channels);
  const line = new Float64Array(length);
  for (let block = channel; block < image.length; block += step * length) {
    for (let first = block; first < block + step; first += channels) {
      for (let k = 0; k < length; k++) line[k] = image[first + k * step];
      change(line);
      for (let k = 0; k < length; k++) image[first + k * step] = line[k];
    }
  }
}
