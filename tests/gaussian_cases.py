"""Sources whose information is known, and a Gaussian reader fitted on them."""

import math

import torch

from infodil.probes import Calibration, Gaussian, ProbeSpec, cross_entropy_nats, fit_class_map

CPU = torch.device("cpu")


def plain_classes(number):
    """Every type modelled, uniform prior."""
    counts = torch.full((number,), 1000)
    return fit_class_map(counts, counts)


def turned(states):
    """The same in another basis: nothing may hang on which dims carry the code."""
    generator = torch.Generator().manual_seed(77)
    return states @ torch.linalg.qr(torch.randn(states.shape[1], states.shape[1], generator=generator))[0]


def variances(rows, dim, seed, classes=8, means=0.0):
    """The token decides the spread of one direction, and its mean if `means` says so; log-likelihoods of the tokens."""
    generator = torch.Generator().manual_seed(seed)
    states, tokens = torch.randn(rows, dim, generator=generator), torch.randint(classes, (rows,), generator=generator)
    spread = torch.logspace(-0.7, 0.7, classes)
    centres = means * torch.randn(classes, generator=torch.Generator().manual_seed(5))
    states[:, 0] = centres[tokens] + spread[tokens] * states[:, 0]
    fit = -0.5 * ((states[:, :1] - centres) / spread).square() - spread.log()
    return turned(states), tokens, fit


def exclusive_or(rows, dim, seed, noise=0.5):
    """The token is whether two signs agree: both classes have the same mean and the same spread in every dim."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(rows, dim, generator=generator)
    signs = torch.randint(2, (rows, 2), generator=generator) * 2 - 1
    states[:, :2] = signs + noise * states[:, :2]
    fits = []
    for product in (-1, 1):
        ways = [
            -((states[:, 0] - sign) ** 2 + (states[:, 1] - product * sign) ** 2) / (2 * noise**2) for sign in (-1, 1)
        ]
        fits.append(torch.logsumexp(torch.stack(ways), 0))
    return turned(states), (signs.prod(1) > 0).long(), torch.stack(fits, 1)


def codebook(rows, types, dim, noise, seed):
    """Tokens sent through a Gaussian channel; log-likelihoods of the tokens."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(types, dim, generator=torch.Generator().manual_seed(99))
    tokens = torch.randint(types, (rows,), generator=generator)
    states = codes[tokens] + noise * torch.randn(rows, dim, generator=generator)
    return states, tokens, -torch.cdist(states, codes).square() / (2 * noise**2)


def nothing(rows, dim, seed, classes=8):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dim, generator=generator), torch.randint(classes, (rows,), generator=generator)


def true_bits(fit, tokens):
    """Mutual information by Monte Carlo, and its standard error."""
    gain = fit.gather(1, tokens[:, None]).squeeze(1) - torch.logsumexp(fit, 1) + math.log(fit.shape[1])
    return float(gain.mean()) / math.log(2), float(gain.std()) / math.log(2) / math.sqrt(len(gain))


def read(train, held, classes=None, chunk=5000, seed=0, curve=False):
    """A reader fitted on `(states, tokens)`, whose choices were made on `held`."""
    (states, tokens), classes = train[:2], classes or plain_classes(int(train[1].max()) + 1)
    labels = torch.atleast_2d(tokens)
    setting = ProbeSpec(states.shape[1], len(labels), classes, len(states), CPU, seed, learning_curve=curve)
    reader = Gaussian().start_fit(setting)
    for first in range(0, len(states), chunk):
        reader.update(states[first : first + chunk], labels[:, first : first + chunk])
    reader.end_pass(Calibration(held[0], torch.atleast_2d(held[1])))
    return reader


def bits_of(reader, states, tokens):
    logits = reader.spec.classes.class_log_prior + reader.temperatures[0] * reader.scores(states, 0)
    return (math.log(logits.shape[1]) - cross_entropy_nats(logits, tokens)) / math.log(2)
