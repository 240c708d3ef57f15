import { z } from 'zod';

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A time span in seconds (90), or with its unit ("500ms", "90s", "10m", "2h", "1d"); becomes milliseconds. */
export const duration = z
  .union([z.number().positive(), z.string().regex(/^\d+(\.\d+)?\s*(ms|s|m|h|d)$/)], {
    error: 'must be a number of seconds, or a time with its unit such as 90s, 10m or 2h',
  })
  .transform((value) => {
    if (typeof value === 'number') return value * 1000;
    const unit = /[a-z]+$/.exec(value)![0] as keyof typeof UNITS;
    return Number.parseFloat(value) * UNITS[unit];
  });
