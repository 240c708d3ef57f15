/**
 * Checks what the demo promises, from demo/metrics.json: the bounds stand in README. Run after `npm run demo`.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './setup.js';

const DEMO = join(ROOT, 'demo');
const { psnr, ssim, lpips, seconds } = JSON.parse(readFileSync(join(DEMO, 'metrics.json'), 'utf8'));

const began = performance.now();
const again = execFileSync(process.execPath, [join(ROOT, 'bin', 'hndsr.js'), '-C', DEMO, 'repro', '--json'], {
  encoding: 'utf8',
});
const repeat = (performance.now() - began) / 1000;

const checks = [
  [
    'the operator (strength 0) is at least 1.0 dB above bicubic',
    psnr.operator - psnr.bicubic,
    (gain) => gain >= 1,
  ],
  ['the operator beats bicubic in SSIM', ssim.operator - ssim.bicubic, (gain) => gain > 0],
  ['the model is at least 0.8 dB above bicubic', psnr.model - psnr.bicubic, (gain) => gain >= 0.8],
  ['a second repro runs no stage', JSON.parse(again).filter(({ ran }) => ran).length, (value) => value === 0],
];
if (lpips !== null) {
  checks.push(
    [
      "the model's LPIPS is below the operator's",
      lpips.model - lpips.operator,
      (difference) => difference < 0,
    ],
    ["the model's LPIPS is at most 0.65 of bicubic's", lpips.model / lpips.bicubic, (share) => share <= 0.65],
  );
}
for (const [name, value, holds] of checks) {
  console.log(`${holds(value) ? 'ok    ' : 'FAILED'}  ${name}: ${Number(value.toFixed(4))}`);
  if (!holds(value)) process.exitCode = 1;
}
// Times depend on what else the machine is doing, so they are shown and not judged.
console.log(`shown   the demo took ${seconds} s (at most 600 on 2 cores of its own)`);
console.log(`shown   the second repro took ${repeat.toFixed(2)} s (below 1)`);
