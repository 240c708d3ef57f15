import { extname, join, relative, resolve, sep } from 'node:path';
import { writeAtomic } from '../atomic.js';
import type { ShownPlot } from '../config/shown-files.js';
import { HndsrError } from '../errors.js';
import { DATA_ENDINGS, leavesOf, parseData } from './data-file.js';
import { withPipeline } from './open-pipeline.js';
import { type Curve, drawChart } from './plot-chart.js';
import { drawConfusion, isConfusion } from './plot-confusion.js';
import { curvesOf, curvesOfFiles } from './plot-curves.js';
import { numericFields, type PlotTable, tablesOf } from './plot-tables.js';
import { drawPage, type PageMetric, type PagePicture, type PageSection } from './plots-page.js';
import type { Output, Pipeline } from './stage.js';
import { openVersion, type Version } from './version.js';

export interface PlotsOptions {
  cwd: string;
  /** The pipeline's file, relative to `cwd`; default: pipeline.yaml. Its folder is the project folder. */
  file?: string | undefined;
  /** Commits, branches or tags that are drawn beside the files as they are now. */
  revisions?: readonly string[];
  /** Folder to write into, relative to `cwd`. */
  output: string;
}

export interface Plots {
  /** The HTML page, absolute. */
  page: string;
  charts: { path: string; fields: string[]; svg: string }[];
  /** Declared files that could not be drawn, and why. */
  notDrawn: { path: string; why: string }[];
}

const IMAGES: Record<string, string> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.svg': 'image/svg+xml',
};

/** A page holds its pictures; one larger than this would make it too slow to open. */
const LARGEST_PICTURE = 8_000_000;

/** So many fields of a table are drawn when the stage does not name any. */
const MOST_FIELDS = 16;

/**
 * Draws what stages declare as plots, and the lists in what they declare as metrics: an SVG file for each chart, and a
 * page with all of them, the pictures and the metrics, for each version in another colour.
 * @throws HndsrError what `loadPipeline` and `openVersion` throw; OUTPUT_UNWRITABLE, DISK_FULL
 */
export async function drawPlots({ cwd, file, revisions = [], output }: PlotsOptions): Promise<Plots> {
  return withPipeline(cwd, file, async (pipeline) => {
    const versions: Version[] = [];
    for (const revision of [undefined, ...revisions]) versions.push(await openVersion(pipeline, revision));
    const drawing = new Drawing(pipeline, versions, resolve(cwd, output));
    return drawing.draw();
  });
}

/** A file or folder to be drawn. */
interface Declared extends Pick<Output, 'path' | 'kind'>, Partial<Pick<Output, 'plot' | 'description'>> {
  stage?: string;
}

const NO_CLASSES = 'it has no rows with the fields of `x` and `y`, or too many different values in them';

/** Whether the files of a plot are in one chart. */
function isJoint({ files, flags }: ShownPlot): boolean {
  return files.length > 1 && !isConfusion(flags.template);
}

function declaredApart({ files, flags }: ShownPlot): Declared[] {
  return files.map(({ path, x, y }) => {
    const title = files.length === 1 ? flags.title : `${flags.title}: ${path}`;
    return { path, kind: 'plots', plot: { ...flags, title, x, y } };
  });
}

class Drawing {
  private readonly charts: Plots['charts'] = [];
  private readonly notDrawn: Plots['notDrawn'] = [];
  private readonly metrics: PageMetric[] = [];
  private readonly names = new Set<string>();

  constructor(
    private readonly pipeline: Pipeline,
    private readonly versions: readonly Version[],
    private readonly folder: string,
  ) {}

  async draw(): Promise<Plots> {
    const sections: PageSection[] = [];
    for (const declared of this.declared()) {
      for (const path of await this.filesOf(declared)) {
        const section = await this.section(path, declared);
        if (section.charts.length + section.pictures.length > 0) sections.push(section);
      }
    }
    for (const plot of this.pipeline.shown.plots.filter(isJoint)) {
      const section = await this.together(plot);
      if (section.charts.length > 0) sections.push(section);
    }
    const page = join(this.folder, 'index.html');
    const labels = this.versions.map(({ label }) => label);
    await writeAtomic(page, drawPage({ labels, metrics: this.metrics, sections, notDrawn: this.notDrawn }));
    return { page, charts: this.charts, notDrawn: this.notDrawn };
  }

  /** Files of stages, and those that the pipeline names beside them: what these say of a plot goes before. */
  private declared(): Declared[] {
    const { order, shown } = this.pipeline;
    const beside: Declared[] = [
      ...shown.metrics.map((path): Declared => ({ path, kind: 'metrics' })),
      ...shown.plots.filter((plot) => !isJoint(plot)).flatMap(declaredApart),
    ];
    const joint = shown.plots.filter(isJoint).flatMap(({ files }) => files);
    const named = new Set([...beside, ...joint].map(({ path }) => path));
    const made = order.flatMap(({ name, outs }) => outs.map((out): Declared => ({ ...out, stage: name })));
    return [...made.filter(({ path, kind }) => kind !== 'outs' && !named.has(path)), ...beside];
  }

  /** What any version has of an output. */
  private async filesOf({ path, kind }: Declared): Promise<string[]> {
    const found = new Set<string>();
    for (const version of this.versions) for (const one of await version.list(path)) found.add(one);
    if (found.size === 0)
      this.notDrawn.push({ path, why: `${kind === 'plots' ? 'it' : 'the metrics file'} is not there` });
    return [...found].sort();
  }

  private async section(path: string, out: Declared): Promise<PageSection> {
    const { stage, description } = out;
    const section: PageSection = { path, stage, description, charts: [], pictures: [] };
    const ending = extname(path).toLowerCase();
    if (IMAGES[ending] !== undefined) section.pictures = await this.pictures(path, IMAGES[ending]);
    else if (DATA_ENDINGS.includes(ending)) section.charts = await this.chartsOf(path, out);
    else this.notDrawn.push({ path, why: `no picture, and none of ${DATA_ENDINGS.join(', ')}` });
    return section;
  }

  private async pictures(path: string, type: string): Promise<PagePicture[]> {
    const pictures: PagePicture[] = [];
    for (const version of this.versions) {
      const bytes = await version.read(path);
      if (bytes === undefined) continue;
      if (bytes.length > LARGEST_PICTURE)
        this.notDrawn.push({ path, why: `larger than ${LARGEST_PICTURE} bytes` });
      else pictures.push({ label: version.label, uri: `data:${type};base64,${bytes.toString('base64')}` });
    }
    return pictures;
  }

  private async chartsOf(path: string, out: Declared): Promise<string[]> {
    const flags = out.plot ?? { header: true };
    const tables: { label: string; table: PlotTable }[] = [];
    const values: (ReadonlyMap<string, unknown> | undefined)[] = [];
    for (const version of this.versions) {
      const bytes = await version.read(path);
      const value = bytes === undefined ? undefined : this.parse(bytes, path, version, flags.header);
      values.push(value === undefined ? undefined : leavesOf(value, { lists: false }));
      for (const table of tablesOf(value)) tables.push({ label: version.label, table });
    }
    if (out.kind === 'metrics') this.addMetrics(path, values);
    const charts: string[] = [];
    for (const key of new Set(tables.map(({ table }) => table.key))) {
      const versions = tables.filter(({ table }) => table.key === key);
      if (isConfusion(flags.template)) {
        charts.push(...(await this.confusions(path, versions, flags)));
        continue;
      }
      for (const fields of this.fieldsOf(
        path,
        versions.map(({ table }) => table),
        flags,
      )) {
        const title = [flags.title ?? path, key, flags.y === undefined ? fields[0] : '']
          .filter(Boolean)
          .join(': ');
        const curves = curvesOf(versions, fields, flags.x);
        const svg = drawChart({ title, curves, flags });
        if (svg === undefined) continue;
        charts.push(svg);
        await this.write(path, key, fields, svg);
      }
    }
    if (charts.length === 0 && out.kind === 'plots')
      this.notDrawn.push({
        path,
        why: isConfusion(flags.template) ? NO_CLASSES : 'it has no list of numbers',
      });
    return charts;
  }

  /** Each version has a picture of its own. */
  private async confusions(
    path: string,
    versions: readonly { label: string; table: PlotTable }[],
    flags: NonNullable<Output['plot']>,
  ): Promise<string[]> {
    const { x, y = [] } = flags;
    const charts: string[] = [];
    for (const { label, table } of versions) {
      for (const field of x === undefined ? [] : y) {
        const title = [flags.title ?? path, this.versions.length === 1 ? '' : label]
          .filter(Boolean)
          .join(': ');
        const svg = drawConfusion({ title, rows: table.rows, x: x!, y: field, flags });
        if (svg === undefined) continue;
        charts.push(svg);
        await this.write(path, table.key, [x!, field], svg);
      }
    }
    return charts;
  }

  /** One chart of several files. */
  private async together(plot: ShownPlot): Promise<PageSection> {
    const { name, files, flags } = plot;
    for (const { path } of files) await this.filesOf({ path, kind: 'plots' });
    const curves: Curve[] = [];
    for (const version of this.versions) {
      const label = this.versions.length === 1 ? undefined : version.label;
      const read = async (path: string): Promise<unknown> => {
        const bytes = await version.read(path);
        return bytes && this.parse(bytes, path, version, flags.header);
      };
      curves.push(...(await curvesOfFiles(plot, label, read)));
    }
    const svg = drawChart({ title: flags.title ?? name, curves, flags });
    const fields = [...new Set(curves.map(({ field }) => field))];
    if (svg === undefined) this.notDrawn.push({ path: name, why: 'its files have no list of numbers' });
    else await this.write(name, '', fields, svg);
    return {
      path: name,
      stage: undefined,
      description: files.map(({ path }) => path).join(', '),
      charts: svg === undefined ? [] : [svg],
      pictures: [],
    };
  }

  /** What one file has wrong keeps no other from being drawn. */
  private parse(bytes: Buffer, path: string, { label }: Version, header: boolean): unknown {
    try {
      return parseData(bytes, path, header);
    } catch (error) {
      if (!(error instanceof HndsrError)) throw error;
      this.notDrawn.push({ path, why: `${error.message} (${label})` });
      return undefined;
    }
  }

  /** Of each chart, the fields that it shows: those that `y` names together, or else each alone. */
  private fieldsOf(
    path: string,
    tables: readonly PlotTable[],
    flags: NonNullable<Output['plot']>,
  ): string[][] {
    if (flags.y !== undefined) return [flags.y];
    const all = [...new Set(tables.flatMap(({ rows }) => numericFields(rows)))].filter(
      (field) => field !== flags.x,
    );
    if (all.length > MOST_FIELDS) {
      this.notDrawn.push({
        path,
        why: `${all.length - MOST_FIELDS} more fields: name those to draw with \`y\``,
      });
    }
    return all.slice(0, MOST_FIELDS).map((field) => [field]);
  }

  private async write(path: string, key: string, fields: readonly string[], svg: string): Promise<void> {
    const safe = [path, key, ...fields]
      .filter(Boolean)
      .join('-')
      .replaceAll(/[^\w.-]+/g, '-')
      .replace(/^[.-]+/, '')
      .slice(0, 120);
    let name = `${safe}.svg`;
    for (let count = 2; this.names.has(name); count++) name = `${safe}-${count}.svg`;
    this.names.add(name);
    const file = join(this.folder, name);
    await writeAtomic(file, svg);
    const below = relative(this.pipeline.cwd, file).split(sep).join('/');
    this.charts.push({ path, fields: [...fields], svg: below });
  }

  private addMetrics(path: string, values: readonly (ReadonlyMap<string, unknown> | undefined)[]): void {
    const keys = new Set(values.flatMap((one) => [...(one?.keys() ?? [])]));
    for (const key of keys) this.metrics.push({ path, key, values: values.map((one) => one?.get(key)) });
  }
}
