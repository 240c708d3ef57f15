import type { LowScene } from '../models/scene-pass.js';
import type { Span } from '../raster/resample.js';
import type { UnitScene } from '../raster/unit-scene.js';

/**
 * The rows of a scene, or some columns of them, as they are needed from the top down: read once, many at a time, and
 * kept until they are released.
 */
export class UnitRows implements LowScene {
  readonly width: number;
  readonly height: number;
  readonly groups: number;
  /** Of each group, rows from `begin` on. */
  private kept: Float32Array[];
  private begin = 0;
  private end = 0;
  private readonly rowLength: number;
  private reading: Promise<void> = Promise.resolve();

  /**
   * @param columns those that are read
   * @param ahead rows that are read at once
   * @param onRead told how long a reading took
   */
  constructor(
    private readonly scene: UnitScene,
    readonly columns: Span,
    private readonly ahead: number,
    private readonly onRead: (milliseconds: number) => void = () => {},
  ) {
    this.width = scene.header.width;
    this.height = scene.header.height;
    this.groups = scene.groups.length;
    this.rowLength = (columns.end - columns.begin) * 3;
    this.kept = Array.from({ length: this.groups }, () => new Float32Array(0));
  }

  async rows(begin: number, end: number): Promise<Float32Array[]> {
    // One at a time: the pass and what comes after it may ask while the other's rows are being read.
    const read = this.reading.then(() => this.hold(begin, end));
    this.reading = read.catch(() => {});
    await read;
    const { rowLength } = this;
    return this.kept.map((rows) =>
      rows.subarray((begin - this.begin) * rowLength, (end - this.begin) * rowLength),
    );
  }

  /** Rows above `before` are not asked for again. */
  release(before: number): void {
    const gone = Math.min(before, this.end) - this.begin;
    // Moving what is left has its price.
    if (gone < this.ahead) return;
    this.kept = this.kept.map((rows) => rows.slice(gone * this.rowLength));
    this.begin += gone;
  }

  private async hold(begin: number, end: number): Promise<void> {
    if (begin < this.begin) throw new RangeError(`row ${begin} was released`);
    if (begin >= this.end) {
      this.kept = this.kept.map(() => new Float32Array(0));
      this.begin = begin;
      this.end = begin;
    }
    if (end <= this.end) return;
    const until = Math.min(this.height, Math.max(end, this.end + this.ahead));
    const began = performance.now();
    const { begin: x, end: right } = this.columns;
    const window = { x, y: this.end, width: right - x, height: until - this.end };
    const found = await this.scene.read(window);
    this.onRead(performance.now() - began);
    this.kept = this.kept.map((rows, index) => {
      const joined = new Float32Array(rows.length + found[index]!.data.length);
      joined.set(rows);
      joined.set(found[index]!.data as Float32Array, rows.length);
      return joined;
    });
    this.end = until;
  }
}
