// Hot: runs for every feature of every read that is not in a cache.

/** Rounds after which the rest is sorted: common data take one for each halving, and none takes the square of its length. */
const MAX_ROUNDS = 64;

/**
 * The value at `rank` (0 the least) of the first `count` of `values`, and after it nothing less than it: Hoare's selection, which
 * changes their order.
 */
function selectRank(values: Float64Array, count: number, rank: number): number {
  let low = 0;
  let high = count - 1;
  for (let round = 0; low < high; round++) {
    if (round === MAX_ROUNDS) {
      values.subarray(low, high + 1).sort();
      break;
    }
    const border = partition(values, low, high);
    if (rank <= border) high = border;
    else low = border + 1;
  }
  return values[rank] ?? Number.NaN;
}

/** Hoare's partition: nothing up to the place that it returns is greater than anything after it, and both sides have something. */
function partition(values: Float64Array, low: number, high: number): number {
  const pivot = middleOfThree(values[low] ?? 0, values[(low + high) >>> 1] ?? 0, values[high] ?? 0);
  let left = low;
  let right = high;
  for (;;) {
    while ((values[left] ?? pivot) < pivot) left++;
    while ((values[right] ?? pivot) > pivot) right--;
    if (left >= right) return right;
    const held = values[left] ?? 0;
    values[left++] = values[right] ?? 0;
    values[right--] = held;
  }
}

function middleOfThree(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

/** Quantile `q` of the first `count` of `values`, between two of them in proportion (Hyndman and Fan's type 7, NumPy's default). */
export function quantileOf(values: Float64Array, count: number, q: number): number {
  const place = q * (count - 1);
  const rank = Math.floor(place);
  const below = selectRank(values, count, rank);
  const share = place - rank;
  if (share === 0) return below;
  let above = Number.POSITIVE_INFINITY;
  for (let index = rank + 1; index < count; index++) {
    const value = values[index] ?? above;
    if (value < above) above = value;
  }
  return below + share * (above - below);
}
