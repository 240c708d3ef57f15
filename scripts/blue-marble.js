// Cuts NASA's Blue Marble (real MODIS imagery, public domain) into tiles that keep their place on the globe:
//   node scripts/blue-marble.js OUT_DIR
// The picture comes with the development dependency `three-globe`: nothing is downloaded.
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import sharp from 'sharp';

const SIDE = 128;
/** Ocean and ice vary less than this, in 8-bit levels, and teach a model nothing. */
const MIN_STANDARD_DEVIATION = 12;
const SOURCE = 'nasa-blue-marble';
const TILE_NAME = /^(blue_marble_r\d\d_c\d\d\.png|tiles\.csv)$/;

const target = process.argv[2];
if (target === undefined || target.startsWith('-')) {
  console.error('usage: node scripts/blue-marble.js OUT_DIR');
  process.exit(2);
}
try {
  const { kept, total } = await cutTiles(resolve(target));
  console.log(`${kept} of ${total} tiles of ${SIDE} x ${SIDE} pixels in ${target}`);
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}

async function cutTiles(folder) {
  await refuseForeignFolder(folder);
  const globe = await readGlobe();
  const temporary = `${folder}.${process.pid}.tmp`;
  await mkdir(temporary, { recursive: true });
  try {
    const result = await writeTiles(globe, temporary);
    // Files of an earlier run are the only thing that can be in the way (checked above).
    await rm(folder, { recursive: true, force: true });
    await mkdir(dirname(folder), { recursive: true });
    await rename(temporary, folder);
    return result;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

async function refuseForeignFolder(folder) {
  const names = await readdir(folder).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const foreign = names.find((name) => !TILE_NAME.test(name));
  if (foreign !== undefined) {
    throw new Error(`${folder} holds other files (${foreign}): name a new or empty folder`);
  }
}

async function readGlobe() {
  const entry = createRequire(import.meta.url).resolve('three-globe');
  const picture = join(dirname(entry), '..', 'example', 'img', 'earth-blue-marble.jpg');
  const { data, info } = await sharp(picture).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

async function writeTiles(globe, folder) {
  const rows = globe.height / SIDE;
  const columns = globe.width / SIDE;
  const lines = ['path,source,latitude,longitude,row,column'];
  for (let row = 0; row < rows; row++) {
    const written = [];
    for (let column = 0; column < columns; column++) {
      const tile = cut(globe, row, column);
      if (standardDeviation(tile) <= MIN_STANDARD_DEVIATION) continue;
      const name = `blue_marble_r${pad(row)}_c${pad(column)}.png`;
      const latitude = 90 - ((row + 0.5) * 180) / rows;
      const longitude = ((column + 0.5) * 360) / columns - 180;
      lines.push([name, SOURCE, latitude, longitude, row, column].join(','));
      written.push(
        sharp(tile, { raw: { width: SIDE, height: SIDE, channels: 3 } })
          .png({ palette: false })
          .toFile(join(folder, name)),
      );
    }
    await Promise.all(written);
  }
  await writeFile(join(folder, 'tiles.csv'), `${lines.join('\n')}\n`);
  return { kept: lines.length - 1, total: rows * columns };
}

function cut(globe, row, column) {
  const tile = Buffer.alloc(SIDE * SIDE * 3);
  for (let y = 0; y < SIDE; y++) {
    const start = ((row * SIDE + y) * globe.width + column * SIDE) * 3;
    globe.data.copy(tile, y * SIDE * 3, start, start + SIDE * 3);
  }
  return tile;
}

/** Mean over the three bands: a tile of one colour varies by 0, whatever the colour. */
function standardDeviation(pixels) {
  let total = 0;
  for (let band = 0; band < 3; band++) {
    let sum = 0;
    let squares = 0;
    for (let index = band; index < pixels.length; index += 3) {
      sum += pixels[index];
      squares += pixels[index] ** 2;
    }
    const mean = (sum * 3) / pixels.length;
    total += Math.sqrt(Math.max((squares * 3) / pixels.length - mean * mean, 0));
  }
  return total / 3;
}

function pad(number) {
  return String(number).padStart(2, '0');
}
