"""Many penalized linear models at once: coordinates, preconditioning, batched L-BFGS."""

import torch
import torch.nn.functional as F
from torch import Tensor

MEMORY = 10  # pairs that L-BFGS keeps
TOLERANCE = {torch.float64: 1e-6, torch.float32: 3e-4}  # of the preconditioned gradient's norm
ROTATED = 2000  # up to so many entries or values, whichever are fewer, coordinates are made
DIRECTIONS = 256  # principal directions that precondition larger problems
DIRECTIONS_FROM = 4096  # entries, evenly spaced, that they are estimated from


def coordinates(features: Tensor) -> Tensor:
    """Centred features (N, D) along their principal directions: an isometry up to the mean's shift.

    Returns:
        float64 (N, min(N, D)) where the smaller of N and D is at most `ROTATED`; beyond, the
        centred features themselves, float32 (N, D).
    """
    if min(features.shape) > ROTATED:
        return features.float() - features.mean(0, dtype=torch.float32)
    centered = features.double()
    centered = centered - centered.mean(0)
    if centered.shape[0] >= centered.shape[1]:
        return centered @ torch.linalg.eigh(centered.T @ centered)[1]
    values, vectors = torch.linalg.eigh(centered @ centered.T)
    return vectors * values.clamp_min(0).sqrt()


def principal(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The leading principal directions of centred inputs (N, D), well enough to precondition fits.

    Two rounds of block power iteration from fixed random vectors, on entries evenly spaced.

    Returns:
        directions (D, K) and the variances along them (K,), descending; K is `DIRECTIONS`, or the
        smaller of N and D.
    """
    inputs = inputs[:: -(-len(inputs) // DIRECTIONS_FROM)]
    start = torch.randn(
        len(inputs), min(DIRECTIONS, *inputs.shape), generator=torch.Generator().manual_seed(0)
    )
    start = start.to(inputs.dtype)
    for _ in range(2):
        basis = torch.linalg.qr(inputs.T @ start)[0]
        start = inputs @ basis
    values, vectors = torch.linalg.eigh(start.T @ start / len(inputs))
    return basis @ vectors.flip(1), values.flip(0)


def minimize(
    inputs: Tensor,
    targets: Tensor,
    weights: Tensor,
    penalties: Tensor,
    logistic: int,
    directions: tuple[Tensor, Tensor] | None = None,
    start: Tensor | None = None,
    max_iterations: int = 5000,
) -> Tensor:
    """Fit C linear models at once, each row to the minimum of

    Σ w·loss(x·β + b, y) / Σ w + ½·penalty·‖β‖², loss logistic or half the squared error.

    Batched L-BFGS with backtracking on the outputs, preconditioned by the Hessian's diagonal or,
    given principal directions, by the Hessian along them. Finished fits drop out: those with
    √(gᵀPg) of at most `TOLERANCE`, g the gradient, P the preconditioner, which is 1e-6 for float64
    inputs and 3e-4 for float32. Half its square estimates how far the sum is above its minimum.
    Products with the inputs have their precision, the sum is float64.

    Args:
        inputs: float64 or float32 (N, D).
        targets: float64 (C, N), in {0, 1} in logistic fits.
        weights: float64 (C, N), 0 leaves an entry out of a fit.
        penalties: float64 (C,), positive; the intercept b is not penalized.
        logistic: so many fits, from the first, have the logistic loss.
        directions: from `principal`; None where the inputs' covariance is nearly diagonal.
        start: (C, D + 1) where to begin; None for zero.
        max_iterations: that a fit may need.

    Returns:
        (C, D + 1) in the inputs' precision, the intercept last.

    Raises:
        ArithmeticError: a fit did not converge.
    """
    dtype, count = inputs.dtype, len(weights)
    beta = inputs.new_zeros(count, inputs.shape[1] + 1) if start is None else start.to(dtype)
    share = weights / weights.sum(1, keepdim=True)
    ridge = penalties.to(dtype)[:, None].repeat(1, beta.shape[1])
    ridge[:, -1] = 0
    if directions is None:
        spread = share.to(dtype) @ inputs.square()
    else:
        along, variances = directions
        spread = variances[-1].expand(count, inputs.shape[1])
    spread = F.pad(spread, (0, 1), value=1.0)
    solution, live = torch.empty_like(beta), torch.arange(count)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []

    def value(output, beta):
        bent, straight = output[:logistic], output[logistic:] - targets[logistic:]
        loss = torch.cat([F.softplus(bent) - targets[:logistic] * bent, straight.square() / 2])
        return (share * loss).sum(1) + (ridge * beta.square()).sum(1, dtype=torch.float64) / 2

    def slope(output, beta):
        """The gradient, and each fit's mean second derivative of the loss."""
        guess = torch.cat([output[:logistic].sigmoid(), output[logistic:]])
        residual = (share * (guess - targets)).to(dtype)
        bend = ridge.new_ones(len(ridge), 1)
        curved = (share * guess * (1 - guess))[:logistic].sum(1, keepdim=True)
        bend[:logistic] = curved.clamp_min(1e-3)
        return torch.hstack([residual @ inputs, residual.sum(1, keepdim=True)]) + ridge * beta, bend

    def precondition(vectors):
        result = vectors / (bend * spread + ridge + 1e-12)
        if directions is not None:
            gain, rest = (1 / (bend * v + ridge[:, :1]) for v in (variances, variances[-1:]))
            result[:, :-1] += (vectors[:, :-1] @ along * (gain - rest)) @ along.T
        return result

    output = outputs(inputs, beta).double()
    current, (gradient, bend) = value(output, beta), slope(output, beta)
    for iteration in range(max_iterations + 1):
        left = (gradient * precondition(gradient)).sum(1)
        going = ~(left <= TOLERANCE[dtype] ** 2)  # so that what is not a number goes on
        if not going.all():
            solution[live[~going]] = beta[~going]
            logistic, kept = int(going[:logistic].sum()), going.nonzero().squeeze(1)
            live, beta, output, targets, share, ridge, spread, current, gradient, bend = (
                tensor.index_select(0, kept)
                for tensor in (
                    live,
                    beta,
                    output,
                    targets,
                    share,
                    ridge,
                    spread,
                    current,
                    gradient,
                    bend,
                )
            )
            pairs = [tuple(tensor.index_select(0, kept) for tensor in pair) for pair in pairs]
        if not len(live):
            return solution
        if iteration == max_iterations:
            break
        direction, remembered = gradient.clone(), []
        for step, change, rho in reversed(pairs):
            a = rho * (step * direction).sum(1, keepdim=True)
            remembered.append(a)
            direction -= a * change
        direction = precondition(direction)
        for (step, change, rho), a in zip(pairs, reversed(remembered), strict=True):
            direction += step * (a - rho * (change * direction).sum(1, keepdim=True))
        direction.neg_()
        descent = (direction * gradient).sum(1, dtype=torch.float64)
        moved = outputs(inputs, direction).double()
        length = torch.ones_like(descent)
        for _ in range(40):
            there = output + length[:, None] * moved
            ahead = beta + length[:, None].to(dtype) * direction
            tried = value(there, ahead)
            failing = tried > current + 1e-4 * length * descent + 1e-14 * current.abs()
            if not failing.any():
                break
            length = torch.where(failing, length / 2, length)
        step, before = ahead - beta, gradient
        beta, output, current = ahead, there, tried
        gradient, bend = slope(output, beta)
        change = gradient - before
        inner = (step * change).sum(1, keepdim=True)
        pairs = [*pairs, (step, change, torch.where(inner > 0, 1 / inner, 0.0))][-MEMORY:]
    raise ArithmeticError(
        f"{len(live)} of {count} linear probes did not converge in {max_iterations} "
        "iterations: use larger penalties"
    )


def outputs(inputs: Tensor, beta: Tensor) -> Tensor:
    """Outputs (C, N) of linear models (C, D + 1)."""
    # one fit a row: with few columns, MKL is up to thirty times slower on the transpose
    return beta[:, :-1] @ inputs.T + beta[:, -1:]


def scaled(features: Tensor) -> Tensor:
    """Coordinates with a mean squared norm of 1."""
    inputs = coordinates(features)
    norm = torch.linalg.vector_norm(inputs, dim=1).square().mean().sqrt()
    return inputs.div_(norm.clamp_min(1e-12))


def span(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates, float64 (n, n), of few inputs (n, D) within their span, and the way back:
    (n, n) that turns a solution in coordinates into weights of the inputs' rows."""
    values, vectors = torch.linalg.eigh((inputs @ inputs.T).double())
    noise = torch.finfo(inputs.dtype).eps * values[-1]  # of the products
    root = torch.where(values > noise, values, 0.0).sqrt()
    return vectors * root, vectors * torch.where(root > 0, 1 / root, 0.0)


def directions_of(inputs: Tensor) -> tuple[Tensor, Tensor] | None:
    return principal(inputs) if inputs.dtype == torch.float32 else None
