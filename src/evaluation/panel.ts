import { encodePng, type RasterImage } from '../raster/image.js';

const GAP = 4;
const WHITE = 255;

/**
 * One picture of several, in rows and columns of equal cells, 8-bit RGB. A picture smaller than the others of its
 * row is enlarged by repeating its pixels, so that a low-resolution one shows what it is.
 */
export async function panelPng(rows: RasterImage[][]): Promise<Uint8Array> {
  const width = Math.max(...rows.flat().map((picture) => picture.width));
  const height = Math.max(...rows.flat().map((picture) => picture.height));
  const columns = Math.max(...rows.map((row) => row.length));
  const panel: RasterImage = {
    width: columns * (width + GAP) - GAP,
    height: rows.length * (height + GAP) - GAP,
    bands: 3,
    data: new Uint8Array(0),
  };
  panel.data = new Uint8Array(panel.width * panel.height * 3).fill(WHITE);
  rows.forEach((row, rowIndex) => {
    const full = Math.max(...row.map((picture) => picture.width));
    row.forEach((picture, column) => {
      const repeat = Math.max(1, Math.round(full / picture.width));
      place(panel, picture, repeat, column * (width + GAP), rowIndex * (height + GAP));
    });
  });
  return encodePng(panel);
}

function place(panel: RasterImage, picture: RasterImage, repeat: number, left: number, top: number): void {
  for (let y = 0; y < picture.height * repeat; y++) {
    for (let x = 0; x < picture.width * repeat; x++) {
      const from = (Math.floor(y / repeat) * picture.width + Math.floor(x / repeat)) * 3;
      const to = ((top + y) * panel.width + left + x) * 3;
      for (let band = 0; band < 3; band++) panel.data[to + band] = picture.data[from + band]!;
    }
  }
}
