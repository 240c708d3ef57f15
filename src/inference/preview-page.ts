import { createHash } from 'node:crypto';

export interface PreviewPage {
  /** PNG files of one size. */
  before: Uint8Array;
  after: Uint8Array;
  width: number;
  height: number;
  title: string;
  facts: Readonly<Record<string, string>>;
}

const STYLE = `
body { margin: 0; padding: 16px; background: #1b1b1b; color: #ddd; font: 14px/1.5 system-ui, sans-serif }
h1 { margin: 0 0 12px; font-size: 18px; overflow-wrap: anywhere }
figure { position: relative; display: inline-block; margin: 0; max-width: 100%; --split: 50% }
figure img { display: block; max-width: 100%; height: auto }
figure img + img { position: absolute; top: 0; left: 0; clip-path: inset(0 0 0 var(--split)) }
figure hr { position: absolute; inset: 0 auto 0 var(--split); margin: 0 0 0 -1px; border: 0; width: 2px; background: #fff; pointer-events: none }
figure b { position: absolute; bottom: 8px; padding: 2px 8px; background: #000a; border-radius: 4px; font-weight: 600; pointer-events: none }
figure b:first-of-type { left: 8px }
figure b:last-of-type { right: 8px }
figure input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize }
figure:focus-within { outline: 2px solid #6af; outline-offset: 2px }
table { margin-top: 12px; border-collapse: collapse }
th { padding-right: 16px; text-align: left; font-weight: 400; color: #999 }
td { overflow-wrap: anywhere }
`;

/** The place of the divider may be given in the address, as page.html#20, in percent from the left. */
const SCRIPT = `
const figure = document.querySelector('figure');
const slider = document.querySelector('input');
const show = () => figure.style.setProperty('--split', slider.value + '%');
const read = () => {
  const asked = Number(location.hash.slice(1));
  if (location.hash.length > 1 && asked >= 0 && asked <= 100) slider.value = String(asked);
  show();
};
slider.addEventListener('input', show);
addEventListener('hashchange', read);
read();
`;

/** A page with a slider between two pictures: one file, which asks for nothing from anywhere. */
export function previewPage({ before, after, width, height, title, facts }: PreviewPage): string {
  const policy = [
    "default-src 'none'",
    'img-src data:',
    `style-src '${hashOf(STYLE)}'`,
    `script-src '${hashOf(SCRIPT)}'`,
  ].join('; ');
  const image = (bytes: Uint8Array, text: string): string =>
    `<img width="${width}" height="${height}" alt="${text}" src="data:image/png;base64,${Buffer.from(bytes).toString('base64')}">`;
  const rows = Object.entries(facts).map(
    ([name, value]) => `<tr><th>${html(name)}</th><td>${html(value)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width">
<title>${html(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${html(title)}</h1>
<figure>
${image(before, 'before')}
${image(after, 'after')}
<hr>
<b>before (bicubic)</b><b>after</b>
<input type="range" min="0" max="100" step="0.1" value="50" aria-label="how much of the picture before is shown, from the left">
</figure>
<table>${rows.join('')}</table>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function html(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
