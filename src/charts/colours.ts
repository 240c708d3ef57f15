/**
 * A lighter and a darker colour for each of several things that are drawn over each other (Okabe and Ito 2008, "Color
 * Universal Design": told apart with any kind of colour vision).
 */
export const COLOUR_PAIRS = [
  ['#56b4e9', '#0072b2'],
  ['#e69f00', '#d55e00'],
  ['#009e73', '#00563f'],
  ['#cc79a7', '#8e3a6b'],
] as const;

/** As many colours as there are things to tell apart, up to eight; then they come again. */
export const COLOURS = [1, 0].flatMap((shade) => COLOUR_PAIRS.map((pair) => pair[shade]!));
