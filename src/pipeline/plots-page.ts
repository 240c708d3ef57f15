import { escapeText } from '../charts/escape.js';

export interface PagePicture {
  label: string;
  /** `data:` with the picture itself. */
  uri: string;
}

export interface PageSection {
  path: string;
  /** Undefined for a file that the pipeline names beside its stages. */
  stage: string | undefined;
  description: string | undefined;
  /** SVG. */
  charts: string[];
  pictures: PagePicture[];
}

export interface PageMetric {
  path: string;
  key: string;
  /** For each version; undefined where it has none. */
  values: unknown[];
}

export interface Page {
  /** Of the versions. */
  labels: readonly string[];
  metrics: readonly PageMetric[];
  sections: readonly PageSection[];
  notDrawn: readonly { path: string; why: string }[];
}

const STYLE = `
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #202124; background: #fff;
  font: 15px/1.45 system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .3rem; }
.from { color: #5f6368; margin: 0 0 .6rem; }
table { border-collapse: collapse; } th, td { padding: .25rem .9rem .25rem 0; text-align: left; }
th { border-bottom: 1px solid #80868b; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
svg { max-width: 100%; height: auto; } figure { margin: 0; } img { max-width: 100%; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; } .pictures figure { flex: 1 1 20rem; }`;

/** One HTML file, which needs no other and runs no script. Whatever comes from the project's files is escaped. */
export function drawPage({ labels, metrics, sections, notDrawn }: Page): string {
  const title = labels.length === 1 ? 'Plots' : `Plots: ${labels.join(', ')}`;
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">`,
    `<title>${escapeText(title)}</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    `<h1>${escapeText(title)}</h1>`,
    ...metricsTable(labels, metrics),
    ...sections.flatMap(drawSection),
    ...list(notDrawn),
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

function metricsTable(labels: readonly string[], metrics: readonly PageMetric[]): string[] {
  if (metrics.length === 0) return [];
  const heading = ['file', 'metric', ...labels].map((cell) => `<th>${escapeText(cell)}</th>`);
  const rows = metrics.map(({ path, key, values }) => {
    const cells = values.map((value) => `<td class="number">${escapeText(showCell(value))}</td>`);
    return `<tr><td>${escapeText(path)}</td><td>${escapeText(key)}</td>${cells.join('')}</tr>`;
  });
  return ['<h2>Metrics</h2>', '<table>', `<tr>${heading.join('')}</tr>`, ...rows, '</table>'];
}

function showCell(value: unknown): string {
  if (value === undefined) return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function drawSection({ path, stage, description, charts, pictures }: PageSection): string[] {
  const from = [stage === undefined ? [] : `stage ${stage}`, description ?? []].flat().join(': ');
  return [
    '<section>',
    `<h2>${escapeText(path)}</h2>`,
    `<p class="from">${escapeText(from)}</p>`,
    ...charts.map((svg) => `<figure>\n${svg}</figure>`),
    ...(pictures.length === 0
      ? []
      : ['<div class="pictures">', ...pictures.map((one) => picture(path, one)), '</div>']),
    '</section>',
  ];
}

function picture(path: string, { label, uri }: PagePicture): string {
  const text = escapeText(`${path} of ${label}`);
  return `<figure><img src="${escapeText(uri)}" alt="${text}"><figcaption>${escapeText(label)}</figcaption></figure>`;
}

function list(notDrawn: Page['notDrawn']): string[] {
  if (notDrawn.length === 0) return [];
  const items = notDrawn.map(({ path, why }) => `<li>${escapeText(`${path}: ${why}`)}</li>`);
  return ['<h2>Not drawn</h2>', '<ul>', ...items, '</ul>'];
}
