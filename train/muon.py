"""Muon: momentum whose matrices are orthogonalised before they are applied; for the UNet's hidden weights.

Decision: every weight matrix (a convolution counts as outputs x inputs*taps) moves equally far in all directions, which takes
far fewer steps than Adam here; the update is scaled so that Adam's learning rates carry over. Source of the method and of the
polynomial: K. Jordan et al., "Muon" (2024); the scaling: Liu et al., "Muon is scalable for LLM training" (2025).
"""
import torch


def orthogonalise(matrix, rounds=4):
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = (wide / (wide.norm() + 1e-7)).bfloat16()
    for _ in range(rounds):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Muon(torch.optim.Optimizer):
    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                velocity = self.state[weight].setdefault("velocity", torch.zeros_like(weight))
                velocity.lerp_(weight.grad, 1 - group["momentum"])
                update = weight.grad.lerp(velocity, group["momentum"])
                # channels_last strides make this reshape free when taps are put before inputs
                order = (0, 2, 3, 1) if update.ndim == 4 else (0, 1)
                flat = update.permute(order).reshape(len(update), -1)
                scale = 0.2 * max(flat.shape) ** 0.5
                turned = orthogonalise(flat).float().reshape(update.permute(order).shape)
                if update.ndim == 4:
                    turned = turned.permute(0, 3, 1, 2)
                weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(turned, alpha=-group["lr"] * scale)
