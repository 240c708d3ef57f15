import { setFlagsFromString } from 'node:v8';

/** The hot loops are WebAssembly; of what is around them, optimising took a quarter of a run of 240 tiles. */
const OPTIMISE_AFTER = 400_000;
/** Of what is in use after a collection; V8's own choice is up to 300. */
const GARBAGE_PERCENT = 30;

/**
 * Suits V8 to the ETL, in all threads that start later: functions run for three times the default before they are
 * optimised (V8 from 12 on, in Node 22, has a quick compiler in between and no such flag), and the heap grows by little
 * before it is collected, so that memory follows what is held and not how many images there are.
 */
export function tuneV8(): void {
  if (Number.parseInt(process.versions.v8, 10) < 12)
    setFlagsFromString(`--interrupt-budget=${OPTIMISE_AFTER}`);
  setFlagsFromString(`--heap-growing-percent=${GARBAGE_PERCENT}`);
}
