/** A value of a params or metrics file in a table; `-` where it is not there. */
export function showValue(value: unknown): string {
  if (value === undefined) return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A change with its sign. */
export function showChange(value: number | undefined): string {
  if (value === undefined) return '-';
  return value > 0 ? `+${value}` : String(value);
}
