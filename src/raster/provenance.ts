/** How an image was made, kept inside the file: as a TIFF tag, a text of a PNG file, or XMP. */
export interface Provenance {
  /** Of hndsr. */
  toolVersion: string;
  model: {
    /** Of the registry. */
    version: number;
    /** SHA-256 of each of the model's files, by their role. */
    files: Readonly<Record<string, string>>;
  };
  /** All that the picture depends on besides: scale, steps, strength, eta, seed, ensemble and so on. */
  settings: Readonly<Record<string, string | number | boolean | null | readonly number[]>>;
  input: { name: string; sha256: string };
}
