import type { Size } from './degrade.js';
import type { FloatRaster, PixelWindow } from './resample.js';
import type { Samples, SceneHeader, SceneLimits } from './scene.js';

/** Which values of a file become 0 and 1 for a network, the same for the bands that go through it together. */
export type ValueScaling =
  /** All values of the type: 0 to 255, 0 to 65,535, and so on; 0 to 1 of fractions. */
  | { kind: 'type' }
  | { kind: 'range'; low: number; high: number }
  /** Of the values of the scene, by a sample of its windows; 0 to 100. */
  | { kind: 'percentiles'; low: number; high: number };

export interface UnitSceneOptions {
  limits: SceneLimits;
  /** From 1, in the order wanted; all of them unless given. */
  bands?: readonly number[];
  /** 8 bits: `type`, all else: percentiles 0.1 to 99.9, unless given. */
  scaling?: ValueScaling;
}

/** Bands that go through a three-band network together; the last one is repeated where fewer are left. */
export interface BandGroup {
  /** From 1. */
  bands: readonly [number, number, number];
  /** The values that are 0 and 1. */
  low: number;
  high: number;
}

/**
 * A scene as a three-band network sees it, and the way back: its values from 0 to 1, pixels without data filled from
 * their neighbours, opacity apart.
 */
export interface UnitScene {
  readonly header: SceneHeader;
  /** Of the file, from 1: those of an output, in its order. */
  readonly bands: readonly number[];
  readonly groups: readonly BandGroup[];
  /**
   * The window of each group: 3 bands in [0, 1]. A pixel's values do not depend on the window it is read in.
   * @throws HndsrError INPUT_INVALID
   */
  read(window: PixelWindow): Promise<FloatRaster[]>;
  /**
   * The samples of an output's window, in the type and range of the source: its values outside of the groups' ranges,
   * pixels without data and opacity are taken from the source again.
   * @param groups the network's answer for each group, window height x width x 3, in [0, 1]
   * @param target size of the whole output
   */
  restore(groups: readonly Float32Array[], target: Size, window: PixelWindow): Promise<OutputRows>;
  close(): Promise<void>;
}

export interface OutputRows {
  /** Interleaved rows x width x (bands + 1 for opacity). */
  samples: Samples;
  /** 1 where there is data, for a source that keeps a mask in its file. */
  mask?: Uint8Array;
}

/**
 * Opens a file for upscaling.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID naming the file and the reason
 */
export declare function openUnitScene(path: string, options: UnitSceneOptions): Promise<UnitScene>;
