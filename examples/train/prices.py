"""Synthetic market data: price paths that switch between falling, flat and rising regimes, and indicators over them."""
import numpy as np

DRIFT = (-0.0090, 0.0, 0.0095)
VOLATILITY = (0.013, 0.006, 0.011)
FLAT = 1
SWITCH_CHANCE = 0.02
START_LEVELS = (40, 150, 2500, 45000)  # from a small coin to bitcoin: the model must not depend on the unit of the price
WARMUP_BARS = 33  # until MACD(12,26) has settled
HORIZON_BARS = 5
HOLD_BAND = 0.012


def walk(rng, start, bars):
    """Close and volume of one path: geometric Brownian motion, volume rising with the size of the move."""
    close, volume = np.empty(bars), np.empty(bars)
    price, regime = start, FLAT
    for bar in range(bars):
        if rng.random() < SWITCH_CHANCE:
            regime = rng.integers(len(DRIFT))
        shock = rng.standard_normal()
        sigma = VOLATILITY[regime]
        price *= np.exp(DRIFT[regime] - sigma**2 / 2 + sigma * shock)
        close[bar] = price
        volume[bar] = 1e6 * np.exp(0.35 * rng.standard_normal() + 0.4 * abs(shock) + 0.2 * (regime != FLAT))
    return close, volume


def relative_strength(close, period=14):
    """Wilder's RSI: a simple mean of the first gains and losses, then smoothing by 1/period."""
    moves = np.diff(close)
    gains, losses = np.where(moves > 0, moves, 0.0), np.where(moves < 0, -moves, 0.0)
    result = np.full(len(close), np.nan)
    gain, loss = gains[:period].mean(), losses[:period].mean()
    for bar in range(period, len(close)):
        if bar > period:
            gain = (gain * (period - 1) + gains[bar - 1]) / period
            loss = (loss * (period - 1) + losses[bar - 1]) / period
        result[bar] = 100 * gain / (gain + loss) if gain + loss else 50
    return result


def exponential_mean(values, period, seed_bar):
    """Starts at `seed_bar` with the simple mean of the `period` values up to it."""
    weight = 2 / (period + 1)
    result = np.full(len(values), np.nan)
    result[seed_bar] = values[seed_bar - period + 1 : seed_bar + 1].mean()
    for bar in range(seed_bar + 1, len(values)):
        result[bar] = result[bar - 1] + weight * (values[bar] - result[bar - 1])
    return result


def convergence(close, fast=12, slow=26):
    """MACD: both means start on the same bar."""
    return exponential_mean(close, fast, slow - 1) - exponential_mean(close, slow, slow - 1)


def signal(close):
    """What a trader with five bars of foresight would have done: 0 sell, 1 hold, 2 buy."""
    change = close[HORIZON_BARS:] / close[:-HORIZON_BARS] - 1
    return 1 + (change > HOLD_BAND).astype(int) - (change < -HOLD_BAND).astype(int)


def dataset(seed, paths, bars=400):
    """One (features, labels) pair a path, so that training and test never share one; features are float32, as requests are."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(paths):
        close, volume = walk(rng, rng.choice(START_LEVELS) * rng.uniform(0.7, 1.4), bars)
        table = np.column_stack([close, volume, relative_strength(close), convergence(close)])
        pairs.append((table[WARMUP_BARS:-HORIZON_BARS].astype(np.float32), signal(close)[WARMUP_BARS:]))
    return pairs
