"""The same U-Net step in PyTorch on the CPU, for `npm run bench -- trainer`.

The first line of standard input is {"features": [...], "batch": n, "patch": [d, h, w],
"threads": n, "layout": "contiguous" | "channels_last"}; the answer says how many parameters
that is. Each further line is a number of steps; the answer holds the milliseconds of each.
Layers, loss, clipping and optimizer are those of trainer/network.ts.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Convolution (of the input, and of a skip), instance norm, leaky ReLU."""

    def __init__(self, inputs, outputs, skip=0):
        super().__init__()
        self.own = nn.Conv3d(inputs + skip, outputs, 3, padding=1, bias=False)
        self.norm = nn.InstanceNorm3d(outputs, affine=True)

    def forward(self, x, skip=None):
        if skip is not None:
            x = torch.cat([x, skip], 1)
        return F.leaky_relu(self.norm(self.own(x)), 0.01, inplace=True)


class UNet(nn.Module):
    """The layers of trainer/network.ts, with joined skip connections as people write them."""

    def __init__(self, channels, classes, features):
        super().__init__()
        self.down = nn.ModuleList()
        self.encoder = nn.ModuleList()
        for level, width in enumerate(features):
            before = channels if level == 0 else width
            if level > 0:
                self.down.append(nn.Conv3d(features[level - 1], width, 2, 2, bias=False))
            self.encoder.append(nn.ModuleList([Block(before, width), Block(width, width)]))
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for level, width in enumerate(features[:-1]):
            self.up.append(nn.ConvTranspose3d(features[level + 1], width, 2, 2, bias=False))
            self.decoder.append(nn.ModuleList([Block(width, width, width), Block(width, width)]))
        self.last = nn.Conv3d(features[0], classes, 1)

    def forward(self, x):
        skips = []
        for level, (first, second) in enumerate(self.encoder):
            if level > 0:
                x = self.down[level - 1](x)
            x = second(first(x))
            skips.append(x)
        for level in reversed(range(len(self.decoder))):
            first, second = self.decoder[level]
            x = second(first(self.up[level](x), skips[level]))
        return self.last(x)


def batch_loss(logits, labels, factors):
    """Per case cross entropy + 1 - mean soft Dice over foreground, times the case's factor."""
    entropy = F.cross_entropy(logits, labels, reduction="none").mean((1, 2, 3))
    p = torch.softmax(logits, 1)
    truth = F.one_hot(labels, logits.shape[1]).permute(0, 4, 1, 2, 3).float()
    overlap = (p * truth).sum((2, 3, 4))
    size = p.sum((2, 3, 4)) + truth.sum((2, 3, 4))
    dice = ((2 * overlap + 1e-5) / (size + 1e-5))[:, 1:].mean(1)
    return ((entropy + 1 - dice) * factors).sum() / len(factors)


def learner(features, batch, patch, threads, layout):
    """A function that does one step, and how many parameters it trains."""
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    memory = torch.channels_last_3d if layout == "channels_last" else torch.contiguous_format
    net = UNet(1, 3, features).to(memory_format=memory)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    images = torch.randn(batch, 1, *patch).contiguous(memory_format=memory)
    labels = torch.randint(0, 3, (batch, *patch))
    factors = torch.ones(batch)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = batch_loss(net(images), labels, factors)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 12)
        optimizer.step()
        return loss.item(), norm.item()

    return step, sum(p.numel() for p in net.parameters())


def milliseconds(step):
    """How long one step takes."""
    began = time.perf_counter()
    step()
    return (time.perf_counter() - began) * 1000


step, parameters = learner(**json.loads(sys.stdin.readline()))
for _ in range(3):
    step()
print(json.dumps({"parameters": parameters, "version": f"torch {torch.__version__}"}), flush=True)
for line in sys.stdin:
    times = [milliseconds(step) for _ in range(json.loads(line))]
    print(json.dumps({"milliseconds": times}), flush=True)
