// Where an image lies in the patient: the orientation fields of a NIfTI header, kept as they are so
// that a prediction can be laid over its image. Offsets are those of the NIfTI-1 and -2 standards.

/** The orientation of a NIfTI image; what the fields mean is the standard's to say. */
export type Geometry = {
  qformCode: number;
  sformCode: number;
  /** pixdim[0]: whether the third axis is turned around. */
  handedness: number;
  /** pixdim[1..3], with their sign. */
  pixDims: number[];
  /** b, c, d */
  quaternion: number[];
  /** x, y, z in the file's units */
  offset: number[];
  /** srow_x, srow_y, srow_z: 12 numbers */
  rows: number[];
  /** Codes of length and time units. */
  units: number;
};

const nifti1 = { pixDims: 76, units: 123, codes: 252, quaternion: 256, offset: 268, rows: 280 };
const nifti2 = { pixDims: 104, units: 500, codes: 344, quaternion: 352, offset: 376, rows: 400 };

/** The geometry in a header of either version. */
export function readGeometry(header: DataView, littleEndian: boolean): Geometry {
  const second = header.getInt32(0, littleEndian) === 540;
  const at = second ? nifti2 : nifti1;
  const reals = (from: number, count: number) =>
    Array.from({ length: count }, (_, k) =>
      second
        ? header.getFloat64(from + 8 * k, littleEndian)
        : header.getFloat32(from + 4 * k, littleEndian),
    );
  const code = (place: number) =>
    second
      ? header.getInt32(at.codes + 4 * place, littleEndian)
      : header.getInt16(at.codes + 2 * place, littleEndian);
  const [handedness, ...pixDims] = reals(at.pixDims, 4);
  return {
    qformCode: code(0),
    sformCode: code(1),
    handedness,
    pixDims,
    quaternion: reals(at.quaternion, 3),
    offset: reals(at.offset, 3),
    rows: reals(at.rows, 12),
    units: second ? header.getInt32(at.units, littleEndian) : header.getUint8(at.units),
  };
}

/** The geometry of an image of which only spacings [z, y, x] in mm are known: axes as stored. */
export function plainGeometry([z, y, x]: [number, number, number]): Geometry {
  return {
    qformCode: 0,
    sformCode: 1,
    handedness: 1,
    pixDims: [x, y, z],
    quaternion: [0, 0, 0],
    offset: [0, 0, 0],
    rows: [x, 0, 0, 0, 0, y, 0, 0, 0, 0, z, 0],
    units: 2, // millimetres
  };
}

/** Writes a geometry into a little-endian NIfTI-1 header. */
export function writeGeometry(header: DataView, geometry: Geometry): void {
  const reals = (from: number, values: number[]) => {
    for (const [k, value] of values.entries()) header.setFloat32(from + 4 * k, value, true);
  };
  reals(nifti1.pixDims, [geometry.handedness, ...geometry.pixDims]);
  header.setUint8(nifti1.units, geometry.units);
  header.setInt16(nifti1.codes, geometry.qformCode, true);
  header.setInt16(nifti1.codes + 2, geometry.sformCode, true);
  reals(nifti1.quaternion, geometry.quaternion);
  reals(nifti1.offset, geometry.offset);
  reals(nifti1.rows, geometry.rows);
}
