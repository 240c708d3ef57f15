/** A process of its own: what one device can do, as one line of JSON on stdout. Arguments: engine, device. */
import { answer } from '../compute/own-process.js';
import type { DeviceChoice, EngineChoice } from '../compute/select.js';
import { selectEngine } from '../compute/select.js';
import { checkGolden } from './golden.js';
import { measureSpeed } from './speed.js';

const [engineChoice, device] = process.argv.slice(2) as [EngineChoice, DeviceChoice];
const { engine } = await selectEngine({ engine: engineChoice, device });
const golden = await checkGolden(engine);
// A device that fails at the stored work is not worth timing.
answer({ golden, speed: golden.passed ? await measureSpeed(engine).catch(() => null) : null });
