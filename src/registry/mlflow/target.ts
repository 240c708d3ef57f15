/** What takes MLflow's requests: a tracking server, or a folder. */
export interface MlflowTarget {
  /**
   * @param path after /api/2.0/mlflow/
   * @returns what the server answers; in a folder, where ids that a server would give stand as `{{name}}`
   */
  post(path: string, body: object): Promise<Record<string, unknown>>;
  /** Finds an experiment that is there already. */
  experiment(name: string): Promise<string>;
  /**
   * Puts a file among a run's artifacts.
   * @returns false if the server keeps artifacts where this cannot put them
   */
  upload(artifactUri: string, name: string, file: string): Promise<boolean>;
}

/** A name that is taken is no failure where it was to be made sure of. */
export class AlreadyExists extends Error {}
