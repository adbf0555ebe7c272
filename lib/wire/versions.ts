import type { Struct } from '../schema/index.ts';

/** Layouts of one message, each with the negotiated minor from which it is used; oldest first. */
export type Versions = readonly (readonly [sinceMinor: number, layout: Struct<object>])[];

/** The one layout of a message that never changed, down to minor 0: a peer that has not said VERSION. */
export const always = <S extends Struct<object>>(layout: S): readonly [readonly [0, S]] => [[0, layout]];

/**
 * The layout at a minor: the newest that is not newer. Of several for one minor (they are exact) it is the first
 * that fits `payloadBytes`, or simply the first where that is not given. Undefined: none fits.
 */
export function layoutAt(
  versions: Versions,
  minor: number,
  payloadBytes?: number,
): Struct<object> | undefined {
  let found: readonly [number, Struct<object>] | undefined;
  for (const version of versions) {
    if (version[0] > minor) break;
    if (version[0] === found?.[0]) continue;
    if (payloadBytes === undefined || fits(version[1], payloadBytes)) found = version;
  }
  return found?.[1];
}

function fits({ exact, fields, minSizeBytes }: Struct<object>, payloadBytes: number): boolean {
  if (!exact) return true;
  const element = fields.reduce((size, [, type]) => (type.kind === 'list' ? type.of.minSizeBytes : size), 0);
  const more = payloadBytes - minSizeBytes;
  return more === 0 || (more > 0 && element > 0 && more % element === 0);
}

type KeysOf<T> = T extends unknown ? keyof T : never;
type Member<T, K extends PropertyKey> = T extends unknown ? (K extends keyof T ? T[K] : never) : never;

/** One type for all versions of a message: what a version lacks is optional. */
export type Superset<T> = { [K in keyof T]: T[K] } & {
  [K in Exclude<KeysOf<T>, keyof T>]?: Member<T, K> | undefined;
};
