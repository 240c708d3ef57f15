import geokeys from 'geotiff-geokeys-to-proj4';
import proj4 from 'proj4';
import type { Bounds, Place } from './scene.js';

const { toProj4 } = geokeys;

/** Metres of a degree of latitude, on average. */
const METRES_OF_DEGREE = 111_320;
const US_SURVEY_FOOT = 1200 / 3937;

/** From pixels to the coordinates of a file: x = a + b column + c row, y = d + e column + f row. */
export type Transform = readonly [number, number, number, number, number, number];

export type GeoKeys = Readonly<Record<string, unknown>>;

/** Where the pixels of a georeferenced file lie. */
export class Geography {
  readonly crs: string | undefined;
  /** Ground sampling distance in metres: the geometric mean of both directions, at the centre. */
  readonly gsd: number | undefined;
  private readonly toDegrees: ((point: [number, number]) => [number, number]) | undefined;

  constructor(
    private readonly transform: Transform,
    keys: GeoKeys,
    size: { width: number; height: number },
  ) {
    const projected = code(keys.ProjectedCSTypeGeoKey ?? keys.ProjectedCRSGeoKey);
    const geographic = code(keys.GeographicTypeGeoKey ?? keys.GeodeticCRSGeoKey);
    const epsg = projected ?? geographic;
    this.crs = epsg === undefined ? undefined : `EPSG:${epsg}`;
    const isGeographic =
      projected === undefined && (geographic !== undefined || keys.GTModelTypeGeoKey === 2);
    this.toDegrees = isGeographic ? (point) => point : projection(keys);
    const [, b, c, , e, f] = transform;
    const area = Math.sqrt(Math.abs(b * f - c * e));
    if (!isGeographic) this.gsd = projected === undefined ? undefined : area * unitOf(keys);
    else {
      const latitude = this.point(size.width / 2, size.height / 2)[1];
      this.gsd = area * METRES_OF_DEGREE * Math.sqrt(Math.cos((latitude * Math.PI) / 180));
    }
  }

  /** Bounds of a window's four corners and the middles of its sides, and its centre. */
  locate(window: { x: number; y: number; width: number; height: number }): Place | undefined {
    if (this.toDegrees === undefined) return undefined;
    const { x, y, width, height } = window;
    const at = (across: number, down: number): [number, number] =>
      this.toDegrees!(this.point(x + across * width, y + down * height));
    const [longitude, latitude] = at(0.5, 0.5);
    const edge = [0, 0.5, 1].flatMap((across) => [0, 0.5, 1].map((down) => at(across, down)));
    // A jump of more than half the globe is a crossing of 180 degrees.
    const near = edge.map(([east]) =>
      Math.abs(east - longitude) > 180 ? east + Math.sign(longitude) * 360 : east,
    );
    const inRange = (east: number): number => (east > 180 ? east - 360 : east < -180 ? east + 360 : east);
    const [west, east] = [inRange(Math.min(...near)), inRange(Math.max(...near))];
    const [south, north] = [Math.min(...edge.map(([, n]) => n)), Math.max(...edge.map(([, n]) => n))];
    const bounds: Bounds = [west, south, east, north];
    const isOnGlobe = [...bounds, latitude, longitude].every(Number.isFinite) && Math.abs(latitude) <= 90;
    if (!isOnGlobe) return undefined;
    const corners = [0, 1].flatMap((across) =>
      [0, 1].map((down) => this.point(x + across * width, y + down * height)),
    );
    const [easts, norths] = [corners.map(([e]) => e), corners.map(([, n]) => n)];
    const extent: Bounds = [Math.min(...easts), Math.min(...norths), Math.max(...easts), Math.max(...norths)];
    return { latitude, longitude: inRange(longitude), bounds, extent };
  }

  private point(column: number, row: number): [number, number] {
    const [a, b, c, d, e, f] = this.transform;
    return [a + b * column + c * row, d + e * column + f * row];
  }
}

/** 32767 stands for a definition in other keys. */
function code(key: unknown): number | undefined {
  return typeof key === 'number' && key > 0 && key !== 32_767 ? key : undefined;
}

function unitOf(keys: GeoKeys): number {
  if (keys.ProjLinearUnitsGeoKey === 9002) return 0.3048;
  if (keys.ProjLinearUnitsGeoKey === 9003) return US_SURVEY_FOOT;
  return typeof keys.ProjLinearUnitSizeGeoKey === 'number' ? keys.ProjLinearUnitSizeGeoKey : 1;
}

/** To longitude and latitude, for the systems that the EPSG register or the keys themselves define. */
function projection(keys: GeoKeys): ((point: [number, number]) => [number, number]) | undefined {
  try {
    const { proj4: definition, coordinatesConversionParameters: units } = toProj4(keys as never);
    const { inverse } = proj4(definition);
    const { x, y } = units as { x: number; y: number };
    return ([east, north]) => inverse([east * x, north * y]) as [number, number];
  } catch {
    return undefined;
  }
}
