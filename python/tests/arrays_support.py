"""What tests of layers on arrays share: profiles, a network, its training and its answers."""

from nn_support import torch

from torch import nn

from lumina_kernel import Adc, Calibrated, Dac, HardwareAware, Mapping, Profile, cells, nn as ln

IDEAL = Profile.ideal()
IDEAL_IN_TILES = IDEAL.with_(mapping=Mapping((7, 5), weight_bits=None))
#: All that has a number; drawn in training and in eval().
NOISY = Profile(
    "noisy",
    dac=Dac(8, 2.5),
    adc=Adc(8, 9.0),
    mapping=Mapping((16, 8)),
    cell=cells.Pcm(),
    out_noise=0.05,
    read_noise=0.02,
    training=HardwareAware(0.05),
    compensation="tile",
)
#: Without noise
QUIET = NOISY.with_(
    adc=None, cell=None, out_noise=0.0, read_noise=None, training=HardwareAware(), compensation=None
)


def numbers(*shape, seed=1, kind=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(kind)


def model(profile=NOISY, seed=1):
    """A network with images and rows."""
    torch.manual_seed(seed)
    return nn.Sequential(
        ln.AnalogConv2d(2, 6, 3, stride=2, padding=1, profile=profile),
        nn.ReLU(),
        nn.Flatten(),
        ln.AnalogLinear(6 * 4 * 4, 5, profile=profile),
    )


IMAGES = numbers(4, 2, 8, 8, seed=9)


def bits_of(y):
    return y.detach().numpy().tobytes()


def calibrated_profile(**changes):
    return NOISY.with_(
        dac=Dac(8, Calibrated()), adc=Adc(8, Calibrated()), noise_management="abs_max", **changes
    )


def train(network, steps=3):
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    for step in range(steps):
        ln.seed_step(network, 0, step)
        optimizer.zero_grad()
        network(numbers(4, 2, 8, 8, seed=step)).square().mean().backward()
        optimizer.step()


def answer(network, step=7):
    ln.seed_step(network, 9, step)
    with torch.no_grad():
        return bits_of(network(IMAGES))
