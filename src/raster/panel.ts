import type { Size } from './degrade.js';
import { type ByteImage, encodePng } from './image.js';

const GAP = 4;
const WHITE = 255;

/**
 * One picture of several, in rows and columns of equal cells, 8-bit RGB. A picture smaller than the others of its
 * row is enlarged to their size by repeating its pixels, so that a low-resolution one shows what it is.
 */
export async function panelPng(rows: ByteImage[][]): Promise<Uint8Array> {
  const width = Math.max(...rows.flat().map((picture) => picture.width));
  const height = Math.max(...rows.flat().map((picture) => picture.height));
  const columns = Math.max(...rows.map((row) => row.length));
  const panel: ByteImage = {
    width: columns * (width + GAP) - GAP,
    height: rows.length * (height + GAP) - GAP,
    bands: 3,
    data: new Uint8Array(0),
  };
  panel.data = new Uint8Array(panel.width * panel.height * 3).fill(WHITE);
  rows.forEach((row, rowIndex) => {
    const cell = {
      width: Math.max(...row.map((picture) => picture.width)),
      height: Math.max(...row.map((picture) => picture.height)),
    };
    row.forEach((picture, column) => {
      place(panel, picture, cell, column * (width + GAP), rowIndex * (height + GAP));
    });
  });
  return encodePng(panel);
}

function place(panel: ByteImage, picture: ByteImage, cell: Size, left: number, top: number): void {
  for (let y = 0; y < cell.height; y++) {
    const row = Math.floor(((y + 0.5) * picture.height) / cell.height);
    for (let x = 0; x < cell.width; x++) {
      const from = (row * picture.width + Math.floor(((x + 0.5) * picture.width) / cell.width)) * 3;
      const to = ((top + y) * panel.width + left + x) * 3;
      for (let band = 0; band < 3; band++) panel.data[to + band] = picture.data[from + band]!;
    }
  }
}
