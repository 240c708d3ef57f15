import { Random } from '../../src/random.js';
import type { Painter } from './project.js';

type Colour = [number, number, number];

/** What a pixel's centre is inside of, from 0 to 1: edges one pixel wide, as optics make them. */
type Coverage = (x: number, y: number) => number;

interface Shape {
  coverage: Coverage;
  colour: Colour;
}

const SHAPES = 14;

/**
 * Pictures with what makes overhead imagery hard: straight edges at all angles, discs, fine gratings, over a slow
 * gradient. Another for each tile, always the same.
 * @param side of a tile in pixels
 */
export function structured(side: number): Painter {
  const scenes = new Map<number, { ground: Coverage; shapes: Shape[] }>();
  return (tile, x, y) => {
    let scene = scenes.get(tile);
    if (scene === undefined) {
      scene = newScene(Random.from(tile, 'structured'), side);
      scenes.set(tile, scene);
    }
    const colour: Colour = [0, 1, 2].map((band) => 90 + 40 * scene.ground(x + 20 * band, y)) as Colour;
    for (const { coverage, colour: own } of scene.shapes) {
      const share = coverage(x, y);
      for (let band = 0; band < 3; band++) colour[band]! += share * (own[band]! - colour[band]!);
    }
    return colour.map((level) => Math.round(Math.min(255, Math.max(0, level)))) as Colour;
  };
}

function newScene(random: Random, side: number): { ground: Coverage; shapes: Shape[] } {
  const [a, b] = [random.uniform() * 0.1, random.uniform() * 0.1];
  const makers = [disc, roof, grating];
  return {
    ground: (x, y) => Math.sin(a * x + b * y),
    shapes: Array.from({ length: SHAPES }, (_, index) => ({
      coverage: makers[index % makers.length]!(random, side),
      colour: [random.integer(256), random.integer(256), random.integer(256)],
    })),
  };
}

/** 1 well inside, 0 well outside, between them along one pixel. */
const soft = (inside: number): number => Math.min(1, Math.max(0, inside + 0.5));

function disc(random: Random, side: number): Coverage {
  const [cx, cy, radius] = [random.uniform() * side, random.uniform() * side, 2 + random.uniform() * 9];
  return (x, y) => soft(radius - Math.hypot(x - cx, y - cy));
}

function roof(random: Random, side: number): Coverage {
  const local = turnedFrame(random, side);
  const [width, height] = [3 + random.uniform() * 12, 2 + random.uniform() * 8];
  return (x, y) => {
    const [u, v] = local(x, y);
    return soft(width - Math.abs(u)) * soft(height - Math.abs(v));
  };
}

function grating(random: Random, side: number): Coverage {
  const local = turnedFrame(random, side);
  const [radius, period] = [5 + random.uniform() * 8, 5 + random.uniform() * 6];
  return (x, y) => {
    const [u, v] = local(x, y);
    return soft(radius - Math.hypot(u, v)) * (0.5 + 0.5 * Math.sin((2 * Math.PI * u) / period));
  };
}

function turnedFrame(random: Random, side: number): (x: number, y: number) => [number, number] {
  const [cx, cy, angle] = [random.uniform() * side, random.uniform() * side, random.uniform() * Math.PI];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return (x, y) => [cos * (x - cx) + sin * (y - cy), cos * (y - cy) - sin * (x - cx)];
}
