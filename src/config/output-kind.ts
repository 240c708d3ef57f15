/** The keys of a stage that list what it makes. */
export const OUTPUT_KINDS = ['outs', 'metrics', 'plots'] as const;
export type OutputKind = (typeof OUTPUT_KINDS)[number];
