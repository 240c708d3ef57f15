"""The peer of `hndsr bench upscale`: the same three networks in PyTorch eager mode on the CPU.

Reads weights, inputs and what hndsr made of them from a safetensors file (bench/compare.js writes it), checks that
the answer is the same, and prints one time in milliseconds for each line that it reads, so that both sides take turns.

Debian: python3-torch libopenblas0-pthread.
"""
import json
import math
import struct
import sys
import time

import numpy
import torch
import torch.nn.functional as F

path, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
torch.set_grad_enabled(False)

with open(path, "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length))
    body = file.read()
metadata = header.pop("__metadata__")
tensors = {}
for name, entry in header.items():
    start, end = entry["data_offsets"]
    values = numpy.frombuffer(body[start:end], dtype="<f4").reshape(entry["shape"])
    tensors[name] = torch.from_numpy(values.copy())
config = json.loads(metadata["model"])
steps = json.loads(metadata["steps"])
kept = json.loads(metadata["kept"])
basis = tensors["basis"]


def conv(name, x):
    weight = tensors[name + ".weight"]
    return F.conv2d(x, weight, tensors[name + ".bias"], padding=weight.shape[2] // 2)


def dense(name, x):
    return x @ tensors[name + ".weight"] + tensors[name + ".bias"]


def gelu(x):
    return x * torch.sigmoid(1.702 * x)


def block(name, x, shift=None):
    first = conv(name + ".first", x)
    return x + conv(name + ".second", F.silu(first if shift is None else first + shift))


def unshuffle(x, factor):
    n, c, h, w = x.shape
    cells = x.reshape(n, c, h // factor, factor, w // factor, factor)
    return cells.permute(0, 3, 5, 1, 2, 4).reshape(n, c * factor * factor, h // factor, w // factor)


def shuffle(x, factor):
    n, c, h, w = x.shape
    cells = x.reshape(n, factor, factor, c // (factor * factor), h, w)
    return cells.permute(0, 3, 4, 1, 5, 2).reshape(n, c // (factor * factor), h * factor, w * factor)


def body_of(name, x):
    x = conv(f"autoencoder/{name}.in", x)
    for index in range(config["autoencoder"]["blocks"]):
        x = block(f"autoencoder/{name}.blocks.{index}", x)
    return conv(f"autoencoder/{name}.out", x)


def perceptron(name, x):
    return dense(name + ".out", F.silu(dense(name + ".in", x)))


mixing = []
for index in range(config["neural_operator"]["blocks"]):
    real = tensors[f"neural-operator/blocks.{index}.spectral.real"]
    imaginary = tensors[f"neural-operator/blocks.{index}.spectral.imaginary"]
    mixing.append(torch.cat([torch.cat([real, imaginary], 2), torch.cat([-imaginary, real], 2)], 1))


def spectral(index, x):
    n, c, h, w = x.shape
    spectrum = (x.reshape(n * c, h * w) @ basis).reshape(n, c, 2, kept).permute(3, 0, 2, 1).reshape(kept, n, 2 * c)
    mixed = torch.bmm(spectrum, mixing[index]).reshape(kept, n, 2, c).permute(1, 3, 2, 0).reshape(n * c, 2 * kept)
    return (mixed @ basis.T).reshape(n, c, h, w)


def operator(u, scale):
    cells = unshuffle(u, 4)
    latent = body_of("encoder", cells)
    x = conv("neural-operator/lifting", torch.cat([latent, cells], 1))
    gains = perceptron("neural-operator/amplification", torch.cat([torch.log(scale), 1 / scale], 1)) + 1
    x = x * gains[:, :, None, None]
    for index in range(config["neural_operator"]["blocks"]):
        name = f"neural-operator/blocks.{index}"
        x = x + conv(name + ".out", gelu(spectral(index, x) + conv(name + ".local", x)))
    return latent + conv("neural-operator/projection", x)


def decode(latent, u):
    cells = torch.cat([latent, unshuffle(u, 4)], 1)
    return u + shuffle(body_of("decoder", cells), 4)


def condition_of(latent, u):
    return conv("diffusion/condition", torch.cat([latent, unshuffle(u, 4)], 1))


def noise_of(residual, timestep, condition):
    frequencies = torch.tensor([10_000 ** (-index / 32) for index in range(32)])
    angles = timestep * frequencies
    time_features = F.silu(perceptron("diffusion/time", torch.cat([torch.sin(angles), torch.cos(angles)], 1)))

    def stack(name, x):
        for index in range(config["diffusion"]["blocks"]):
            at = f"diffusion/{name}.{index}"
            x = block(at, x, dense(at + ".time", time_features)[:, :, None, None])
        return x

    before = stack("before", conv("diffusion/in", residual) + condition)
    down = F.conv2d(before, tensors["diffusion/down.weight"], tensors["diffusion/down.bias"], stride=2)
    inside = stack("inside", down)
    up = F.pixel_shuffle(F.conv2d(inside, tensors["up"]), 2)
    return conv("diffusion/out", stack("after", conv("diffusion/join", up) + conv("diffusion/skip", before)))


def run(u, residual, hoisted):
    n = u.shape[0]
    scale = torch.full((n, 1), 4.0)
    u = u * 2 - 1
    latent = operator(u, scale)
    condition = condition_of(latent, u)
    for step in steps:
        if not hoisted:
            condition = condition_of(latent, u)
        timestep = torch.full((n, 1), float(step["timestep"]))
        residual = residual * step["signal"] + noise_of(residual, timestep, condition) * step["direction"]
    return (decode(latent + residual, u) + 1) * 0.5


# A transposed convolution whose cells do not overlap is a 1x1 convolution and a pixel shuffle, which PyTorch is
# faster at (so it is what PyTorch is timed with).
up_weight = tensors["diffusion/up.weight"]
tensors["up"] = up_weight.permute(1, 2, 3, 0).reshape(-1, up_weight.shape[0], 1, 1)


def images(name):
    return tensors[name].permute(0, 3, 1, 2)


layouts = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
weights = {name: value for name, value in tensors.items() if value.dim() == 4 and name.endswith(".weight")}
inputs = images("upsampled"), images("residual")
expected = images("image")


def use(layout):
    for name, value in weights.items():
        tensors[name] = value.contiguous(memory_format=layouts[layout])
    return [value.contiguous(memory_format=layouts[layout]) for value in inputs]


for layout in layouts:
    difference = (run(*use(layout), True) - expected).abs().max().item()
    scale_of_answer = expected.abs().max().item()
    if not difference <= 1e-3 * max(1.0, scale_of_answer):
        sys.exit(f"{layout}: differs from hndsr's answer by {difference}")
    print(json.dumps({"layout": layout, "difference": difference}), flush=True)
for line in sys.stdin:
    layout, variant = line.split()
    given = use(layout)
    start = time.perf_counter()
    run(*given, variant == "hoisted")
    print((time.perf_counter() - start) * 1e3, flush=True)
