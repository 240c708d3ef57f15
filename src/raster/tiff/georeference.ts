import type { GeoTIFFImage } from 'geotiff';
import type { Georeference, MetadataItem, StoredGeoKeys, TiePoint } from '../carried.js';
import { Geography, type GeoKeys, type Transform } from '../geography.js';
import { loadTag, tagOf } from './tags.js';

export function geographyOf(image: GeoTIFFImage): Geography | undefined {
  const keys = geoKeysOf(image);
  if (keys === undefined) return undefined;
  const transform = transformOf(image, keys);
  return transform && new Geography(transform, keys, { width: image.getWidth(), height: image.getHeight() });
}

function geoKeysOf(image: GeoTIFFImage): GeoKeys | undefined {
  try {
    return (image.getGeoKeys() as GeoKeys | null) ?? undefined;
  } catch {
    // Keys that point at values which are not there: the pixels are none the worse.
    return undefined;
  }
}

/** GeoTIFF 1.1, section 7.6: a matrix, or a scale and one point. */
function transformOf(image: GeoTIFFImage, keys: GeoKeys): Transform | undefined {
  const matrix = tagOf(image, 'ModelTransformation') as ArrayLike<number> | undefined;
  const scale = tagOf(image, 'ModelPixelScale') as ArrayLike<number> | undefined;
  const tie = tagOf(image, 'ModelTiepoint') as ArrayLike<number> | undefined;
  const half = isPoint(keys) ? 0.5 : 0;
  const shifted = (a: number, b: number, c: number): [number, number, number] => [a - half * (b + c), b, c];
  if (matrix !== undefined && matrix.length >= 8) {
    return [...shifted(matrix[3]!, matrix[0]!, matrix[1]!), ...shifted(matrix[7]!, matrix[4]!, matrix[5]!)];
  }
  if (scale === undefined || tie === undefined || tie.length < 6 || scale.length < 2) return undefined;
  const [x, y] = [scale[0]!, -scale[1]!];
  return [...shifted(tie[3]! - tie[0]! * x, x, 0), ...shifted(tie[4]! - tie[1]! * y, 0, y)];
}

/** Where a point is that of a pixel's centre, its corner lies half a pixel before. */
function isPoint(keys: GeoKeys): boolean {
  return keys.GTRasterTypeGeoKey === 2;
}

/** What says where an image lies, to be written again. */
export async function georeferenceOf(image: GeoTIFFImage): Promise<Georeference | undefined> {
  const stored = await storedKeys(image);
  const keys = geoKeysOf(image);
  if (stored === undefined || keys === undefined) return undefined;
  const transform = transformOf(image, keys);
  if (transform !== undefined) return { keys: stored, transform };
  const tie = Array.from((tagOf(image, 'ModelTiepoint') as ArrayLike<number> | undefined) ?? []);
  const half = isPoint(keys) ? 0.5 : 0;
  const tiePoints = Array.from({ length: Math.floor(tie.length / 6) }, (_, index): TiePoint => {
    const [i, j, k, x, y, z] = tie.slice(index * 6, index * 6 + 6) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    return [i + half, j + half, k, x, y, z];
  });
  return tiePoints.length > 0 ? { keys: stored, tiePoints } : undefined;
}

async function storedKeys(image: GeoTIFFImage): Promise<StoredGeoKeys | undefined> {
  const directory = (await loadTag(image, 'GeoKeyDirectory')) as ArrayLike<number> | undefined;
  if (directory === undefined || directory.length < 4) return undefined;
  const doubles = ((await loadTag(image, 'GeoDoubleParams')) as ArrayLike<number> | undefined) ?? [];
  const ascii = await loadTag(image, 'GeoAsciiParams');
  return {
    directory: Array.from(directory),
    doubles: Array.from(doubles),
    ascii: typeof ascii === 'string' ? ascii.replace(/\0+$/, '') : '',
  };
}

const ITEM = /<Item\b([^>]*)>([^<]*)<\/Item>/g;

/** The items of GDAL's XML (tag 42112), but for statistics: pixels that are made anew have others. */
export function metadataItems(xml: string): MetadataItem[] {
  return [...xml.matchAll(ITEM)].flatMap(([, written, content]) => {
    const attributes = Object.fromEntries(
      [...written!.matchAll(/([\w:]+)\s*=\s*"([^"]*)"/g)].map(([, name, value]) => [name!, value!]),
    );
    const { name, sample, role, domain } = attributes;
    if (name === undefined || name.startsWith('STATISTICS_')) return [];
    return {
      name,
      ...(sample !== undefined && { band: Number(sample) + 1 }),
      ...(role !== undefined && { role }),
      ...(domain !== undefined && { domain }),
      xml: content!,
    };
  });
}
