/** Facts about an image that its list or tiles.csv gives; `columns` has all of the row, by the names of the header. */
export interface ImageFields {
  source?: string;
  /** Of the centre, in degrees. */
  latitude?: number;
  longitude?: number;
  split?: string;
  sensor?: string;
  /** ISO 8601. */
  captureDate?: string;
  columns: Readonly<Record<string, string>>;
}

/** What an input gives: one image, which may not be on this machine yet. */
export interface InputImage {
  /** Stable on every machine: relative to the input, with forward slashes. Names of tiles come from it. */
  path: string;
  /** Where it is on this machine, or will be once fetched. */
  absolute: string;
  /** Bytes. */
  size: number;
  /** Changes when the bytes do: modification time and inode of a file, ETag of an object. */
  state: string;
  fields: ImageFields;
  /** The low-resolution image that goes with it. */
  pair?: { path: string; absolute: string; size: number; state: string };
}

/** An image that was named and cannot be had. */
export interface InputReject {
  path: string;
  reason: 'unreadable' | 'pair-missing';
  /** In a form that fits behind "FILE: ". */
  detail: string;
}
