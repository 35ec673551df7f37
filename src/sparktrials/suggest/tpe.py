"""Tree-structured Parzen estimator (prototype under measurement)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.suggest import parzen
from sparktrials.suggest import random as rand
from sparktrials.suggest.algorithm import Algorithm
from sparktrials.suggest.grouping import groups_of, holds
from sparktrials.study.history import CODE
from sparktrials.study.trial import TrialState


@dataclass(frozen=True, slots=True)
class Settings:
    n_startup_jobs: int = 20
    n_EI_candidates: int = 24
    gamma: float = 1.0
    prior_weight: float = 1.0
    verbose: bool = True
    # experimental
    split: str = "sqrt"
    cap: int = 25
    gw: str = "uniform"
    bw: str = "uniform"
    gband: str = "neighbour"
    bband: str = "scott"
    gexp: float = 1.0
    gdiv: float = 1.0
    gscale: float = 1.0
    bscale: float = 1.0
    bmin: float = 0.01
    lam: float = 1.0
    pend: str = "off"
    bprior: float = 1.0
    gfloor: str = "good"


def bandwidth(rule, scale, e, x, d, st, div=1.0, minb=0.01, floor=None):
    n = len(x)
    if rule == "neighbour":
        if floor is not None:
            return np.minimum(parzen.neighbour_bandwidths(x, None, floor) * scale, 1.0)
        return np.minimum(parzen.neighbour_bandwidths(x, None, 1 / (div*min(100.0, (2.0 + n) ** e))) * scale, 1.0)
    if rule == "scott":
        sd = x.std(axis=0) if n > 1 else np.full(x.shape[1], 0.2887)
        return np.clip(scale * sd * max(n, 1) ** (-1 / (d + 4)), minb, 1.0)[None]
    if rule == "const":
        return np.full((1, x.shape[1]), scale * 0.2 * max(n, 1) ** (-1 / (d + 4)))
    raise ValueError


def fit(group, S, C, good, bad, st):
    axes = group.axes
    d = len(group.columns)
    out = []
    for idx, w, rule, scale, which in (
        (good, st.gw, st.gband, st.gscale, 0),
        (bad, st.bw, st.bband, st.bscale, 1),
    ):
        Sx, Cx = S[idx], C[idx]
        n = len(idx)
        ords = [np.zeros(n) if e is None else ((e[1:] + e[:-1]) / 2)[Cx[:, j]] for j, e in enumerate(axes.edges)]
        x = np.concatenate([Sx, np.stack(ords, 1)], axis=1) if ords else Sx
        h = bandwidth(rule, scale, st.gexp, x, d, st, st.gdiv, 0.01 if which == 0 else st.bmin, eval(st.gfloor[1:], dict(N=len(S), n=n, d=d)) if which==0 and st.gfloor[0]=="=" else None) if n else np.ones((1, d))
        if w == "uniform":
            weights = np.ones(n)
        elif w == "rank":
            weights = np.log(n + 1) - np.log(np.arange(1, n + 1))
            weights *= n / weights.sum() if n else 1
        elif w.startswith("pow"):
            weights = np.arange(1, n + 1.0) ** -float(w[3:])
            weights *= n / weights.sum() if n else 1
        elif w == "lin":
            weights = np.arange(n, 0, -1.0)
            weights *= n / weights.sum() if n else 1
        elif w == "forget":
            weights = np.ones(n) if n < 25 else np.concatenate([np.linspace(1 / n, 1, n - 25), np.ones(25)])
        lam = st.lam / (n + 1)
        out.append(parzen.mixture_of(axes, Sx, Cx, h, weights, st.prior_weight*(1 if which==0 else st.bprior), lam))
    return out


def n_good(n, st):
    if st.split == "sqrt":
        return min(math.ceil(st.gamma * math.sqrt(n)), st.cap)
    return min(math.ceil(st.gamma * n), st.cap)


def propose(space, history, n, context, settings):
    st = settings
    codec = history.codec
    states = history.states
    fin = np.isin(states, [CODE[TrialState.OK], CODE[TrialState.FAILED], CODE[TrialState.PRUNED]])
    if fin.sum() < st.n_startup_jobs:
        return rand.propose(space, history, n, context, None)
    pend = np.isin(states, [CODE[TrialState.NEW], CODE[TrialState.RUNNING]])
    X, losses = history.X[fin], history.losses[fin]
    Xp = history.X[pend]
    group = groups_of(codec)[0]
    S, C = group.scaled(X), group.codes(X)
    order = np.argsort(losses, kind="stable")
    k = n_good(len(X), st)
    k = min(k, int(np.isfinite(losses).sum()))
    good, bad = order[:k], np.sort(order[k:])
    gm, bm = fit(group, S, C, good, bad, st)
    m = st.n_EI_candidates
    rows = np.full((n, len(codec)), np.nan)
    U = np.concatenate([context.rng(i).random((m, 1 + len(group.columns))) for i in context.ids[:n]])
    cS, cC = parzen.sample(gm, U)
    cS = group.settle(cS)
    lg = parzen.log_density(gm, cS, cC)
    lb = parzen.log_density(bm, cS, cC, np.float32)
    pS, pC = group.scaled(Xp), group.codes(Xp)
    P = len(pS)
    seen = np.concatenate([C, pC]) if not len(group.smooth) else None
    h = None
    if st.pend != "off":
        nb = len(bad) + 1
        if st.pend.startswith("liar"):
            w = float(st.pend[4:] or 1)
            extra = np.zeros(len(cS))
            ctot = 0.0
            def add(sp, cp):
                nonlocal ctot
                one = parzen.mixture_of(group.axes, sp[None], cp[None], bm_h, np.ones(1), 0.0, st.lam / nb)
                extra[:] += w * np.exp(parzen.kernel_logs(one, cS, cC)[:, 0])
                ctot += w
        elif st.pend.startswith("soft"):
            w = float(st.pend[4:] or 1)
            add = None
        bm_h = np.concatenate([bm.scales[:1], np.full((1, len(group.coded)), .1)], axis=1)
        if st.pend.startswith("pen"):
            a, b = map(float, st.pend[3:].split(","))
            pen = np.zeros(len(cS))
            hh = b * np.median(gm.scales, axis=0)
            def add(sp, cp):
                d2 = (((cS - sp) / hh) ** 2).sum(axis=1) + (cC != cp).sum(1) * 4
                pen[:] += np.log1p(-a * np.exp(-0.5 * d2))
        for sp, cp in zip(pS, pC):
            add(sp, cp)
    for r in range(n):
        sl = slice(r * m, (r + 1) * m)
        sc = lg[sl] - lb[sl]
        if st.pend.startswith("liar"):
            nb = len(bad) + 1
            sc = lg[sl] - (np.log(np.exp(lb[sl].astype(float)) * nb + extra[sl]) - np.log(nb + ctot))
        elif st.pend.startswith("pen"):
            sc = sc + pen[sl]
        if seen is not None:
            dup = (cC[sl][:, None, :] == seen[None]).all(2).any(1)
            if not dup.all():
                sc = np.where(dup, -np.inf, sc)
            else:
                UU = context.rng(context.ids[r] + 10**6).random((256, 1 + len(group.columns)))
                UU[:, 0] = 1 - 1e-12
                _, c2 = parzen.sample(gm, UU)
                dup = (c2[:, None, :] == seen[None]).all(2).any(1)
                i = int(np.argmin(dup))
                cC[sl.start] = c2[i]
                sc = np.full(m, -1.0); sc[0] = 0
        b = sl.start + int(np.argmax(sc))
        group.fill(rows[r : r + 1], cS[b : b + 1], cC[b : b + 1])
        if st.pend != "off" and r + 1 < n:
            add(cS[b], cC[b])
        if seen is not None:
            seen = np.concatenate([seen, cC[b : b + 1]])
    return codec.decode(rows)


suggest = Algorithm("tpe", propose, Settings)
