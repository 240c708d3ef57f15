/** Where values lie between the ends of an axis, and where its ticks are. */
export interface Axis {
  kind: 'linear' | 'log';
  low: number;
  high: number;
  ticks: { value: number; label: string }[];
  /** 0 at `low`, 1 at `high`. */
  position(value: number): number;
}

/** From this ratio of the largest to the smallest value on, what is small could not be told apart on a linear axis. */
const LOG_RATIO = 20;

/** Smaller than any number that a network computes with (float32 ends at 1e-45): as good as nothing. */
const NOTHING = 1e-100;

/** Mantissas of a logarithmic axis' ticks, from the closest to the widest. */
const MANTISSAS = [[1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]];

/** An axis for values from `low` to `high`: logarithmic where all are positive and span more than a decade or so. */
export function valueAxis(low: number, high: number, ticks: number): Axis {
  if (low > NOTHING && high / low >= LOG_RATIO) return logAxis(low, high, ticks);
  const [from, to] = apart(low, high);
  const step = niceStep((to - from) / ticks);
  return linearAxis(Math.floor(from / step) * step, Math.ceil(to / step) * step, step);
}

/** An axis for step numbers, which ends where they do. */
export function stepAxis(first: number, last: number, ticks: number): Axis {
  const [from, to] = apart(first, last);
  return linearAxis(from, to, Math.max(1, niceStep((to - from) / ticks)));
}

/** An axis for values that are not compared by their ratio, which ends where they do. */
export function linearValueAxis(low: number, high: number, ticks: number): Axis {
  const [from, to] = apart(low, high);
  return linearAxis(from, to, niceStep((to - from) / ticks));
}

/** Room on both sides of what is one value alone, as far as numbers of its size can tell. */
function apart(low: number, high: number): [number, number] {
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (size < NOTHING) return [-0.5, 0.5];
  const room = high - low > size * 1e-9 ? 0 : size * 0.1;
  return [low - room, high + room];
}

/** An axis with ticks at multiples of `step`. */
function linearAxis(from: number, to: number, step: number): Axis {
  const ticks: Axis['ticks'] = [];
  const [first, last] = [Math.ceil(from / step - 1e-6), Math.floor(to / step + 1e-6)];
  for (let multiple = first; multiple <= last; multiple++) {
    ticks.push({ value: multiple * step, label: tickLabel(multiple * step, step) });
  }
  return { kind: 'linear', low: from, high: to, ticks, position: (value) => (value - from) / (to - from) };
}

/** 1, 2 or 5 times a power of ten, the least that is not below `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const mantissa = [1, 2, 5, 10].find((one) => one * power >= least * (1 - 1e-9))!;
  return mantissa * power;
}

function logAxis(low: number, high: number, count: number): Axis {
  const room = (high / low) ** 0.04;
  const [from, to] = [low / room, high * room];
  const [first, last] = [Math.floor(Math.log10(from)), Math.ceil(Math.log10(to))];
  const within = (mantissas: number[], every: number): number[] => {
    const values: number[] = [];
    for (let power = Math.ceil(first / every) * every; power <= last; power += every) {
      // Parsed, since 5 * 10 ** -5 is not 0.00005.
      for (const mantissa of mantissas) values.push(Number(`${mantissa}e${power}`));
    }
    return values.filter((value) => value >= from && value <= to);
  };
  let values = MANTISSAS.map((mantissas) => within(mantissas, 1)).find((some) => some.length <= count + 1);
  for (let every = 2; values === undefined; every++) {
    const some = within([1], every);
    if (some.length <= count + 1) values = some;
  }
  const position = (value: number): number => Math.log(value / from) / Math.log(to / from);
  return {
    kind: 'log',
    low: from,
    high: to,
    ticks: values.map((value) => ({ value, label: tickLabel(value, value) })),
    position,
  };
}

/** A tick's value with as many decimals as its neighbours need; very large and very small ones by exponent. */
function tickLabel(value: number, step: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 1e-4 || size >= 1e7) return Number(value.toPrecision(6)).toExponential().replace('e+', 'e');
  const decimals = Math.min(8, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const [whole, fraction] = Math.abs(value).toFixed(decimals).split('.');
  const grouped = whole!.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${value < 0 ? '-' : ''}${grouped}${fraction === undefined ? '' : `.${fraction}`}`;
}
