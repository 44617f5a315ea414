// Instance norm and leaky activation from TensorFlow's own fused operations. Batch norm of a batch
// of one case is instance norm; tfjs has no name for its training form, so it is called directly.

import * as tf from '@tensorflow/tfjs';

type Attribute = { name: string; type: number; value: unknown };

/** What the native backend offers beyond tfjs's kernels. */
type NativeBackend = {
  binding: Record<string, number>;
  executeSingleOutput: (name: string, attributes: Attribute[], inputs: tf.Tensor[]) => tf.Tensor;
  executeMultipleOutputs: (
    name: string,
    attributes: Attribute[],
    inputs: tf.Tensor[],
    outputs: number,
  ) => tf.Tensor[];
};

const epsilon = 1e-5;
const slope = 0.01;

/** Whether TensorFlow itself computes now. */
export const isNative = (): boolean => tf.getBackend() === 'tensorflow';

/**
 * leaky(scale (x - mean) / deviation + shift) of one case: x [1,D,H,W,C], scale and shift [C].
 * Only on the native backend.
 */
export function nativeNormActivation(
  x: tf.Tensor5D,
  scale: tf.Tensor1D,
  shift: tf.Tensor1D,
): tf.Tensor5D {
  const { shape } = x;
  const [, depth, height, width, channels] = shape;
  const planes: [number, number, number, number] = [1, depth * height, width, channels];
  const operation = tf.customGrad((x5, scale1, shift1, save) => {
    const x4 = (x5 as tf.Tensor).reshape<tf.Tensor4D>(planes);
    const [z, , , ...reserved] = normForward(x4, scale1 as tf.Tensor, shift1 as tf.Tensor);
    (save as tf.GradSaveFunc)([x4, z, scale1 as tf.Tensor, ...reserved]);
    const value = leaky('LeakyRelu', [z]).reshape<tf.Tensor5D>(shape);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [x4, z, scale1, ...reserved] = saved;
      const dz = leaky('LeakyReluGrad', [dy.reshape(planes), z]);
      const [dx, dScale, dShift] = normBackward([dz, x4, scale1, ...reserved]);
      return [dx.reshape(shape), dScale, dShift];
    };
    return { value, gradFunc };
  });
  return operation(x, scale, shift) as tf.Tensor5D;
}

function native(): NativeBackend {
  return tf.backend() as unknown as NativeBackend;
}

function normAttributes({ binding }: NativeBackend): Attribute[] {
  return [
    { name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
    { name: 'U', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
    { name: 'epsilon', type: binding.TF_ATTR_FLOAT, value: epsilon },
    { name: 'data_format', type: binding.TF_ATTR_STRING, value: 'NHWC' },
    { name: 'is_training', type: binding.TF_ATTR_BOOL, value: true },
  ];
}

function normForward(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor): tf.Tensor[] {
  const backend = native();
  const momentum = {
    name: 'exponential_avg_factor',
    type: backend.binding.TF_ATTR_FLOAT,
    value: 1,
  };
  const none = tf.tensor1d([]);
  const inputs = [x, scale, shift, none, none];
  const attributes = [...normAttributes(backend), momentum];
  return backend.executeMultipleOutputs('FusedBatchNormV3', attributes, inputs, 6);
}

function normBackward(inputs: tf.Tensor[]): tf.Tensor[] {
  const backend = native();
  const attributes = normAttributes(backend);
  return backend.executeMultipleOutputs('FusedBatchNormGradV3', attributes, inputs, 5);
}

function leaky(name: 'LeakyRelu' | 'LeakyReluGrad', inputs: tf.Tensor[]): tf.Tensor {
  const backend = native();
  const { binding } = backend;
  return backend.executeSingleOutput(
    name,
    [
      { name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
      { name: 'alpha', type: binding.TF_ATTR_FLOAT, value: slope },
    ],
    inputs,
  );
}
