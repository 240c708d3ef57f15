/** Runs that are kept, signatures of versions, canaries, and which version served which image. */
export const serving = `
ALTER TABLE runs ADD COLUMN kept INTEGER NOT NULL DEFAULT 0 CHECK (kept IN (0, 1));
`;
