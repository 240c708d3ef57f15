const UNITS = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/**
 * Bytes: a number, or one with a unit, such as "20 GB" or "512MiB".
 * @returns undefined for another text
 */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kKMGT]i?B|B)?$/.exec(text.trim());
  const unit = UNITS[(match?.[2] ?? 'B') as keyof typeof UNITS];
  return match === null || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

/** As people read it: "1.5 MB". */
export function formatBytes(bytes: number): string {
  const unit = (['TB', 'GB', 'MB', 'kB'] as const).find((name) => bytes >= UNITS[name]);
  return unit === undefined ? `${bytes} B` : `${(bytes / UNITS[unit]).toFixed(1)} ${unit}`;
}
