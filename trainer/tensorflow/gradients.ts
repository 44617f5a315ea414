// Gradients that tfjs-core lacks for every backend, native ones included.

import * as tf from '@tensorflow/tfjs';

type TransposeAttributes = {
  strides: number | [number, number, number];
  pad: 'same' | 'valid';
};

/** Registers the gradient of conv3dTranspose; does nothing the second time. */
export function registerMissingGradients(): void {
  if (tf.getGradient('Conv3DBackpropInputV2') !== undefined) return;
  tf.registerGradient({
    kernelName: 'Conv3DBackpropInputV2',
    inputsToSave: ['dy', 'filter'],
    gradFunc: (ddx, saved, attributes) => {
      const [dy, filter] = saved as [tf.Tensor5D, tf.Tensor5D];
      const { strides, pad } = attributes as unknown as TransposeAttributes;
      const filterAttributes = { strides, pad, filterShape: filter.shape };
      return {
        dy: () => tf.conv3d(ddx as tf.Tensor5D, filter, strides, pad),
        filter: () =>
          tf
            .engine()
            .runKernel(
              'Conv3DBackpropFilterV2',
              { x: ddx as tf.Tensor, dy },
              filterAttributes as unknown as tf.NamedAttrMap,
            ) as tf.Tensor,
      };
    },
  });
}
