import type { CanaryRules } from '../config/canary.js';
import type { Evidence } from './canary-evidence.js';
import type { Interval } from './interval.js';

export interface CanaryVerdict {
  /** `worse`: roll it back; `wait`: more images are needed; `go`: its share may be raised. */
  decision: 'worse' | 'wait' | 'go';
  /** What each comparison found, in words. */
  findings: string[];
}

/** An interval of fewer images than this says nothing. */
const FEWEST = 10;

/**
 * A canary is worse if, with 95 % confidence, it is so by more than is allowed: the whole interval of the difference
 * lies beyond. That is said from ten images on each side; a share is raised once there are as many as the rules want
 * and nothing is worse.
 */
export function judgeCanary(evidence: Evidence, rules: CanaryRules): CanaryVerdict {
  const { canary, production, imagesAtShare, differences, productionSecondsPerMegapixel } = evidence;
  const missing = [
    ...shortfall('canary at this share', imagesAtShare, rules.min_images),
    ...shortfall('production', production.images, rules.min_images),
  ];
  const enough = Math.min(canary.images, production.images) >= Math.min(FEWEST, rules.min_images);
  const slower =
    productionSecondsPerMegapixel === null ? 0 : (rules.max_slowdown - 1) * productionSecondsPerMegapixel;
  const { failures, consistency, secondsPerMegapixel } = differences;
  const comparisons = [
    compare('failures', failures, 100, '%', ({ low }) => low > rules.max_failures),
    compare('consistency', consistency, 1, 'dB', ({ high }) => high < -rules.max_consistency_loss),
    compare('time', secondsPerMegapixel, 1, 's/Mpx', ({ low }) => low > slower),
  ];
  const worse = enough && comparisons.some((one) => one.worse);
  const findings = comparisons.flatMap(({ text, worse: is }) =>
    text === null ? [] : is && enough ? `WORSE ${text}` : text,
  );
  if (worse) return { decision: 'worse', findings };
  return { decision: missing.length > 0 ? 'wait' : 'go', findings: [...missing, ...findings] };
}

function shortfall(who: string, images: number, wanted: number): string[] {
  return images >= wanted ? [] : [`${who} has ${images} of ${wanted} images`];
}

function compare(
  name: string,
  interval: Interval | null,
  factor: number,
  unit: string,
  isWorse: (interval: Interval) => boolean,
): { worse: boolean; text: string | null } {
  if (interval === null) return { worse: false, text: null };
  return { worse: isWorse(interval), text: `${name} ${intervalText(interval, factor)} ${unit}` };
}

/** For example `+0.12 (95 %: -0.05 to +0.31)`. */
export function intervalText({ mean, low, high }: Interval, factor = 1): string {
  const number = (value: number): string => `${value < 0 ? '' : '+'}${(factor * value).toFixed(3)}`;
  return `${number(mean)} (95 %: ${number(low)} to ${number(high)})`;
}
