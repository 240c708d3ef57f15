import type { ImageInput } from './input.js';
import type { InputImage, InputReject } from './input-image.js';

/**
 * Gives each high-resolution image its low-resolution one: that of the same path without extension, else of the same
 * path but for a last `_hr`, `_lr` or `x4` of the name. Those without a partner, on either side, are refused.
 */
export function withPairs(high: ImageInput, low: ImageInput): ImageInput {
  const byName = new Map(low.images.map((image) => [nameOf(image), image]));
  const byBareName = new Map(low.images.map((image) => [bare(nameOf(image)), image]));
  const taken = new Set<InputImage>();
  const rejects = [...high.rejects, ...low.rejects];
  const images: InputImage[] = [];
  for (const image of high.images) {
    const partner = byName.get(nameOf(image)) ?? byBareName.get(bare(nameOf(image)));
    if (partner === undefined || taken.has(partner)) {
      rejects.push(lonely(image.path, `${low.name} has no image of its name`));
      continue;
    }
    taken.add(partner);
    const { path, absolute, size, state } = partner;
    images.push({ ...image, pair: { path, absolute, size, state } });
  }
  for (const image of low.images) {
    if (!taken.has(image))
      rejects.push(lonely(`${image.path} (low resolution)`, `${high.name} has no image of its name`));
  }
  return {
    ...high,
    images,
    rejects,
    ignored: high.ignored + low.ignored,
    links: high.links + low.links,
    fetch: async (image) => {
      await high.fetch(image);
      const { pair } = image;
      if (pair !== undefined) await low.fetch({ ...pair, fields: { columns: {} } });
    },
  };
}

function nameOf({ path }: InputImage): string {
  return path.replace(/\.[^./]+$/, '');
}

function bare(name: string): string {
  return name.replace(/[._-]?(hr|lr|x\d+(\.\d+)?)$/i, '');
}

function lonely(path: string, detail: string): InputReject {
  return { path, reason: 'pair-missing', detail };
}
