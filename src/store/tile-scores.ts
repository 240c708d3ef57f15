import type { Store } from './store.js';

/** A metric of one tile, of the model and of bicubic. */
export interface TileScore {
  tile: string;
  metric: string;
  model: number;
  bicubic: number;
}

/** Call inside a transaction. */
export function insertTileScores({ database }: Store, version: number, scores: readonly TileScore[]): void {
  const insert = database.prepare(
    'INSERT INTO tile_scores (version, metric, tile, model, bicubic) VALUES (?, ?, ?, ?, ?)',
  );
  for (const { metric, tile, model, bicubic } of scores) insert.run(version, metric, tile, model, bicubic);
}

/** Every metric of every tile of a version's evaluation. */
export function allTileScoresOf({ database }: Store, version: number): TileScore[] {
  return database
    .prepare('SELECT tile, metric, model, bicubic FROM tile_scores WHERE version = ? ORDER BY metric, tile')
    .all(version) as TileScore[];
}

/** The tiles of a version's evaluation in order of id; none where the metric was not measured by tile. */
export function tileScoresOf({ database }: Store, version: number, metric: string): TileScore[] {
  return database
    .prepare(
      'SELECT tile, metric, model, bicubic FROM tile_scores WHERE version = ? AND metric = ? ORDER BY tile',
    )
    .all(version, metric) as TileScore[];
}
