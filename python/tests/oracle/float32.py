"""float32 arithmetic that NumPy does not have."""
import numpy as np


def fma32(a, b, c):
    """a·b + c of float32 arrays, rounded once.

    The product is exact in float64. The sum is rounded to odd there, which makes the second
    rounding, to float32, harmless (Boldo and Melquiond 2008).
    """
    with np.errstate(all="ignore"):
        p = np.asarray(a, np.float64) * np.asarray(b, np.float64)
        p, c = np.broadcast_arrays(p, np.asarray(c, np.float64))
        total = np.asarray(p + c)
        back = total - p
        error = (p - (total - back)) + (c - back)  # two-sum: exactly what the sum has lost
        bits = total.view(np.int64)
        to_odd = np.isfinite(total) & (error != 0) & (bits & 1 == 0)
        away = (error > 0) == (total > 0)
        bits = np.where(to_odd, bits + np.where(away, 1, -1), bits)
        return bits.view(np.float64).astype(np.float32)


def chain(x, w, fused=True):
    """x[batch, in]·w[out, in]ᵀ, one chain over ascending k (section 4).

    `fused=False`: product and sum are rounded separately, as a machine without FMA does.
    """
    sums = np.zeros((x.shape[0], w.shape[0]), np.float32)
    with np.errstate(all="ignore"):
        for k in range(x.shape[1]):
            a, b = x[:, k, None], w[None, :, k]
            sums = fma32(a, b, sums) if fused else a * b + sums
    return sums
