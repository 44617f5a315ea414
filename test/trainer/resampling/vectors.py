# Writes vectors.json beside itself, with scipy 1.17.1 and scikit-image 0.26.0. Needed once: the
# test reads the numbers, never this file.

import json
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.transform import resize

rng = np.random.default_rng(7)
options = dict(mode="edge", anti_aliasing=False, preserve_range=True)


def listed(array, digits=7):
    return [float(f"{value:.{digits}g}") for value in np.asarray(array).ravel()]


def image_case(shape, new_shape):
    image = rng.integers(-500, 500, shape).astype(np.float64) / 100
    factors = [n / m for n, m in zip(new_shape, shape)]
    zoomed = {
        order: ndimage.zoom(image, factors, order=order, mode="nearest", grid_mode=True)
        for order in (0, 1, 3)
    }
    return {
        "shape": shape,
        "newShape": new_shape,
        "image": listed(image),
        "nearest": listed(zoomed[0]),
        "linear": listed(zoomed[1]),
        "cubic": listed(zoomed[3]),
        "resize": listed(resize(image, new_shape, order=3, clip=True, **options)),
    }


# As nnU-Net does it for thick slices: every slice for itself, then the nearest slice.
def thick_case(shape, new_shape):
    image = rng.integers(-500, 500, shape).astype(np.float64) / 100
    slices = np.stack([resize(one, new_shape[1:], order=3, clip=False, **options) for one in image])
    centres = (np.arange(new_shape[0]) + 0.5) * shape[0] / new_shape[0] - 0.5
    nearest = ndimage.map_coordinates(np.arange(shape[0]), [centres], order=0, mode="nearest")
    clipped = np.clip(slices[nearest], image.min(), image.max())
    shapes = {"shape": shape, "newShape": new_shape}
    return {**shapes, "image": listed(image), "resized": listed(clipped)}


def label_case(shape, new_shape):
    labels = rng.integers(0, 4, shape)
    labels[labels == 3] = 7
    values = sorted(set(labels.ravel().tolist()))
    shares = [
        resize((labels == value).astype(float), new_shape, order=1, clip=True, **options)
        for value in values
    ]
    stacked = np.round(np.stack(shares), 9)
    best = len(values) - 1 - np.argmax(stacked[::-1], axis=0)
    return {
        "shape": shape,
        "newShape": new_shape,
        "labels": labels.ravel().tolist(),
        "resized": np.array(values)[best].ravel().tolist(),
    }


vectors = {
    "images": [image_case([3, 4, 5], [5, 3, 7]), image_case([1, 6, 4], [1, 9, 3])],
    "thick": [thick_case([3, 4, 5], [7, 6, 4])],
    "labels": [label_case([4, 5, 6], [3, 7, 8]), label_case([1, 8, 7], [1, 5, 9])],
}
Path(__file__).with_name("vectors.json").write_text(json.dumps(vectors) + "\n")
