import { spawnSync } from 'node:child_process';
import { execa } from 'execa';

const runs = (command: string, ...words: string[]): boolean =>
  spawnSync(command, words, { stdio: 'ignore' }).status === 0;

/** Debian's gdal-bin. */
export const HAS_GDAL = runs('gdalinfo', '--version');
/** One that has Debian's python3-gdal: another may come before it on the path. */
const PYTHON = ['python3', '/usr/bin/python3'].find((python) =>
  runs(python, '-c', 'import osgeo_utils.samples'),
);
export const HAS_VALIDATOR = PYTHON !== undefined;

export interface GdalInfo {
  size: [number, number];
  geoTransform?: [number, number, number, number, number, number];
  coordinateSystem?: { wkt: string };
  gcps?: { gcpList: { pixel: number; line: number; x: number; y: number }[] };
  metadata: Record<string, Record<string, string>>;
  bands: {
    type: string;
    description?: string;
    noDataValue?: number;
    colorInterpretation: string;
    block: [number, number];
    overviews?: { size: [number, number] }[];
    mask?: { flags: string[]; overviews?: unknown[] };
    metadata?: Record<string, Record<string, string>>;
  }[];
}

export async function gdalinfo(path: string): Promise<GdalInfo> {
  const { stdout } = await execa('gdalinfo', ['-json', path]);
  return JSON.parse(stdout) as GdalInfo;
}

export async function gdalTranslate(input: string, output: string, ...words: string[]): Promise<void> {
  await execa('gdal_translate', ['-q', ...words, input, output]);
}

/** What GDAL's own check says of a Cloud-Optimised GeoTIFF. */
export async function validateCog(path: string): Promise<string> {
  const module = 'osgeo_utils.samples.validate_cloud_optimized_geotiff';
  const { stdout, stderr } = await execa(PYTHON!, ['-m', module, '--full-check=yes', path], {
    reject: false,
  });
  return stdout + stderr;
}

type Point = [number, number];

/** Where the four corners of an image lie. */
export function corners({ size: [width, height], geoTransform }: GdalInfo): Point[] {
  const [a, b, c, d, e, f] = geoTransform!;
  const places: Point[] = [
    [0, 0],
    [width, 0],
    [0, height],
    [width, height],
  ];
  return places.map(([column, row]): Point => [a + b * column + c * row, d + e * column + f * row]);
}
