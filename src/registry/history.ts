import { HndsrError } from '../errors.js';
import { findVersion, type VersionName } from '../store/find-version.js';
import { eventsOf, type VersionEvent, versionsInStageAt } from '../store/version-events.js';
import { withStore } from './versions.js';

/** What happened to all versions or to one, the oldest event first. @throws HndsrError VERSION_MISSING */
export function history(cwd: string, name?: VersionName): VersionEvent[] {
  return withStore(cwd, (store) =>
    eventsOf(store, name === undefined ? undefined : findVersion(store, name).version),
  );
}

/**
 * The versions that were in a stage at a moment, each by the event that had brought it there.
 * @param at ISO 8601; a moment without a zone is local time, as everywhere in JavaScript
 * @throws HndsrError USAGE
 */
export function whoWas(cwd: string, stage: string, at: string): VersionEvent[] {
  const moment = new Date(at);
  if (Number.isNaN(moment.getTime())) {
    throw new HndsrError('USAGE', `--at ${at}: is not a date`, {
      hint: 'For example: --at 2026-03-01T12:00Z',
    });
  }
  return withStore(cwd, (store) => versionsInStageAt(store, stage, moment.toISOString()));
}
